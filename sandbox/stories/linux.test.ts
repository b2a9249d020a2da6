import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ran } from '../box/apt.ts'
import { checkout } from '../box/paths.ts'
import { soon } from '../lab/gateway.ts'
import { type Booted, boot } from '../linux/booted.ts'
import { whyNot } from '../linux/why.ts'
import { filesOf, leftIn } from './linux-left.ts'
import { expectGreen } from './witness.ts'

const why = whyNot()
let machine: Booted
let before: Map<string, string>

const sh = (script: string): Promise<Ran> => machine.run(['sh', '-c', script])
const rop = (...words: string[]): Promise<Ran> => machine.run(['rop', ...words])
const told = ({ stdout, stderr }: Ran): string => `${stdout}\n${stderr}`

describe.skipIf(why !== undefined)(`a booted Debian${why ? ` (skipped: ${why})` : ''}`, () => {
  beforeAll(async () => {
    machine = await boot()
    before = await filesOf(machine)
  })
  afterAll(async () => {
    await machine?.close()
  })

  test('becomes a server by one command, though it has neither Node nor anything else of it', async () => {
    expect((await sh('command -v node; command -v haproxy; command -v ollama; command -v tailscale')).stdout).toBe('')
    const outcome = await sh(`cd ${checkout} && ./bootstrap.sh --yes --model qwen3:0.6b`)
    expectGreen(outcome.code, told(outcome))
    expect(outcome.stdout).toMatch(/✓ Proof {6}\d+ checks, 0 missed|\[performance\.overhead\]/)
    expect(outcome.stdout).not.toMatch(/\bMac\b|Homebrew|launchd|login item/)
  })

  test('proves itself, in good and bad requests, and has nothing left to do', async () => {
    for (const words of [['test'], ['test', '--hostile'], ['status']]) {
      const outcome = await rop(...words)
      expectGreen(outcome.code, told(outcome))
    }
    expect((await rop('install', '--yes')).stdout).toContain('Nothing to do')
  })

  test('HAProxy gives root up, and the sockets and the settings are for root alone', async () => {
    const worker = await sh('ps -o user= -C haproxy | sort | uniq -c')
    expect(
      worker.stdout
        .trim()
        .split('\n')
        .map((line) => line.trim()),
    ).toEqual(['1 haproxy', '1 root'])
    const modes = await sh(
      'stat -c "%a %U:%G" /etc/remote-ollama-proxy /run/remote-ollama-proxy /run/remote-ollama-proxy/admin.sock',
    )
    expect(modes.stdout).toBe('700 root:root\n750 root:haproxy\n600 root:haproxy\n')
  })

  test.each(['remote-ollama-proxy-gateway', 'remote-ollama-proxy-observer', 'ollama'])(
    '%s is there again after kill -9',
    async (unit) => {
      const pid = async () => (await sh(`systemctl show -P MainPID ${unit}`)).stdout.trim()
      const old = await pid()
      await sh(`kill -9 ${old}`)
      expect(await soon(async () => !['0', old].includes(await pid()), 60_000)).toBe(true)
      expect(await soon(async () => (await rop('status')).code === 0, 60_000)).toBe(true)
    },
  )

  test('Ollama’s own installer, run again, rewrites its unit, and what we told it holds', async () => {
    expect((await sh('curl -fsSL https://ollama.com/install.sh | sh')).code).toBe(0)
    expect(await soon(async () => (await rop('status')).code === 0, 60_000)).toBe(true)
    const environment = await sh('tr "\\0" "\\n" < /proc/$(systemctl show -P MainPID ollama)/environ')
    expect(environment.stdout).toContain('OLLAMA_HOST=127.0.0.1:11434\n')
    expect(environment.stdout).toContain('OLLAMA_NO_CLOUD=1\n')
  })

  test('uninstall leaves the machine as its packages have it, with settings, models and programs', async () => {
    const outcome = await rop('uninstall', '--yes')
    expect(outcome.code, told(outcome)).toBe(0)
    for (const name of ['haproxy', 'ollama', 'tailscale'])
      expect(outcome.stdout).toMatch(new RegExp(`brought ${name}, which stays; it goes by: sudo `))
    expect(await leftIn(machine, before)).toEqual({ changed: [], gone: [] })
    expect(
      (await sh('systemctl --failed --no-legend; systemctl list-unit-files --no-legend "remote-ollama*"')).stdout,
    ).toBe('')
    expect((await sh('systemctl is-active ollama tailscaled haproxy')).stdout).toBe('active\nactive\ninactive\n')
    expect((await rop('status')).code).toBe(127)
  })
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ran } from '../box/apt.ts'
import { checkout } from '../box/paths.ts'
import { eventually } from '../lab/gateway.ts'
import { type Booted, boot } from '../linux/booted.ts'
import { releaseOf } from '../linux/releases.ts'
import { whyNot } from '../linux/why.ts'
import { filesOf, leftIn } from './linux-left.ts'
import { expectGreen } from './witness.ts'

const why = whyNot()
let machine: Booted
let before: Map<string, string>

const sh = (script: string): Promise<Ran> => machine.run(['sh', '-c', script])
const rop = (...words: string[]): Promise<Ran> => machine.run(['rop', ...words])
const told = ({ stdout, stderr }: Ran): string => `${stdout}\n${stderr}`
const asks = (key: string): Promise<Ran> =>
  sh(`curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer ${key}' http://100.64.0.1:11434/v1/models`)

describe.skipIf(why !== undefined)(`the whole life on Debian 13${why ? ` (skipped: ${why})` : ''}`, () => {
  beforeAll(async () => {
    machine = await boot(releaseOf('13'))
    before = await filesOf(machine)
  })
  afterAll(async () => {
    await machine?.close()
  })

  test('begins by one command', async () => {
    expect((await sh('. /etc/os-release && echo $ID $VERSION_ID')).stdout).toBe('debian 13\n')
    const outcome = await sh(`cd ${checkout} && ./bootstrap.sh --yes --model qwen3:0.6b`)
    expectGreen(outcome.code, told(outcome))
    expect((await sh('haproxy -v')).stdout).toMatch(/^HAProxy version 3\.0\./)
  })

  test('is proved, in good and bad requests, and has nothing left to do', async () => {
    for (const words of [['test'], ['test', '--hostile'], ['status'], ['doctor']]) {
      const outcome = await rop(...words)
      expectGreen(outcome.code, told(outcome))
    }
    expect((await rop('install', '--yes')).stdout).toContain('Nothing to do')
  })

  test('lets in who has a key, and nobody whose key was revoked', async () => {
    const { key } = JSON.parse((await rop('keys', 'add', 'bob', '--json')).stdout) as { key: string }
    await sh("cat > /etc/remote-ollama-proxy/settings.yaml <<'END'\nmodels: ['qwen3:0.6b']\naccess: keys\nEND")
    const applied = await rop('apply')
    expect(applied.code, told(applied)).toBe(0)
    expect([(await asks(key)).stdout, (await asks('rop_wrong')).stdout]).toEqual(['200', '401'])
    expect((await rop('keys', 'revoke', 'bob')).code).toBe(0)
    expect((await asks(key)).stdout).toBe('401')
  })

  test('is back by itself after a restart of the machine', async () => {
    await machine.reboot()
    await eventually('all is as it should be', async () => (await rop('status')).code === 0)
    expect((await sh('systemctl --failed --no-legend')).stdout).toBe('')
  })

  test('ends with the machine as its packages have it', async () => {
    const outcome = await rop('uninstall', '--yes')
    expect(outcome.code, told(outcome)).toBe(0)
    expect(await leftIn(machine, before)).toEqual({ changed: [], gone: [] })
    expect(
      (await sh('systemctl --failed --no-legend; systemctl list-unit-files --no-legend "remote-ollama*"')).stdout,
    ).toBe('')
    expect((await sh('systemctl is-active ollama tailscaled haproxy')).stdout).toBe('active\nactive\ninactive\n')
  })
})

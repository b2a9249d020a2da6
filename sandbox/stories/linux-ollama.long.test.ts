import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ran } from '../box/apt.ts'
import { checkout } from '../box/paths.ts'
import { eventually } from '../lab/gateway.ts'
import { type Booted, boot } from '../linux/booted.ts'
import { usualRelease } from '../linux/releases.ts'
import { whyNot } from '../linux/why.ts'
import { modelfile, serveOllama } from '../services/ollama.ts'
import { saying, writeChatModel } from '../services/toy-model.ts'
import { expectGreen } from './witness.ts'

const why = whyNot()
const settings = '/etc/remote-ollama-proxy/settings.yaml'
const served = '/opt/outside/ollama.com'
let machine: Booted
let folder: string

const sh = (script: string): Promise<Ran> => machine.run(['sh', '-c', script])
const told = ({ stdout, stderr }: Ran): string => `${stdout}\n${stderr}`
async function green(...words: string[]): Promise<string> {
  const outcome = await machine.run(['rop', ...words])
  expectGreen(outcome.code, told(outcome))
  return outcome.stdout
}

/** What the running Ollama was told. */
const environment = async () =>
  (await sh('tr "\\0" "\\n" < /proc/$(systemctl show -P MainPID ollama)/environ')).stdout.split('\n')

describe.skipIf(why !== undefined)(`a real Ollama on Debian${why ? ` (skipped: ${why})` : ''}`, () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ollama.com-'))
    await serveOllama(folder)
    writeChatModel(join(folder, 'toy.gguf'))
    writeFileSync(join(folder, 'Modelfile'), modelfile(`${served}/toy.gguf`, true))
    machine = await boot(usualRelease(), { 'ollama.com': folder })
  }, 1_800_000)
  afterAll(async () => {
    await machine?.close()
    if (folder) rmSync(folder, { recursive: true, force: true })
  })

  test('is brought by its own installer, to a Debian that has no zstd', async () => {
    expect((await sh('command -v zstd; command -v ollama')).stdout).toBe('')
    await sh(`umask 077; mkdir -p /etc/remote-ollama-proxy; echo 'models: []' > ${settings}`)
    const installed = await sh(`cd ${checkout} && ./bootstrap.sh --yes`)
    expect([0, 5], told(installed)).toContain(installed.code)
    expect((await sh('ollama --version')).stdout).toContain('0.24.0')
    const made = await sh(`ollama create toy -f ${served}/Modelfile`)
    expect(made.code, told(made)).toBe(0)
    await sh(`echo 'models: [toy]' > ${settings}`)
    await green('install', '--yes')
  })

  test('proves itself, and answers piece by piece', async () => {
    await green('status')
    await green('test')
    await green('test', '--hostile')
    expect(await green('install', '--yes')).toContain('Nothing to do')
    const body = JSON.stringify({ model: 'toy', messages: [{ role: 'user', content: 'Hi' }], stream: true })
    const { stdout } = await sh(`curl -sN -d '${body}' http://100.64.0.1:11434/v1/chat/completions`)
    const pieces = [...stdout.matchAll(/"content":"([^"]+)"/g)].map(([, piece]) => piece)
    expect(pieces.length).toBeGreaterThan(2)
    expect(pieces.join('')).toBe(saying)
    expect(await environment()).toEqual(expect.arrayContaining(['OLLAMA_HOST=127.0.0.1:11434', 'OLLAMA_NO_CLOUD=1']))
  })

  test('is still as told when its installer has run again', async () => {
    const again = await sh('curl -fsSL https://ollama.com/install.sh | sh')
    expect(again.code, told(again)).toBe(0)
    await eventually('all is well', async () => (await machine.run(['rop', 'status'])).code === 0, 60_000)
    expect(await environment()).toEqual(expect.arrayContaining(['OLLAMA_HOST=127.0.0.1:11434', 'OLLAMA_NO_CLOUD=1']))
  })

  test('goes when somebody says yes to that, and its models stay', async () => {
    const models = () => sh('find /usr/share/ollama/.ollama/models -type f -exec sha256sum {} + | sort')
    const before = (await models()).stdout
    expect(before).toMatch(/blobs\/sha256-/)
    const typing = machine.typed('rop uninstall')
    await typing.expect('Remove it?', 60_000)
    typing.write('\r')
    await typing.expect('Remove haproxy, which', 120_000)
    typing.write('\r')
    await typing.expect('Remove ollama, which', 60_000)
    typing.write('y\r')
    await typing.expect('Remove tailscale, which', 60_000)
    typing.write('\r')
    const { code } = await typing.done
    expect(code, typing.output()).toBe(0)
    expect(
      (await sh('ls -d /usr/local/bin/ollama /usr/local/lib/ollama /etc/systemd/system/ollama.service*')).stdout,
    ).toBe('')
    expect((await models()).stdout).toBe(before)
    expect((await sh('command -v haproxy; command -v tailscale; systemctl --failed --no-legend')).stdout).toBe(
      '/usr/sbin/haproxy\n/usr/bin/tailscale\n',
    )
  })
})

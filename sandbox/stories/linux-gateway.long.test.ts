import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ran } from '../box/apt.ts'
import { checkout } from '../box/paths.ts'
import { type Booted, boot } from '../linux/booted.ts'
import { whyNot } from '../linux/why.ts'
import { expectGreen } from './witness.ts'

const why = whyNot()
const told = ({ stdout, stderr }: Ran): string => `${stdout}\n${stderr}`
const [unit, port, model] = ['other-machine', 12_500, 'qwen3:0.6b']
const etc = '/etc/remote-ollama-proxy'
/** What the machine has beside Debian's files of packages. */
const inventory = 'ls /etc/systemd/system /usr/local/bin /usr/local/lib; getent passwd | cut -d: -f1; nft list tables'
let machine: Booted
let before = ''
const sh = (script: string): Promise<Ran> => machine.run(['sh', '-c', script])

/** An engine that stands for another machine: a program of no package, and a service of nobody's. */
const otherMachine = `printf '#!/bin/sh\\nBOX=/opt/outside/box exec /opt/outside/node /opt/outside/standins/standins.mjs ollama "$@"\\n' > /opt/engine
chmod 755 /opt/engine
systemd-run --quiet --unit=${unit} -E OLLAMA_HOST=127.0.0.1:${port} -E HOME=/root /opt/engine serve
until OLLAMA_HOST=127.0.0.1:${port} /opt/engine pull ${model}; do sleep 0.2; done`

/** Which node answers a question to the gateway. */
async function by(): Promise<string> {
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: `${Math.random()}` }] })
  const { stdout } = await sh(`curl -s -o /dev/null -D - -d '${body}' http://100.64.0.1:11434/v1/chat/completions`)
  return `${/^HTTP\S+ (\d+)/.exec(stdout)?.[1]} ${/x-served-by: (\S+)/i.exec(stdout)?.[1]}`
}

describe.skipIf(why !== undefined)(`a gateway without an engine on Debian${why ? ` (skipped: ${why})` : ''}`, () => {
  let installed: Ran
  beforeAll(async () => {
    machine = await boot()
    await sh(otherMachine)
    const settings = `role: gateway\nnodes: { one: { address: 127.0.0.1, port: ${port} } }\n`
    await sh(`umask 077; mkdir -p ${etc}; printf '${settings.replaceAll('\n', '\\n')}' > ${etc}/settings.yaml`)
    before = (await sh(inventory)).stdout
    installed = await sh(`cd ${checkout} && ./bootstrap.sh --yes`)
  })
  afterAll(async () => {
    await machine?.close()
  })

  test('is planned and proven without one, and its node answers from the start', async () => {
    expectGreen(installed.code, told(installed))
    expect(installed.stdout).not.toMatch(/^ {2}(Ollama|Models) /m)
    expect(await by()).toBe('200 one')
    expect((await sh('id ollama; ls /usr/local/bin')).stdout).toBe('rop\n')
    expect(
      (await sh("systemctl list-unit-files 'remote-ollama-proxy-*' ollama.service --no-legend --plain")).stdout,
    ).toMatch(/^remote-ollama-proxy-gateway.service .*\nremote-ollama-proxy-observer.service .*\n$/)
  })

  test('says in every check what the nodes have, and misses no engine of its own', async () => {
    for (const words of ['status', 'test', 'doctor']) {
      const outcome = await sh(`rop ${words}`)
      expectGreen(outcome.code, told(outcome))
      // The observer sees the disk, which has room, though its unit is shut in.
      expect(told(outcome)).not.toMatch(/Ollama does not answer|disk is nearly full/)
    }
    expect((await sh('rop status')).stdout).toContain('Models   those of the nodes: rop nodes')
    expect((await sh('rop install --yes')).stdout).toContain('Nothing to do')
  })

  test('comes back by itself when the machine restarts, and answers once its node does', async () => {
    await machine.reboot()
    await sh(otherMachine)
    const answers = `for i in $(seq 300); do [ "$(curl -s -o /dev/null -w '%{http_code}' http://100.64.0.1:11434/healthz)" = 200 ] && exit 0; sleep 0.2; done; exit 1`
    expect((await sh(answers)).code).toBe(0)
    expect(await by()).toBe('200 one')
  })

  test('is removed without a word of an engine, and leaves what was there before', async () => {
    const removed = await sh('rop uninstall --yes --purge')
    expect(removed.code, told(removed)).toBe(0)
    expect(removed.stdout).not.toMatch(/ollama\.service|Ollama 0|all models/)
    const after = (await sh(inventory)).stdout.split('\n')
    const packages = /^(haproxy|tailscale.*)$/
    expect(after.filter((line) => !before.split('\n').includes(line) && !packages.test(line))).toEqual([])
  })

  test('is not begun again where the user of HAProxy is gone: one sentence says so, and nothing is changed', async () => {
    expect((await sh('userdel haproxy && ! getent passwd haproxy')).code).toBe(0)
    const there = (await sh(inventory)).stdout
    const refused = await sh(`cd ${checkout} && ./bootstrap.sh --yes`)
    expect([refused.code, refused.stderr]).toEqual([
      3,
      expect.stringContaining('there is no user haproxy, though HAProxy is installed. The package makes it: '),
    ])
    expect((await sh(inventory)).stdout).toBe(there)
    const mended = await sh('DEBIAN_FRONTEND=noninteractive apt-get install -q -y --reinstall haproxy')
    expect(mended.code, told(mended)).toBe(0)
    expect((await sh('getent passwd haproxy')).code).toBe(0)
  })
})

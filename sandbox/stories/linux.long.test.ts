import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ran } from '../box/apt.ts'
import { checkout } from '../box/paths.ts'
import { soon } from '../lab/gateway.ts'
import { type Booted, boot } from '../linux/booted.ts'
import { whyNot } from '../linux/why.ts'
import { expectGreen } from './witness.ts'

const why = whyNot()
const patience = 90_000
let machine: Booted

const sh = (script: string): Promise<Ran> => machine.run(['sh', '-c', script])
const rop = (...words: string[]): Promise<Ran> => machine.run(['rop', ...words])
const told = ({ stdout, stderr }: Ran): string => `${stdout}\n${stderr}`
const green = async (): Promise<boolean> => (await rop('status')).code === 0
const settings = '/etc/remote-ollama-proxy/settings.yaml'
const write = (text: string): Promise<Ran> => sh(`cat > ${settings} <<'END'\n${text}\nEND`)

describe.skipIf(why !== undefined)(`a server on Debian${why ? ` (skipped: ${why})` : ''}`, () => {
  beforeAll(async () => {
    machine = await boot()
    const outcome = await sh(`cd ${checkout} && ./bootstrap.sh --yes --model qwen3:0.6b`)
    expectGreen(outcome.code, told(outcome))
  })
  afterAll(async () => {
    await machine?.close()
  })

  test('waits for an address that comes late, and answers when it has come', async () => {
    await sh('ip address del 100.64.0.1/32 dev tailscale0; systemctl restart --no-block remote-ollama-proxy-gateway')
    const said = async () => (await sh('journalctl -u remote-ollama-proxy-gateway -n 5 -o cat')).stdout
    expect(await soon(async () => (await said()).includes('waiting for 100.64.0.1'), patience)).toBe(true)
    expect((await sh('systemctl is-active remote-ollama-proxy-gateway')).stdout).toBe('activating\n')
    await sh('ip address add 100.64.0.1/32 dev tailscale0')
    expect(await soon(green, patience)).toBe(true)
  })

  test('shows anybody whether it answers and what to paste, and says what they may not read', async () => {
    // As MagicDNS has it.
    await sh('useradd -m ann; echo 100.64.0.1 ai1.tail0lab.ts.net >> /etc/hosts')
    const as = (words: string) => sh(`su ann -c 'cd && ${words}'`)
    for (const words of ['rop status', 'rop doctor']) {
      const { code, stdout, stderr } = await as(words)
      expect([code, stderr]).toEqual([0, ''])
      expect(stdout).toContain('✓ The gateway answers at http://ai1.tail0lab.ts.net:11434.')
      expect(stdout).toContain('root’s alone to read: sudo rop status')
    }
    const pasted = await as('rop connect claude')
    expect([pasted.code, told(pasted)]).toEqual([0, expect.stringContaining('http://ai1.tail0lab.ts.net:11434')])
    await sh('systemctl stop remote-ollama-proxy-gateway')
    expect((await as('rop status')).code).toBe(1)
    await sh('systemctl start remote-ollama-proxy-gateway')
    expect(await soon(green, patience)).toBe(true)
  })

  test('tells somebody who is not root to type sudo, in one sentence', async () => {
    for (const words of ['rop keys add bob', 'rop apply', 'rop status --report']) {
      const outcome = await sh(`su ann -c '${words}'`)
      expect([outcome.code, outcome.stderr]).toEqual([
        3,
        'What this reads and changes is root’s alone here; type sudo before the command.\n',
      ])
    }
    expect((await sh("su ann -c 'rop --version'")).code).toBe(0)
  })

  test('a unit that somebody has switched off is missed, and install switches it on again', async () => {
    await sh('systemctl disable --now remote-ollama-proxy-observer')
    const missed = await rop('status')
    expect([missed.code, missed.stdout]).toEqual([1, expect.stringContaining('[observer.service]')])
    expect((await rop('install', '--yes')).code).toBe(0)
    expect((await sh('systemctl is-enabled remote-ollama-proxy-observer')).stdout).toBe('enabled\n')
  })

  test('an install that is killed in the midst leaves what the next one mends', async () => {
    await sh('rm /etc/systemd/system/remote-ollama-proxy-gateway.service; systemctl daemon-reload')
    await sh('rop install --yes > /dev/null 2>&1 & sleep 3; kill -9 $!')
    const outcome = await rop('install', '--yes')
    expectGreen(outcome.code, told(outcome))
    expect(await green()).toBe(true)
  })

  test('a LAN gets in by https with a certificate of the machine’s own authority and a key', async () => {
    const before = (await machine.read(settings)) ?? ''
    await sh(
      'ip link add lan0 type veth peer name lan0-peer; ip link set lan0 up; ip address add 192.168.78.1/24 dev lan0',
    )
    await write(`models: ['qwen3:0.6b']
tls: { ai.lan: own-ca }
listeners: { lan: { addresses: [192.168.78.1], port: 8443, sources: [192.168.78.0/24] } }`)
    const applied = await rop('apply')
    expect(applied.code, told(applied)).toBe(0)
    const { key } = JSON.parse((await rop('keys', 'add', 'bob', '--json')).stdout) as { key: string }
    await sh('rop certificates root /root/root.pem')
    const asked = (bearer: string) =>
      sh(
        `curl -s -o /dev/null -w '%{http_code}' --cacert /root/root.pem --interface 192.168.78.1 --connect-to ai.lan:8443:192.168.78.1:8443 -H 'Authorization: Bearer ${bearer}' https://ai.lan:8443/v1/models`,
      )
    expect([(await asked(key)).stdout, (await asked('rop_wrong')).stdout]).toEqual(['200', '401'])
    const proof = await rop('test')
    expectGreen(proof.code, told(proof))
    await write(before)
    expect((await rop('apply')).code).toBe(0)
  })
})

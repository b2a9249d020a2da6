import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ran } from '../box/apt.ts'
import { checkout } from '../box/paths.ts'
import { eventually } from '../lab/gateway.ts'
import { at, at6, type Network, networks } from '../lab/networks.ts'
import { type Booted, boot } from '../linux/booted.ts'
import { type Networks, startNetworks } from '../linux/networks.ts'
import { whyNot } from '../linux/why.ts'
import { expectGreen } from './witness.ts'

const why = whyNot()
const name = 'hal9000-api.lab.test'
const root = '/root/root.pem'
const lan = { addresses: [at.machine], port: 12000, sources: ['10.50.0.0/24', '10.60.0.0/24'] }
let machine: Booted
let around: Networks
let key: string

const sh = (script: string): Promise<Ran> => machine.run(['sh', '-c', script])
const rop = (...words: string[]): Promise<Ran> => machine.run(['rop', ...words])

/** Runs it and gives what it printed; a failure is told with its words. */
async function done(outcome: Promise<Ran>): Promise<string> {
  const { code, stdout, stderr } = await outcome
  expect(code, `${stdout}\n${stderr}`).toBe(0)
  return stdout
}

/** Runs what measures, too. */
async function green(outcome: Promise<Ran>, right = 0): Promise<void> {
  const { code, stdout, stderr } = await outcome
  expectGreen(code, `${stdout}\n${stderr}`, right)
}

/** Has these settings beside the usual ones installed, and gives what was printed. */
async function set(
  { listeners = {}, ...more }: { listeners?: object } & Record<string, unknown>,
  verb: 'install' | 'apply' = 'install',
): Promise<string> {
  const settings = {
    ...{ models: ['qwen3:0.6b'], groups: ['agents', 'native'], log: 'requests', tls: { [name]: 'own-ca' } },
    listeners: { public: { addresses: [at.machine] }, lan, ...listeners },
    ...more,
  }
  await sh(`cat > /etc/remote-ollama-proxy/settings.yaml <<'END'\n${JSON.stringify(settings)}\nEND`)
  const { stdout } = await rop(verb, ...(verb === 'install' ? ['--yes'] : []))
  // What is promised of speed does not hold on a busy machine, so the proof of the install does not count here.
  await done(rop('status'))
  return stdout
}

const curl = (more: string, bearer = key): string =>
  `curl -sS --max-time 20 --cacert ${root} -H 'Authorization: Bearer ${bearer}' ${more}`
const asks = (port = 11434, more = ''): string =>
  curl(`https://${name}:${port}/v1/models -o /dev/null -w '%{http_code}' ${more}`)
const status = async (where: Network, port?: number): Promise<string> => (await around.in(where, asks(port))).stdout
/** The same by IPv6, where every name leads to the machine itself. */
const asks6 = (port = 11434): string => asks(port, `--resolve '${name}:${port}:[${at6.machine}]'`)
const status6 = async (where: Network, port?: number): Promise<string> => (await around.in(where, asks6(port))).stdout

describe.skipIf(why !== undefined)(`a server with a firewall of its own${why ? ` (skipped: ${why})` : ''}`, () => {
  beforeAll(async () => {
    machine = await boot()
    await done(sh('apt-get update -q && apt-get install -q -y --no-install-recommends nftables fail2ban'))
    around = await startNetworks(machine, [name], { ipv6: true })
    await sh(`cd ${checkout} && ./bootstrap.sh --yes --model qwen3:0.6b`)
    await set({})
    key = (JSON.parse(await done(rop('keys', 'add', 'bob', '--json'))) as { key: string }).key
    await done(rop('certificates', 'root', root))
    await opens()
  })
  afterAll(async () => {
    await machine?.close()
  })

  const opens = () => done(sh('rop status --border | ip netns exec border nft -f -'))
  /** How a try to connect ends: 0 with a connection, 1 as nobody is there, 124 as nobody answers. */
  const tried = async (where: Network, port: number, address: string = at.machine): Promise<number> =>
    (await around.in(where, `timeout 2 bash -c '< /dev/tcp/${address}/${port}'`)).code
  const reached = (address?: string) => Promise.all([12000, 9411, 9999].map((port) => tried('home', port, address)))
  const tables = () => done(sh('nft list tables'))
  const banned6 = () => done(sh('nft list set inet remote_ollama_proxy banned6'))
  const rules = () => done(sh('nft -s -t list table inet remote_ollama_proxy'))

  /** Ports as of a program that somebody opens to everybody by mistake, and of one that has nothing to do with us. */
  async function listens(address: string): Promise<void> {
    for (const port of [9411, 9999]) {
      const server = `require('net').createServer((s) => s.end()).listen(${port}, '${address}')`
      await done(sh(`systemd-run -q /opt/outside/node -e "${server}"`))
    }
  }

  test('drops what is not let in, and what is for the machine alone, and nothing else', async () => {
    await sh('nft add table inet theirs')
    await listens(at.machine)
    await eventually('all are reached', async () => `${await reached()}` === '0,0,0')
    expect(await set({ firewall: 'on', listeners: { lan: { ...lan, sources: ['10.60.0.0/24'] } } })).toMatch(
      /Firewall +drops what no listener lets in/,
    )
    expect(await reached()).toEqual([124, 124, 0])
    for (const where of networks) expect(await status(where), where).toBe('200')
    expect(await status('other', 12000)).toBe('200')
    await done(rop('status'))
    // 5: it asked no model, as it was told.
    await green(rop('test', '--skip-inference'), 5)
    await green(rop('test', '--hostile'))
    expect(await tables()).toBe('table inet theirs\ntable inet remote_ollama_proxy\n')
  })

  test('a change of its rules is missed and mended; ufw and Docker are named where they are', async () => {
    await sh('nft flush chain inet remote_ollama_proxy input')
    const missed = await rop('status')
    expect([missed.code, missed.stdout]).toEqual([1, expect.stringContaining('Somebody has changed its rules')])
    await sh('mkdir -p /etc/ufw; echo ENABLED=yes > /etc/ufw/ufw.conf; touch /run/docker.sock')
    await green(rop('install', '--yes'))
    const { stdout } = await rop('status', '--verbose')
    expect(stdout).toContain('the firewall ufw is on, too')
    expect(stdout).toContain('Docker is here')
    await sh('rm -r /etc/ufw /run/docker.sock')
  })

  test('rules that somebody else has flushed are missed and mended, and those that Debian’s own unit flushes come back at once', async () => {
    const before = await rules()
    await done(sh('nft flush ruleset'))
    const missed = await rop('status')
    expect([missed.code, missed.stdout]).toEqual([
      1,
      expect.stringMatching(/There is no table inet remote_ollama_proxy.*\n.*The gateway itself refuses/),
    ])
    expect(await reached()).toEqual([0, 0, 0])
    await green(rop('install', '--yes'))
    expect(await rules()).toBe(before)
    // /etc/nftables.conf, as its package has it, begins with `flush ruleset`.
    await done(sh('systemctl enable -q --now nftables'))
    const shown = async () => (await sh('nft -s -t list table inet remote_ollama_proxy')).stdout
    const back = (after: string) =>
      eventually(`the rules are back after ${after}`, async () => (await shown()) === before)
    await done(sh('systemctl restart nftables'))
    await back('a restart')
    await done(sh('systemctl reload nftables'))
    await back('a reload')
    await done(sh('nft flush ruleset; systemctl restart nftables'))
    await back('a restart that finds nothing')
    // More often than systemd lets a unit start of which nothing else is said.
    for (let times = 0; times < 6; times += 1) await done(sh('systemctl restart remote-ollama-proxy-firewall'))
    expect((await sh('systemctl --failed --no-legend "remote-ollama*" nftables.service')).stdout).toBe('')
    await done(rop('status'))
  })

  test('fail2ban bans who sends wrong keys, and nobody else', async () => {
    const files = `${checkout}/monitoring/fail2ban`
    await done(
      sh(`cp ${files}/remote-ollama-proxy.conf /etc/fail2ban/filter.d/
cp ${files}/remote-ollama-proxy-nftables.conf /etc/fail2ban/action.d/
cp ${files}/remote-ollama-proxy.local /etc/fail2ban/jail.d/
printf '[sshd]\\nenabled = false\\n' > /etc/fail2ban/jail.d/zz-no-ssh.local
systemctl restart fail2ban`),
    )
    await eventually('fail2ban reads the log', async () =>
      (await sh('fail2ban-client status remote-ollama-proxy')).stdout.includes('haproxy.log'),
    )
    const wrong = curl(`'https://${name}:11434/v1/models?[1-45]'`, 'rop_wrong')
    await around.in('internet', `${wrong} -o /dev/null`)
    await eventually('it is banned', async () =>
      (await sh('nft list set inet remote_ollama_proxy banned4')).stdout.includes(at.internet),
    )
    expect((await around.in('internet', `${asks()} -m 2`)).code).toBe(28)
    expect(await status('home')).toBe('200')
    // New rules leave who is banned.
    await set({ firewall: 'on' }, 'apply')
    expect(await status('home', 12000)).toBe('200')
    expect((await around.in('internet', `${asks()} -m 2`)).code).toBe(28)
    await done(sh(`fail2ban-client set remote-ollama-proxy unbanip ${at.internet}`))
    expect(await status('internet')).toBe('200')
  })

  describe('by IPv6', () => {
    const both = [at.machine, at6.machine]
    const lan6 = { ...lan, addresses: both, sources: [...lan.sources, '2001:db8:50::/64', '2001:db8:60::/64'] }
    /** The first byte of the answer to an ICMPv6 echo: 129. */
    const echo = `python3 -c "
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.settimeout(5)
s.connect(('${at6.machine}', 0))
s.send(bytes([128, 0, 0, 0, 0, 1, 0, 1]))
while s.recv(99)[0] != 129: pass"`

    test('the same is dropped as by IPv4, and ICMPv6 is let be', async () => {
      await listens(at6.machine)
      await set({ firewall: 'on', listeners: { public: { addresses: both }, lan: lan6 } })
      await eventually('what is nobody’s is reached', async () => (await tried('home', 9999, at6.machine)) === 0)
      for (const where of networks) expect(await status6(where), where).toBe('200')
      expect([await status6('home', 12000), await status6('other', 12000)]).toEqual(['200', '200'])
      await set({
        firewall: 'on',
        listeners: { public: { addresses: both }, lan: { ...lan6, sources: ['10.60.0.0/24', '2001:db8:60::/64'] } },
      })
      expect(await reached(at6.machine)).toEqual([124, 124, 0])
      expect(await status6('other', 12000)).toBe('200')
      // Neighbours are looked for anew, by ICMPv6.
      await sh('ip -6 neigh flush dev home0; ip -n border -6 neigh flush all')
      for (const where of networks) {
        await done(around.in(where, echo))
        expect(await status6(where), where).toBe('200')
      }
      await done(rop('status'))
    })

    test('fail2ban bans an address of IPv6 by the set for those', async () => {
      const wrong = curl(
        `--resolve '${name}:11434:[${at6.machine}]' 'https://${name}:11434/v1/models?[1-45]'`,
        'rop_wrong',
      )
      await around.in('internet', `${wrong} -o /dev/null`)
      await eventually('it is banned', async () => (await banned6()).includes(at6.internet))
      expect((await around.in('internet', `${asks6()} -m 2`)).code).toBe(28)
      await done(around.in('internet', echo))
      expect([await status6('home'), await status('internet')]).toEqual(['200', '200'])
      // Rules that were flushed come back without who was banned, whom fail2ban remembers.
      await done(sh('systemctl restart nftables'))
      expect(await status6('internet')).toBe('200')
      await done(sh('systemctl restart fail2ban'))
      await eventually('it is banned again', async () => (await banned6()).includes(at6.internet))
    })
  })

  test('is in force again before the gateway is, with the same rules and bans, when the machine has restarted', async () => {
    const before = await rules()
    await machine.reboot()
    await eventually('all is as it should be', async () => (await rop('status')).code === 0, 90_000)
    expect(await rules()).toBe(before)
    const monotonic = async (unit: string, what: string): Promise<number> =>
      Number(await done(sh(`systemctl show -P ${what}TimestampMonotonic remote-ollama-proxy-${unit}`)))
    const [wall, gateway] = [await monotonic('firewall', 'ActiveEnter'), await monotonic('gateway', 'ExecMainStart')]
    expect(wall).toBeGreaterThan(0)
    expect(wall).toBeLessThan(gateway)
    await opens()
    for (const address of [at.machine, at6.machine]) {
      await listens(address)
      await eventually('what is nobody’s is reached', async () => (await tried('home', 9999, address)) === 0)
      expect(await reached(address)).toEqual([124, 124, 0])
    }
    for (const where of ['home', 'other'] as const) expect(await status6(where), where).toBe('200')
    await eventually('fail2ban bans again whom it had banned', async () => (await banned6()).includes(at6.internet))
  })

  test('is gone when the settings say off, and with the rest', async () => {
    await set({})
    expect(await tables()).toBe('table inet filter\n')
    await set({ firewall: 'on' })
    await done(rop('uninstall', '--yes'))
    expect(await tables()).toBe('table inet filter\n')
    expect((await sh('ls /etc/systemd/system | grep remote-ollama; ls /var/lib/remote-ollama-proxy')).stdout).toBe('')
  })
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ran } from '../box/apt.ts'
import { checkout } from '../box/paths.ts'
import { eventually } from '../lab/gateway.ts'
import { type Booted, boot } from '../linux/booted.ts'
import { at, type Network, type Networks, networks, startNetworks } from '../linux/networks.ts'
import { whyNot } from '../linux/why.ts'

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
const asks = (port = 11434): string => curl(`https://${name}:${port}/v1/models -o /dev/null -w '%{http_code}'`)
const status = async (where: Network, port?: number): Promise<string> => (await around.in(where, asks(port))).stdout

describe.skipIf(why !== undefined)(`a server with a firewall of its own${why ? ` (skipped: ${why})` : ''}`, () => {
  beforeAll(async () => {
    machine = await boot()
    await done(sh('apt-get update -q && apt-get install -q -y --no-install-recommends nftables fail2ban'))
    around = await startNetworks(machine, [name])
    await sh(`cd ${checkout} && ./bootstrap.sh --yes --model qwen3:0.6b`)
    await set({})
    key = (JSON.parse(await done(rop('keys', 'add', 'bob', '--json'))) as { key: string }).key
    await done(rop('certificates', 'root', root))
    await done(sh('rop status --border | ip netns exec border nft -f -'))
  })
  afterAll(async () => {
    await machine?.close()
  })

  /** How a try to connect ends: 0 with a connection, 1 as nobody is there, 124 as nobody answers. */
  const tried = async (where: Network, port: number): Promise<number> =>
    (await around.in(where, `timeout 2 bash -c '< /dev/tcp/${at.machine}/${port}'`)).code
  const tables = () => done(sh('nft list tables'))

  test('drops what is not let in, and what is for the machine alone, and nothing else', async () => {
    await sh('nft add table inet theirs')
    // As a program that somebody opens to everybody by mistake, and one that has nothing to do with us.
    for (const port of [9411, 9999])
      await done(
        sh(
          `systemd-run -q /opt/outside/node -e "require('net').createServer((s) => s.end()).listen(${port}, '${at.machine}')"`,
        ),
      )
    const reached = () => Promise.all([12000, 9411, 9999].map((port) => tried('home', port)))
    await eventually('all are reached', async () => `${await reached()}` === '0,0,0')
    expect(await set({ firewall: 'on', listeners: { lan: { ...lan, sources: ['10.60.0.0/24'] } } })).toMatch(
      /Firewall +drops what no listener lets in/,
    )
    expect(await reached()).toEqual([124, 124, 0])
    for (const where of networks) expect(await status(where), where).toBe('200')
    expect(await status('other', 12000)).toBe('200')
    await done(rop('status'))
    expect((await rop('test', '--skip-inference')).stdout).toMatch(/ 0 missed/)
    expect((await rop('test', '--hostile')).stdout).toMatch(/ 0 missed/)
    expect(await tables()).toBe('table inet theirs\ntable inet remote_ollama_proxy\n')
  })

  test('a change of its rules is missed and mended; ufw and Docker are named where they are', async () => {
    await sh('nft flush chain inet remote_ollama_proxy input')
    const missed = await rop('status')
    expect([missed.code, missed.stdout]).toEqual([1, expect.stringContaining('Somebody has changed its rules')])
    await sh('mkdir -p /etc/ufw; echo ENABLED=yes > /etc/ufw/ufw.conf; touch /run/docker.sock')
    await done(rop('install', '--yes'))
    const { stdout } = await rop('status', '--verbose')
    expect(stdout).toContain('the firewall ufw is on, too')
    expect(stdout).toContain('Docker is here')
    await sh('rm -r /etc/ufw /run/docker.sock')
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

  test('is gone when the settings say off, and with the rest', async () => {
    await set({})
    expect(await tables()).toBe('table inet theirs\n')
    await set({ firewall: 'on' })
    await done(rop('uninstall', '--yes'))
    expect(await tables()).toBe('table inet theirs\n')
    expect((await sh('ls /etc/systemd/system | grep remote-ollama; ls /var/lib/remote-ollama-proxy')).stdout).toBe('')
  })
})

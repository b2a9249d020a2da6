import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bracketed } from '../../lib/gateway/pair.ts'
import type { Ran } from '../box/apt.ts'
import { checkout } from '../box/paths.ts'
import { eventually } from '../lab/gateway.ts'
import { type Booted, boot } from '../linux/booted.ts'
import { whyNot } from '../linux/why.ts'
import { expectGreen } from './witness.ts'

const why = whyNot()
/** What differs between the two families of addresses. */
const families = [
  {
    family: 4,
    ...{ own: '10.50.0.2', peer: '10.50.0.3', vip: '10.50.0.100', written: '10.50.0.100', bits: '24' },
    ...{ elsewhere: '10.99.0.100', from: '10.50.0.0/24' },
  },
  {
    family: 6,
    ...{ own: 'fd00:50::2', peer: 'fd00:50::3', vip: 'fd00:50::100', written: 'fd00:50::100', bits: '64 nodad' },
    ...{ elsewhere: 'fd00:99::100', from: 'fd00:50::/120' },
  },
]
const conf = '/var/lib/remote-ollama-proxy/state/keepalived.conf'
const unit = 'remote-ollama-proxy-vip.service'
let machine: Booted

const sh = (script: string): Promise<Ran> => machine.run(['sh', '-c', script])
const rop = (...words: string[]): Promise<Ran> => machine.run(['rop', ...words])
const told = ({ stdout, stderr }: Ran): string => `${stdout}\n${stderr}`

/** Runs it and gives what it printed; a failure is told with its words. */
async function done(outcome: Promise<Ran>): Promise<string> {
  const ran = await outcome
  expect(ran.code, told(ran)).toBe(0)
  return ran.stdout
}

/** Has these settings beside the usual ones installed, and gives what was printed. */
async function set(more: object): Promise<Ran> {
  const settings = { models: ['qwen3:0.6b'], groups: ['agents', 'native'], ...more }
  await sh(`cat > /etc/remote-ollama-proxy/settings.yaml <<'END'\n${JSON.stringify(settings)}\nEND`)
  return rop('install', '--yes')
}

describe.skipIf(why !== undefined).each(families)(
  `one of a pair of gateways, IPv$family${why ? ` (skipped: ${why})` : ''}`,
  ({ family, own, peer, vip, written, bits, elsewhere, from }) => {
    const inside = (addresses: string[]) => ({ inside: { addresses, port: 12000, from: [from], access: 'from' } })
    const pair = (more: object = {}) => ({
      listeners: inside([written]),
      vip: { address: written, interface: 'lan0', peer, priority: 150, ...more },
    })
    const addresses = () => done(sh('ip -o address show dev lan0'))

    // A machine without any address of IPv4 looks up none, and what it may fetch is on 127.0.0.1 here.
    /** The other gateway: a network namespace beside this machine, where Keepalived runs by the same file turned round. */
    const beside = `
  ip address add 192.0.2.1/32 dev lo; ip netns add peer && ip link add lan0 type veth peer name eth0 netns peer
  ip address add ${own}/${bits} dev lan0 && ip link set lan0 up
  ip -n peer address add ${peer}/${bits} dev eth0 && ip -n peer link set eth0 up && ip -n peer link set lo up`
    const startPeer = () =>
      done(
        sh(`sed -e 's/${own}/OWN/; s/${peer}/${own}/; s/OWN/${peer}/; s/lan0/eth0/; s/150/140/; /track_script/,/}/d' ${conf} > /root/peer.conf
  systemctl reset-failed peer 2> /dev/null
  systemd-run -q --unit=peer ip netns exec peer keepalived -n -l -P -p /run/peer.pid -r /run/peer-vrrp.pid -f /root/peer.conf`),
      )
    const fromPeer = (line: string) => sh(`ip netns exec peer ${line}`)

    beforeAll(async () => {
      machine = await boot()
      await done(sh(beside))
      const outcome = await sh(`cd ${checkout} && apt-get update -q && ./bootstrap.sh --yes --model qwen3:0.6b`)
      expectGreen(outcome.code, told(outcome))
    })
    afterAll(async () => {
      await machine?.close()
    })

    test.each([
      [
        'a card that is not there',
        { interface: 'lan7' },
        `lan7 (vip.interface) has no IPv${family} address of this machine`,
      ],
      ['another network', { address: elsewhere }, `${elsewhere} (vip.address) is in no network of lan0`],
    ])('%s is refused before anything is changed', async (_what, more, says) => {
      const address = (more as { address?: string }).address ?? written
      const { code, stderr } = await set({ ...pair(more), listeners: inside([address]) })
      expect([code, stderr]).toEqual([3, expect.stringContaining(says)])
      expect((await sh('which keepalived')).code).toBe(1)
    })

    test('an address that another machine has is refused', async () => {
      await done(
        sh(`ip netns add stranger
ip -n peer link add link eth0 name twin type macvlan mode bridge && ip -n peer link set twin netns stranger
ip -n stranger address add ${vip}/${bits} dev twin && ip -n stranger link set twin up`),
      )
      const { code, stderr } = await set(pair())
      expect([code, stderr]).toEqual([
        3,
        expect.stringMatching(new RegExp(`another machine \\([0-9a-f:]+\\) has ${written}`)),
      ])
      await done(sh('ip netns delete stranger && ip neigh flush dev lan0'))
    })

    test('has the address, with nothing of Keepalived’s own touched', async () => {
      expect((await set(pair())).stdout).toContain('Keepalived, which moves the address, is installed')
      await eventually('it has the address', async () => (await addresses()).includes(vip))
      await done(rop('status'))
      expect((await rop('status')).stdout).toMatch(new RegExp(`Pair +this gateway has ${written}`))
      expect(await done(rop('vip'))).toMatch(
        new RegExp(`this gateway has ${written}, since 20.* UTC\\nPeer +${peer} is there`),
      )
      expect(await done(fromPeer(`curl -s -m 3 http://${bracketed(vip)}:12000/healthz`))).toBe('ok')
      expect(await done(sh('ls -A /etc/keepalived; systemctl is-active keepalived || true'))).toMatch(
        // The package of Debian 13 brings a second example.
        /^keepalived\.conf\.sample\n(keepalived\.config-opts\n)?inactive\n$/,
      )
      expect(await done(sh(`systemctl show ${unit} -p NRestarts`))).toBe('NRestarts=0\n')
      // What is promised of speed does not hold on a busy machine.
      const { stdout } = await rop('test', '--skip-inference')
      expect(stdout).toMatch(/ \d+ passed/)
      expect(stdout.match(/^✗.*$/gm)?.filter((line) => !line.includes('[performance.overhead]')) ?? []).toEqual([])
    })

    test('gives it to the other gateway when it is told to, and only then', async () => {
      await startPeer()
      const moved = await done(rop('vip', 'move'))
      expect(moved).toContain(`Moved: the other gateway (${peer}) has ${written}.`)
      expect(await addresses()).not.toContain(vip)
      expect(JSON.parse(await done(rop('vip', '--json')))).toMatchObject({
        holder: { is: 'peer' },
        peer: { reachable: true },
      })
      const again = await rop('vip', 'move')
      expect([again.code, again.stderr]).toEqual([3, expect.stringContaining('Only the gateway that has the address')])
      await done(rop('status'))
    })

    test('takes it when the other gateway ends, and leaves it when Keepalived is killed', async () => {
      await done(sh('systemctl stop peer'))
      await eventually('it has the address', async () => (await addresses()).includes(vip))
      await startPeer()
      await done(sh(`systemctl kill -s KILL ${unit}`))
      await eventually('the other one has it', async () => (await fromPeer('ip -o address')).stdout.includes(vip))
      await eventually('it has it no more', async () => !(await addresses()).includes(vip))
      await eventually('Keepalived is back', async () => (await rop('status')).code === 0)
    })

    test('says that both have the address where neither hears the other, and gives it away to nobody then', async () => {
      await done(sh('apt-get update -q && apt-get install -q -y --no-install-recommends nftables'))
      const deaf = ['input', 'output'].map(
        (way) =>
          `add chain inet cut ${way} { type filter hook ${way} priority 0; }; add rule inet cut ${way} meta l4proto 112 drop`,
      )
      await done(fromPeer(`nft '${['add table inet cut', ...deaf].join('; ')}'`))
      const theirs = async () => (await fromPeer('ip -o address')).stdout.includes(vip)
      await eventually('both have it', async () => (await theirs()) && (await addresses()).includes(vip))
      const status = await rop('status')
      expect([status.code, told(status)]).toEqual([
        1,
        expect.stringMatching(new RegExp(`Pair +both gateways have ${written}`)),
      ])
      expect(told(status)).toContain('protocol 112 must pass between their addresses')
      const shown = await rop('vip')
      expect([shown.code, shown.stdout]).toEqual([1, expect.stringContaining(`both gateways have ${written}`)])
      const moved = await rop('vip', 'move')
      expect([moved.code, moved.stderr]).toEqual([3, expect.stringContaining(`both gateways have ${written}`)])
      await done(fromPeer('nft delete table inet cut'))
      await eventually('the one with the higher priority has it', async () => !(await theirs()))
      expect(await addresses()).toContain(vip)
      await done(rop('status'))
    })

    test('goes with the setting, and with the rest', async () => {
      await sh('systemctl stop peer')
      await set({})
      await done(rop('status'))
      expect(await addresses()).not.toContain(vip)
      expect((await sh(`systemctl cat ${unit}; ls ${conf}`)).stdout).toBe('')
      expect((await sh('find / -xdev -name two_gateways.pem')).stdout).toBe('')
      await set(pair())
      await done(rop('uninstall', '--yes'))
      expect(await addresses()).not.toContain(vip)
      expect((await sh('ls /etc/systemd/system | grep remote-ollama; ls /var/lib/remote-ollama-proxy')).stdout).toBe('')
    })
  },
)

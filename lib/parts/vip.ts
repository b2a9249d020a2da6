import { BlockList, isIP } from 'node:net'
import { serialInWorker } from '../certificates/swap.ts'
import { heldPair, pairFile } from '../certificates/two-gateways.ts'
import { gatewayOf } from '../gateway/of-site.ts'
import { healthPath } from '../gateway/policies/health.ts'
import { keepalivedConf } from '../gateway/vip.ts'
import { reloadAnew } from '../haproxy/reload.ts'
import { sha256 } from '../host/command.ts'
import type { Look } from '../host/host.ts'
import { typed } from '../host/typed.ts'
import { jobPath, places, platformOf } from '../platform/here.ts'
import type { VirtualRouter } from '../platform/platform.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { listensOnVip, ownAddress, type Vip } from '../site/vip.ts'
import { file, jobFileStep, packaged, service, tilde } from '../steps/resources.ts'
import { advice, again, type Check, type Finding, missed, ok, type Step, skipped } from '../steps/step.ts'
import { leaving } from './absent.ts'
import type { Part } from './part.ts'
import { heldBy, pairOf, telling } from './vip-holder.ts'

const confFile = (at: Look | Machine): string => `${places(at).state}/keepalived.conf`

/** The address that stands for it in files that are to go, where the settings no longer have one. */
const gone: Vip = {
  address: '192.0.2.1',
  interface: 'none',
  router_id: 1,
  peer: '192.0.2.2',
  priority: 1,
  peers_port: 1,
  at_once: 'half',
}

/** Its file, what runs by it, and that. */
function keepalived(router: VirtualRouter, machine: Machine, setup: Setup, vip: Vip): Step[] {
  const own = ownAddress(machine, vip)?.address ?? vip.address
  const text = keepalivedConf(gatewayOf(machine, setup), vip, own)
  const { receipt } = setup
  const keepEdited = setup.answers.keepEdited.includes(jobPath(machine, router.unit))
  const job = platformOf(machine).jobFiles.filled(setup.jobs[router.unit] ?? '', {
    keepalived: router.program[0] ?? '',
    configuration: confFile(machine),
    hash: sha256(text),
    address: `${vip.address}/${isIP(vip.address) === 6 ? 128 : 32}`,
    card: vip.interface,
  })
  return [
    file({ id: 'vip.conf', title: 'Keepalived’s file is written', path: confFile(machine), text, receipt }),
    jobFileStep({ id: 'vip.job', at: machine, job, receipt, keepEdited }),
    service({
      ...{ id: 'vip.service', title: 'Keepalived runs, and gives the address to one of the pair' },
      ...{ machine, job, receipt, keepEdited },
    }),
  ]
}

const inNetwork = (address: string, own: string, bits: number): boolean => {
  const family = isIP(own) === 6 ? 'ipv6' : 'ipv4'
  const network = new BlockList()
  network.addSubnet(own, bits, family)
  return network.check(address, family)
}

/** Found before anything is changed: nobody would be reached by it. */
function card(machine: Machine, vip: Vip): Check {
  return {
    id: 'vip.interface',
    title: 'The address of the pair is one of its card’s network',
    exit: 3,
    async check() {
      const { address, interface: name } = vip
      const own = ownAddress(machine, vip)
      if (!own) {
        const cards = [...new Set(machine.addresses.map(({ device }) => device))].filter((one) => one !== 'lo')
        return missed(
          `${name} (vip.interface) has no IPv${isIP(address)} address of this machine`,
          `Name the card that is in the network of ${address}; there are: ${cards.join(', ')}.`,
        )
      }
      const bits = own.bits ?? 0
      return inNetwork(address, own.address, bits)
        ? ok(`${address} is in ${own.address}/${bits} of ${name}`)
        : missed(
            `${address} (vip.address) is in no network of ${name}, which has ${own.address}/${bits}`,
            'Name a free address of that network, or another card (vip.interface).',
          )
    },
  }
}

const listener = ({ settings }: Setup, { address }: Vip): Check => ({
  id: 'vip.listener',
  title: 'A listener has the address of the pair',
  exit: 3,
  check: async () =>
    listensOnVip(settings)
      ? ok(address)
      : missed(
          `no listener has ${address} (vip.address), so nobody would be answered there`,
          'Put it into the addresses of listeners.lan, inside or public.',
        ),
})

/** An address that some machine has already is taken from it by no gateway. */
function free(router: VirtualRouter, machine: Machine, vip: Vip): Check {
  return {
    id: 'vip.free',
    title: 'No machine but the pair has its address',
    exit: 3,
    async check(look) {
      const { holder } = await pairOf(look, router, machine, vip)
      return holder.is === 'stranger'
        ? missed(
            `${heldBy(holder, vip)}, and it is not the other gateway (${vip.peer})`,
            'Name an address that is free (vip.address), or correct vip.peer.',
          )
        : ok(heldBy(holder, vip))
    },
  }
}

function peer(router: VirtualRouter, machine: Machine, vip: Vip): Check {
  return {
    id: 'vip.peer',
    title: 'The other gateway is there',
    ahead: true,
    async check(look) {
      const { reachable } = await pairOf(look, router, machine, vip)
      return reachable
        ? ok(vip.peer)
        : advice(
            `the other gateway does not answer at ${vip.peer} (vip.peer), so nobody takes over from this one`,
            'Switch it on, or name its own address in the same network.',
          )
    },
  }
}

/** HAProxy reads the file when a worker starts, and the other gateway may have sent another since. */
const shown = (): Step => ({
  id: 'vip.certificate',
  title: 'The gateway shows the other one the certificate that both are to have',
  needs: ['haproxy.service'],
  keeps: 'it goes with the gateway',
  async check(look) {
    const [held, serial] = await Promise.all([heldPair(look), serialInWorker(look, pairFile(look))])
    if (serial === undefined) return missed('the running worker has none', again)
    return serial === held?.serial ? ok(`serial ${serial}`) : missed(`the running worker has another, ${serial}`, again)
  },
  apply: reloadAnew,
})

/** Whoever has it is one of the two, and there are no two any more; HAProxy does not start without it as long as its configuration names it. */
const dropped = (): Step => ({
  id: 'vip.certificate',
  title: 'The certificate by which the two gateways knew each other is gone',
  needs: ['haproxy.service', 'haproxy.config'],
  keeps: 'it goes with the gateway',
  check: async (look) =>
    (await look.read(pairFile(look))) === undefined
      ? skipped('the settings say off')
      : missed(`${tilde(look, pairFile(look))} is still there`, again),
  apply: (host) => host.remove(pairFile(host)),
})

/** What one counts the other then does not know, and nothing else is amiss. */
const told = (vip: Vip): Check => ({
  id: 'vip.peers',
  title: 'The two gateways tell each other what they count',
  needs: ['haproxy.service'],
  async check(look) {
    return (await telling(look, vip))
      ? ok(`with ${vip.peer}, port ${vip.peers_port}`)
      : advice(
          `the gateways are not connected (port ${vip.peers_port} of ${vip.peer}), so each counts for itself`,
          `See that the other one runs, that both have the same vip.peers_port, and run \`${typed('pair sync')}\` once on one of them.`,
        )
  },
})

/** Two pairs with one number would take each other’s words for their own. */
const strangers = (router: VirtualRouter, vip: Vip): Check => ({
  id: 'vip.strangers',
  title: 'Only the two of them speak for their router',
  needs: ['vip.service'],
  async check(look) {
    const heard = await router.strangers(look)
    return heard.length === 0
      ? ok(`router ${vip.router_id}`)
      : advice(
          `${heard.join(', ')} says to have the address of router ${vip.router_id}, too, and is not the other gateway; it is not listened to`,
          'Give one of the pairs another vip.router_id, or correct vip.peer.',
        )
  },
})

/** ms within which somebody has it: after a start Keepalived waits for 2 s, and hears of two good answers of the gateway, before it takes any */
const settled = 10_000

/** Once it runs somebody must have it, and no more than one. */
function held(router: VirtualRouter, machine: Machine, vip: Vip): Check {
  return {
    id: 'vip.held',
    title: 'One of the two gateways has the address, and only one',
    needs: ['vip.service'],
    async check(look) {
      let { holder } = await pairOf(look, router, machine, vip)
      const somebody = async () => {
        if (holder.is === 'nobody') holder = (await pairOf(look, router, machine, vip)).holder
        return holder.is !== 'nobody'
      }
      await look.until('one of the two gateways has the address', settled, somebody)
      if (holder.is === 'here' || holder.is === 'peer') return ok(heldBy(holder, vip))
      return holder.is === 'both'
        ? missed(
            heldBy(holder, vip),
            'See whether they hear each other: protocol 112 must pass between their addresses.',
          )
        : missed(heldBy(holder, vip), `See why Keepalived does not take it: ${logsOf(machine, router)}`)
    },
  }
}

const logsOf = (machine: Machine, { unit }: VirtualRouter): string =>
  platformOf(machine).jobs(machine).typed.reads(unit, '')

const health = (machine: Machine): Check => ({
  id: 'vip.health',
  title: 'Keepalived is told that this gateway can have the address',
  needs: ['haproxy.service'],
  async check(look): Promise<Finding> {
    const asked = ['curl', '-sS', '-m', '2', '-o', '/dev/null', '-w', '%{http_code}']
    const socket = places(machine).healthSocket
    const { stdout } = await look.query([...asked, '--unix-socket', socket, `http://gateway${healthPath}`])
    if (stdout === '200') return ok(`${healthPath} on its socket`)
    return stdout === '503'
      ? missed('the gateway runs, but its engine is down, so the other gateway has the address', again)
      : missed('the gateway does not answer on the socket of its health, so the other gateway has the address', again)
  },
})

/** With `nopreempt` a script that has a weight moves nothing (acassen/keepalived#2483). */
const weightless = (machine: Machine): Check => ({
  id: 'vip.weight',
  title: 'A gateway that fails leaves the address, by a script without weight',
  async check(look) {
    const text = (await look.read(confFile(machine))) ?? ''
    return /^\s*weight\b/m.test(text)
      ? missed(`${confFile(machine)} gives its script a weight, with which the address never moves`, again)
      : ok('without weight')
  },
})

const none = (): Check => ({
  id: 'vip.system',
  title: 'This system can share an address with another gateway, as the settings ask',
  exit: 3,
  check: async () => missed('vip needs keepalived, which this system does not have', 'Take vip out of settings.yaml.'),
})

/** One address for two gateways, which one of them has. */
export const vip: Part = {
  name: 'vip',
  about: (_machine, { settings }) => ({
    title: 'Keepalived',
    what: settings.vip ? 'gives one address to this gateway or the other' : 'goes',
    where: settings.vip?.address ?? '',
  }),
  steps(machine, setup): Check[] {
    const router = platformOf(machine).virtualRouter
    const wanted = setup.mode === 'proxy' ? setup.settings.vip : undefined
    if (!router) return wanted ? [none()] : []
    if (!wanted)
      return confFile(machine) in setup.receipt.files
        ? [dropped(), ...leaving(keepalived(router, machine, setup, gone))]
        : []
    const title = 'Keepalived, which moves the address, is installed'
    return [
      card(machine, wanted),
      listener(setup, wanted),
      free(router, machine, wanted),
      packaged({
        ...{ machine, name: router.package, program: router.program, title, attended: setup.attended },
        keeps: 'other programs may need it',
      }),
      ...keepalived(router, machine, setup, wanted),
      shown(),
      peer(router, machine, wanted),
      told(wanted),
      strangers(router, wanted),
    ]
  },
  checks(machine, setup): Check[] {
    const router = platformOf(machine).virtualRouter
    const { vip: wanted } = setup.settings
    if (!router || !wanted || setup.mode !== 'proxy') return []
    return [held(router, machine, wanted), health(machine), weightless(machine)]
  },
}

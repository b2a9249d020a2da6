import { keptFinding, renewerCheck, servedChecks } from '../certificates/checks.ts'
import { asksForKept, clientAuthorityFile, ensureClientAuthority } from '../certificates/clients.ts'
import { first } from '../certificates/renew.ts'
import { heldPair, makePair, pairFile } from '../certificates/two-gateways.ts'
import { reloadAnew } from '../haproxy/reload.ts'
import { rowOf } from '../haproxy/runtime.ts'
import { listeners, places, platformOf } from '../platform/here.ts'
import { describe } from '../platform/platform.ts'
import type { Machine } from '../site/machine.ts'
import { asksCertificates } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { packaged, tilde } from '../steps/resources.ts'
import { again, type Check, missed, ok, type Step, skipped } from '../steps/step.ts'
import type { Part } from './part.ts'

const byDns = 'Name your DNS provider by acme.dns in settings.yaml'

/** Where an authority is to ask port 80, it must be able to; HAProxy would only say that it cannot bind. */
const proofByHttp = ({ uid, user }: Machine, { listeners: { public: open } }: Setup['settings']): Check => ({
  id: 'certificates.http',
  title: 'The authority can ask port 80 for the proof of a name',
  exit: 3,
  async check(look) {
    if (!open) return missed('nothing is listened on where it could ask (listeners.public)', `${byDns}, or add that.`)
    const stat = (await look.ask(places(look).adminSocket, 'show stat')) ?? ''
    const asked = open.addresses.map((address) => `${address} port 80`).join(', ')
    if (rowOf(stat, 'challenge', 'FRONTEND')?.status === 'OPEN') return ok(asked)
    if (uid !== 0) return missed(`port 80 needs root, and the gateway runs as ${user}`, `${byDns}.`)
    const mine = (address: string) => ['*', '0.0.0.0', '::', ...open.addresses].includes(address)
    const other = (await listeners(look, 80)).find(({ address, command }) => command !== 'haproxy' && mine(address))
    return other ? missed(`${describe(other)} holds port 80`, `Stop it, or: ${byDns}.`) : ok(asked)
  },
})

/** One for each name, before the gateway: HAProxy does not start without its files. */
const kept = ({ settings }: Setup, name: string): Step => ({
  id: `certificates.${name}`,
  title: `There is a certificate for ${name}`,
  after: ['lego.package', 'tailscale.package', 'tailscale.up'],
  keeps: 'it goes with the gateway’s folder',
  check: (look) => keptFinding(look, settings, name),
  apply: (host) => first(host, settings, name),
})

/** HAProxy does not start without the authority that it is told to ask for. */
const clients = (): Step => ({
  id: 'certificates.clients',
  title: 'There is an authority for client certificates',
  keeps: 'it goes with the gateway’s folder',
  async check(look) {
    const file = clientAuthorityFile(look)
    return (await look.read(file)) === undefined
      ? missed(`${tilde(look, file)} is missing`, again)
      : ok(tilde(look, file))
  },
  apply: ensureClientAuthority,
})

/** HAProxy reads the file when a worker starts, and it may have been made anew, or come from the other gateway, since. */
export const clientsAsked = (): Step => ({
  id: 'certificates.clients-asked',
  title: 'The gateway asks for client certificates of the authority that gives them',
  needs: ['haproxy.service'],
  keeps: 'it goes with the gateway',
  async check(look) {
    const asks = await asksForKept(look)
    if (asks === undefined) return skipped('the configuration that runs asks for none')
    return asks ? ok('the running worker has it') : missed('the running worker has another one', again)
  },
  apply: reloadAnew,
})

/** HAProxy does not start without it; the other gateway has the same by `pair sync`. */
const twoGateways = (): Step => ({
  id: 'certificates.two-gateways',
  title: 'There is a certificate by which the two gateways know each other',
  keeps: 'it goes with the gateway’s folder',
  async check(look) {
    const held = await heldPair(look)
    return held
      ? ok(`until ${held.until.toISOString().slice(0, 10)}`)
      : missed(`${tilde(look, pairFile(look))} has none that lasts`, again)
  },
  apply: makePair,
})

/** What an order from an authority needs: its program, and a way to be asked. */
function ordering(machine: Machine, { settings, attended }: Setup): Check[] {
  if (!Object.values(settings.tls).includes('acme')) return []
  const program = ['lego', platformOf(machine).packages.program(machine.packager, 'lego')]
  return [
    ...(settings.acme.dns === undefined ? [proofByHttp(machine, settings)] : []),
    packaged({
      ...{ machine, name: 'lego', title: 'lego, which orders certificates, is installed', attended, program },
      keeps: 'other programs may need it',
    }),
  ]
}

/** What names are served with, where settings name any. */
export const certificates: Part = {
  name: 'certificates',
  about: (machine, { settings }) => ({
    title: 'Certificates',
    what: Object.keys(settings.tls).length > 0 ? 'for https by name' : 'none are wanted',
    where: tilde(machine, places(machine).certs),
  }),
  steps: (machine, setup): Check[] =>
    setup.mode === 'proxy'
      ? [
          ...ordering(machine, setup),
          ...Object.keys(setup.settings.tls).map((name) => kept(setup, name)),
          ...(asksCertificates(setup.settings) ? [clients()] : []),
          ...(setup.settings.vip && platformOf(machine).virtualRouter ? [twoGateways()] : []),
        ]
      : [],
  checks: (_machine, { mode, settings }) =>
    mode === 'proxy' ? [...servedChecks(settings), ...renewerCheck(settings)] : [],
}

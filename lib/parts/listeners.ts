import { gatewayOf } from '../gateway/of-site.ts'
import { servedNames } from '../gateway/policies/tls.ts'
import type { Gateway, Listener } from '../gateway/policy.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { isVip } from '../site/vip.ts'
import { advice, type Check, missed, ok } from '../steps/step.ts'

/** How the owner writes a listener's port. */
export const settingOfPort = (name: string): string =>
  name === 'tailnet-tls' ? 'listeners.tailnet.tls_port' : `listeners.${name}.port`

/** What must hold of listeners beyond the tailnet before anything is changed, and what is worth knowing of them. */
export function listenerChecks(machine: Machine, setup: Setup): Check[] {
  const gateway = gatewayOf(machine, setup)
  const [tailnet, ...further] = gateway.listeners
  if (further.length === 0 || !tailnet) return []
  return [
    here(
      machine,
      tailnet,
      further
        .filter(({ name }) => name !== 'tailnet-tls')
        // The address of a pair is here only as long as this gateway has it.
        .map((one) => ({ ...one, addresses: one.addresses.filter((address) => !isVip(setup.settings, address)) })),
    ),
    ...(further.some(({ port }) => port < 1024) ? [privileged(machine, further)] : []),
    ...inClear(setup),
    ...unnamed(gateway),
  ]
}

/** HAProxy would only say that it cannot bind, and end. */
function here(machine: Machine, tailnet: Listener, named: Listener[]): Check {
  return {
    id: 'listeners.addresses',
    title: 'Every address under listeners is one of this machine, and not the tailnet’s',
    exit: 3,
    async check() {
      const wanted = named.flatMap(({ name, addresses }) => addresses.map((address) => ({ name, address })))
      const foreign = wanted.filter(({ address }) => !isHere(machine, address))
      if (foreign.length > 0)
        return missed(
          foreign.map(({ name, address }) => `${address} (listeners.${name}) is not on this machine`).join(', '),
          `Name an address that it has: ${others(machine, tailnet).join(', ') || 'there is none beside the tailnet’s'}.`,
        )
      const taken = wanted.find(({ address }) => tailnet.addresses.includes(address))
      return taken
        ? missed(
            `${taken.address} (listeners.${taken.name}) is the tailnet’s, where others than its devices never come`,
            'Take it out; https on the tailnet is listeners.tailnet.tls_port.',
          )
        : ok(wanted.map(({ name, address }) => `${address} (${name})`).join(', ') || 'only the tailnet’s')
    },
  }
}

/** 127.0.0.0/8 is this machine, whether an interface names each address or not. */
const isHere = (machine: Machine, wanted: string): boolean =>
  wanted.startsWith('127.') || machine.addresses.some(({ address, unready }) => address === wanted && !unready)

const others = (machine: Machine, tailnet: Listener): string[] =>
  machine.addresses
    .map(({ address }) => address)
    .filter((address) => !/^(127\.|::1$|fe80)/.test(address) && !tailnet.addresses.includes(address))

/** Below 1024 an address that is named can be bound by root alone, on macOS, too. */
const privileged = (machine: Machine, listeners: Listener[]): Check => ({
  id: 'listeners.ports',
  title: 'The gateway may bind every port under listeners',
  exit: 3,
  async check() {
    const low = listeners.filter(({ port }) => port < 1024)
    if (machine.uid === 0) return ok(low.map(({ port }) => port).join(', '))
    return missed(
      `${low.map(({ name, port }) => `${settingOfPort(name)}: ${port}`).join(', ')} needs root, and the gateway runs as ${machine.user}`,
      'Set a port from 1024 on, and forward the other one to it where clients come in.',
    )
  },
})

/** What goes over a network in clear is said as long as it does. */
function inClear({ settings: { listeners } }: Setup): Check[] {
  const { inside, lan } = listeners
  return [
    ...(lan?.plain
      ? [
          {
            id: 'listeners.lan-plain',
            title: 'Keys and prompts go over the LAN encrypted',
            ahead: true,
            check: async () =>
              advice(
                `whoever is on ${lan.sources.join(', ')} can read keys and prompts on their way (listeners.lan.plain)`,
                'Name a certificate under tls, and take plain out.',
              ),
          },
        ]
      : []),
    ...(inside
      ? [
          {
            id: 'listeners.inside',
            title: 'Machines inside come by https, too',
            ahead: true,
            check: async () =>
              advice(
                `${inside.from.join(', ')} ${inside.access === 'from' ? 'get in without a key' : 'send their keys'} by plain http (listeners.inside)`,
                '',
              ),
          },
        ]
      : []),
  ]
}

/** A port that anybody can knock at, and at which nobody can be served; an authority that asks for the proof of a name needs no name there. */
function unnamed(gateway: Gateway): Check[] {
  const open = gateway.listeners.find(({ name }) => name === 'public')
  const { tls, acme } = gateway.settings
  const proves = Object.values(tls).includes('acme') && acme.dns === undefined
  if (!open || proves || servedNames(gateway, open).length > 0) return []
  return [
    {
      id: 'listeners.public-names',
      title: 'Somebody can shake hands at listeners.public',
      ahead: true,
      check: async () =>
        advice(
          `nobody is served at ${open.addresses.join(', ')}, port ${open.port}: ${Object.keys(tls).join(', ')} is for services that are not on public`,
          'Name another one under tls for the gateway, or public under the listeners of a service, or take listeners.public out.',
        ),
    },
  ]
}

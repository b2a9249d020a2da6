import { isIP } from 'node:net'
import { endsOf } from './pair.ts'
import { challengePorts } from './policies/challenge.ts'
import type { Gateway, Listener } from './policy.ts'
import { everyListener } from './services.ts'

/** Our one table of nftables, and the sets in it that may be filled with addresses to be dropped. */
export const firewallTable = 'inet remote_ollama_proxy'

interface Door {
  name: string
  family: 'ip' | 'ip6'
  address: string
  port: number
  /** networks of its family; everybody where there is no such list */
  from?: string[]
}

const familyOf = (text: string): Door['family'] => (text.includes(':') ? 'ip6' : 'ip')

const doorsOf = (gateway: Gateway, { name, addresses, port, sources, relays = [] }: Listener): Door[] =>
  addresses.flatMap((address) => {
    const family = familyOf(address)
    const from = sources.length > 0 ? [...sources, ...relays].filter((one) => familyOf(one) === family) : undefined
    const ports = name === 'public' ? [port, ...challengePorts(gateway)] : [port]
    return ports.map((one) => ({ name, family, address, port: one, from }))
  })

/** Where the other of two gateways tells what it has counted: nobody else has anything to say there. */
function peersDoor(gateway: Gateway): Door[] {
  const ends = endsOf(gateway)
  if (!ends) return []
  return [{ name: 'peers', family: familyOf(ends.own), address: ends.own, port: ends.port, from: [ends.other] }]
}

const set = (words: (string | number)[]): string => `{ ${[...new Set(words)].join(', ')} }`

/** Who begins a connection from elsewhere than the listener says. */
const refused = ({ family, address, port, from, name }: Door): string[] => {
  const at = `${family} daddr ${address} tcp dport ${port}`
  if (from === undefined) return []
  return [`${at} ${from.length > 0 ? `${family} saddr != ${set(from)} ` : ''}drop # ${name}`]
}

/** Ports on which nobody but this machine has anything to ask, but for what listens there on purpose. */
function ownPorts({ settings: { engine, peers, metrics, acme } }: Gateway, doors: Door[]): string[] {
  return [...new Set([engine.port, peers.port, metrics.port, acme.port])].flatMap((port) =>
    (['ip', 'ip6'] as const).map((family) => {
      const listened = doors.filter((door) => door.port === port && door.family === family)
      const but = listened.length > 0 ? `${family} daddr != ${set(listened.map(({ address }) => address))} ` : ''
      return `meta nfproto ${family === 'ip' ? 'ipv4' : 'ipv6'} tcp dport ${port} ${but}drop`
    }),
  )
}

const banned = (doors: Door[], family: Door['family']): string[] => {
  const places = doors.filter((door) => door.family === family).map(({ address, port }) => `${address} . ${port}`)
  return places.length > 0
    ? [`${family} daddr . tcp dport ${set(places)} ${family} saddr @banned${family === 'ip' ? 4 : 6} drop`]
    : []
}

/**
 * The rules of nft(8) that drop, before HAProxy sees it, what its own rules refuse: connections to a listener from
 * elsewhere than its sources, and from outside to ports that are for this machine alone. What is addressed to anything
 * else is not looked at. The sets `banned4` and `banned6` are for fail2ban to fill; loading the rules again keeps them.
 */
export function firewallRules(gateway: Gateway): string {
  const doors = everyListener(gateway)
    .flatMap((listener) => doorsOf(gateway, listener))
    .filter(({ address }) => isIP(address))
  const rules = [
    'iif "lo" accept',
    ...banned(doors, 'ip'),
    ...banned(doors, 'ip6'),
    // Answers that run are not cut, and what this machine itself asks elsewhere gets its answers.
    'tcp flags & (fin | syn | rst | ack) != syn accept',
    ...[...doors, ...peersDoor(gateway)].flatMap(refused),
    ...ownPorts(gateway, doors),
  ]
  return `# Written by remote-ollama-proxy from settings.yaml.
table ${firewallTable} {
  set banned4 { type ipv4_addr; flags timeout; }
  set banned6 { type ipv6_addr; flags timeout; }
  chain input { type filter hook input priority filter - 1; policy accept; }
}
flush chain ${firewallTable} input
table ${firewallTable} {
  chain input {
    ${rules.join('\n    ')}
  }
}
`
}

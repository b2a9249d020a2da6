import { conditionLines, hasPublic, several, under } from '../listeners.ts'
import type { Gateway, Listener, Policy } from '../policy.ts'
import { doorConnections, doorsOf } from '../services.ts'

const isRelayed = ({ relays }: Listener): boolean => relays !== undefined
const hasRelays = ({ listeners }: Gateway): boolean => listeners.some(isRelayed)

/** A bind address is no access rule: Linux and macOS answer for any of their addresses on any card (linux.md §3). */
export const guard = (gateway: Gateway): string[] => [
  ...gateway.listeners.flatMap((listener, at) => sourcesOf(listener, at)),
  'acl own_source src -f {{files}}/self.lst',
  ...(several(gateway) ? conditionLines(gateway) : []),
  ...relays(gateway),
  ...foreign(gateway, (listener) => !isRelayed(listener)),
  ...under('!relayed', foreign(gateway, isRelayed)),
]

/** Whoever comes from elsewhere than a listener says. */
const foreign = (gateway: Gateway, which: (listener: Listener) => boolean): string[] =>
  gateway.listeners.flatMap((listener, at) => {
    if (listener.sources.length === 0 || !which(listener)) return []
    const here = several(gateway) ? `{ so_name ${listener.name} } ` : ''
    return [`tcp-request connection reject if ${here}!${knownTo(listener, at)} !own_source`]
  })

/** From these machines a header must come that says for whom they connect; what anybody else sends of the kind is no request. */
function relays(gateway: Gateway): string[] {
  if (!hasRelays(gateway)) return []
  const marks = gateway.listeners.filter(isRelayed).map(({ name }) => {
    const named = `{ so_name ${name} } { src -f {{files}}/${relaysFile(name)} }`
    return `tcp-request connection set-var(sess.relayed) bool(true) if ${named}`
  })
  return [...marks, 'acl relayed var(sess.relayed) -m found', 'tcp-request connection expect-proxy layer4 if relayed']
}

const knownTo = ({ name }: Listener, at: number): string => (at === 0 ? 'known_source' : `known_to_${name}`)

/** HAProxy takes 64 words a line, so what somebody lists stands in a file. */
function sourcesOf(listener: Listener, at: number): string[] {
  if (at === 0) return [`acl known_source src 127.0.0.0/8 ::1 ${listener.sources.join(' ')}`]
  return listener.sources.length > 0 ? [`acl ${knownTo(listener, at)} src -f {{files}}/${sourcesFile(listener)}`] : []
}

const sourcesFile = ({ name }: Listener): string => `sources-${name}.lst`

/** The machines that relay to a listener. */
export const relaysFile = (name: string): string => `relays-${name}.lst`

const sourceFiles = ({ listeners }: Gateway): Record<string, string> =>
  Object.fromEntries(
    listeners.slice(1).flatMap((listener) => {
      const { name, sources, relays } = listener
      const known = ['127.0.0.0/8', '::1', ...sources]
      return [
        ...(sources.length > 0 ? [[sourcesFile(listener), known] as const] : []),
        ...(relays ? [[relaysFile(name), relays] as const] : []),
      ].map(([file, lines]) => [file, `${lines.join('\n')}\n`])
    }),
  )

/** Connections that one address may make to a public listener in 10 s; each begins with a handshake, which is the dearest part for us. */
export const publicRate = 100

/** Everybody is counted; whoever comes from the internet in a table of their own, since the first that counts is the only one. */
const tracked = (gateway: Gateway): string[] => [
  ...(hasPublic(gateway) ? ['tcp-request connection track-sc0 src table outside if outside'] : []),
  'tcp-request connection track-sc0 src table addresses',
]

/** How fast the internet may come, and how much of one address is held. */
const bounded = (gateway: Gateway): string[] => [
  ...(hasPublic(gateway) ? [`tcp-request connection reject if { sc0_conn_rate gt ${publicRate} }`] : []),
  'tcp-request connection reject if { sc0_conn_cur gt 64 }',
  // Written once for a connection: the log and the table of running requests need it in letters.
  'tcp-request connection set-var-fmt(sess.address) "%[src]"',
]

/**
 * The address that a header names is known only when a session begins, behind the handshake of TLS. So what is asked of
 * addresses is asked again there; for everybody else the answers are the same.
 */
function again(gateway: Gateway): string[] {
  if (!hasRelays(gateway)) return []
  const rules = [...foreign(gateway, isRelayed), ...tracked(gateway), ...bounded(gateway)]
  return rules.map((rule) => rule.replace('tcp-request connection', 'tcp-request session'))
}

const outside = 'backend outside\n    stick-table type ipv6 size 100k expire 1m store conn_cur,conn_rate(10s)'

/** From 3.4 on HAProxy ends a worker and its streams after 50 reloads unless told (its commit 036722737). How many workers there may be is for apply.ts to say. */
const ever = 1_000_000

/** Who may connect, and how many connections one address may hold. */
export function connections(gateway: Gateway): Policy {
  const self = gateway.listeners.flatMap((listener) => listener.addresses)
  const counted = tracked(gateway)
  const doors = new Set(doorsOf(gateway).map(({ port }) => port)).size
  return {
    name: 'connections',
    lines: {
      connection: [
        ...(hasRelays(gateway) ? under('!relayed', counted) : counted),
        ...bounded(gateway),
        ...again(gateway),
      ],
      global: [
        `maxconn ${2000 + doors * doorConnections}`,
        'nbthread 2',
        'hard-stop-after 24h',
        `mworker-max-reloads ${ever}`,
      ],
    },
    sections: [
      'backend addresses\n    stick-table type ipv6 size 20k expire 1h store conn_cur',
      ...(hasPublic(gateway) ? [outside] : []),
    ],
    files: { 'self.lst': `${self.join('\n')}\n`, ...sourceFiles(gateway) },
  }
}

import type { Gateway, Listener, Policy } from '../policy.ts'

/** A bind address is no access rule: Linux and macOS answer for any of their addresses on any card (linux.md §3). */
export const guard = (listener: Listener): string[] => [
  `acl known_source src 127.0.0.0/8 ::1 ${listener.sources.join(' ')}`,
  'acl own_source src -f {{files}}/self.lst',
  'tcp-request connection reject if !known_source !own_source',
]

/** From 3.4 on HAProxy ends a worker and its streams after 50 reloads unless told (its commit 036722737). How many workers there may be is for apply.ts to say. */
const ever = 1_000_000

/** Who may connect, and how many connections one address may hold. */
export function connections(gateway: Gateway): Policy {
  const self = gateway.listeners.flatMap((listener) => listener.addresses)
  return {
    name: 'connections',
    lines: {
      connection: [
        'tcp-request connection track-sc0 src table addresses',
        'tcp-request connection reject if { sc0_conn_cur gt 64 }',
        // Written once for a connection: the log and the table of running requests need it in letters.
        'tcp-request connection set-var-fmt(sess.address) "%[src]"',
      ],
      global: ['maxconn 2000', 'nbthread 2', 'hard-stop-after 24h', `mworker-max-reloads ${ever}`],
    },
    sections: ['backend addresses\n    stick-table type ipv6 size 20k expire 1h store conn_cur'],
    files: { 'self.lst': `${self.join('\n')}\n` },
  }
}

import { isIP } from 'node:net'
import { pairCertificate } from '../../site/vip.ts'
import { bracketed, endsOf, peerName } from '../pair.ts'
import type { Gateway, Policy } from '../policy.ts'

/** What a stick table adds to outlive a reload: the old worker hands it to the new one over this section. Of two gateways the other one has it, too. */
export const keptBy = 'peers state'

/**
 * Two gateways let nobody in but each other: both show the one certificate that only they have, and take no other. A session
 * of TLS 1.2 could be resumed from a listener that asks for none (before the fixes of August 2026).
 */
const mutual = `ssl crt {{certs}}/${pairCertificate} ca-file {{certs}}/${pairCertificate} verify required ssl-min-ver TLSv1.3`

/** Between two gateways, each on its own address: there it listens whether or not its card is up yet. */
function between(gateway: Gateway): string[] | undefined {
  const ends = endsOf(gateway)
  if (!ends) return undefined
  const { own, other, port } = ends
  const v6only = isIP(own) === 6 ? ' v6only' : ''
  return [
    `bind ${bracketed(own)}:${port}${v6only} ${mutual} no-tls-tickets transparent`,
    `default-server ${mutual}`,
    `server ${peerName(own)}`,
    `server ${peerName(other)} ${bracketed(other)}:${port} source ${bracketed(own)}`,
  ]
}

/** The name by which a gateway calls itself; each of two has its own. */
const ownName = (gateway: Gateway): string => {
  const ends = endsOf(gateway)
  return ends ? peerName(ends.own) : 'gateway'
}

/** A worker's peer is its own successor, on loopback (haproxy-operations.md §6), and the other gateway where there are two. What runs at once is counted anew: `conn_cur` is not handed over. */
export const peers = (gateway: Gateway): Policy => {
  const { port } = gateway.settings.peers
  const lines = between(gateway) ?? [`peer gateway 127.0.0.1:${port}`]
  return {
    name: 'peers',
    lines: { global: [`localpeer ${ownName(gateway)}`] },
    sections: [['peers state', ...lines].join('\n    ')],
  }
}

import { isIP } from 'node:net'
import { canonical } from '../site/listeners.ts'
import type { Gateway } from './policy.ts'

/** An address as it may be part of a name in HAProxy, whatever its spelling: without brackets. */
export const nameOf = (address: string): string => canonical(address).replaceAll(/[[\]]/g, '')

/** One of two gateways as HAProxy calls it: by its own address, so that both call it the same. */
export const peerName = (address: string): string => `gateway-${nameOf(address)}`

/** The two ends of a pair, this one's first; undefined where this gateway is none of two. */
export function endsOf({ settings: { vip }, own }: Gateway): { own: string; other: string; port: number } | undefined {
  return vip && own !== undefined ? { own, other: vip.peer, port: vip.peers_port } : undefined
}

/** An address as HAProxy has it where a port may stand behind it. */
export const bracketed = (address: string): string => (isIP(address) === 6 ? `[${address}]` : address)

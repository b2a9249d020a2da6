import { isIP } from 'node:net'
import { unlessOff } from '../haproxy/ipv6.ts'
import type { Gateway, Listener } from './policy.ts'
import { foreign } from './vip.ts'

/** The `bind` lines of a listener, a line for each of its addresses; `words` is what stands behind each. */
export const bindsOf = (gateway: Gateway, listener: Listener, words: string): string[] =>
  listener.addresses.flatMap((address) => bind(address, listener, `${words}${foreign(gateway, address)}`))

/**
 * Linux marks a socket on an IPv6 address as v6only. Without that word here a reload does not know the inherited one
 * again, binds anew, pauses the old worker for that, and so closes the IPv4 socket that both share (seen with 2.6.12).
 */
function bind(address: string, { name, port }: Listener, words: string): string[] {
  if (isIP(address) !== 6) return [`bind ${address}:${port}${words}`]
  const line = `bind [${address}]:${port} v6only${words}`
  return name.startsWith('tailnet') ? unlessOff(line) : [line]
}

/** Lines of a section; what HAProxy reads as a condition of its own stands at the margin. */
export const indent = (lines: string[]): string =>
  lines.map((line) => (line.startsWith('.') ? line : `    ${line}`)).join('\n')

import { bringInIpv6, ipv6Came } from '../../haproxy/ipv6.ts'
import type { Duty } from '../duty.ts'

/** Brings the tailnet's IPv6 address in when it comes after the gateway has started without it. */
export const ipv6: Duty = {
  name: 'IPv6',
  everyMs: 5000,
  async run(host) {
    if (await ipv6Came(host)) await bringInIpv6(host)
  },
}

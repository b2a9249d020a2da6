import { bringInIpv6, ipv6Came } from '../../haproxy/ipv6.ts'
import { isDraining } from '../../haproxy/runtime.ts'
import type { Duty } from '../duty.ts'

/** Brings the tailnet's IPv6 address in when it comes after the gateway has started without it. */
export const ipv6: Duty = {
  name: 'IPv6',
  everyMs: 5000,
  async run(host) {
    // A reload would end the refusal of new requests, while Ollama is about to be restarted.
    if ((await ipv6Came(host)) && !(await isDraining(host))) await bringInIpv6(host)
  },
}

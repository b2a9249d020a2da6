import { refreshIdentities } from '../../people/refresh.ts'
import type { Duty } from '../duty.ts'

/** Ms without an answer of Tailscale after which it is a fault: until then it may just have been switched off and on, and what it said still counts. */
const patience = 90_000

/** Keeps the gateway's list of who is who on the tailnet young: it counts for 5 minutes. `steady` gives ms. */
export function identities(steady = () => performance.now()): Duty {
  let heard = steady()
  return {
    name: 'identities',
    everyMs: 30_000,
    async run(host) {
      if (await refreshIdentities(host)) heard = steady()
      else if (steady() - heard > patience)
        throw new Error(
          'Tailscale does not say who is who on the tailnet; what it said last counts for 5 minutes. See `tailscale status`.',
        )
    },
  }
}

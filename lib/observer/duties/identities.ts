import { refreshIdentities } from '../../people/refresh.ts'
import type { Duty } from '../duty.ts'

/** Keeps the gateway's list of who is who on the tailnet young: it counts for 5 minutes. */
export const identities: Duty = {
  name: 'identities',
  everyMs: 30_000,
  async run(host) {
    if (!(await refreshIdentities(host)))
      throw new Error(
        'Tailscale does not say who is who on the tailnet; what it said last counts for 5 minutes. See `tailscale status`.',
      )
  },
}

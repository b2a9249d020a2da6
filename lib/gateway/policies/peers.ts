import type { Gateway, Policy } from '../policy.ts'

/** What a stick table adds to outlive a reload: the old worker hands it to the new one over this section. */
export const keptBy = 'peers state'

/** The worker's only peer is its own successor, on loopback (haproxy-operations.md §6). What runs at once is counted anew: `conn_cur` is not handed over. */
export const peers = (gateway: Gateway): Policy => ({
  name: 'peers',
  lines: { global: ['localpeer gateway'] },
  sections: [`peers state\n    peer gateway 127.0.0.1:${gateway.settings.peers.port}`],
})

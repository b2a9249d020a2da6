import { refreshIdentities } from '../../identities/refresh.ts'
import type { Duty } from '../duty.ts'

/** Keeps the gateway's list of who is who on the tailnet young: it counts for 5 minutes. */
export const identities: Duty = { name: 'identities', everyMs: 30_000, run: refreshIdentities }

import type { Firewall } from '../platform.ts'

/** Linux has none that asks by program; what filters by address is told by the checks of the second wall. */
export const firewall: Firewall = {
  lets: () => ({
    id: 'firewall.haproxy',
    title: 'No firewall asks before HAProxy may be reached',
    question: '',
    asks: [],
    keeps: '',
    ask: async () => ({ is: 'good', saw: 'none that asks by program' }),
    make: async () => {},
  }),
}

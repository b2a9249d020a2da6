import { peerName } from '../gateway/pair.ts'
import { connectedTo } from '../haproxy/peers.ts'
import type { Look } from '../host/host.ts'
import type { VirtualRouter } from '../platform/platform.ts'
import { hasAddress } from '../site/here.ts'
import type { Machine } from '../site/machine.ts'
import { ownAddress, type Vip } from '../site/vip.ts'

/** Who has the address of the pair, as this machine sees it. */
export type Holder =
  | { is: 'here' | 'peer' | 'both' | 'nobody' }
  /** some other machine answers for it, by this hardware address */
  | { is: 'stranger'; hardware: string }

/** The pair as this machine sees it. */
export interface Pair {
  holder: Holder
  /** whether the other gateway is there at all */
  reachable: boolean
}

/** Asks who has the address now. */
export async function pairOf(look: Look, router: VirtualRouter, machine: Machine, vip: Vip): Promise<Pair> {
  const { interface: card, address, peer } = vip
  const other = await router.neighbour(look, card, peer)
  const reachable = other !== undefined
  if (await hasAddress(look, address)) {
    const own = ownAddress(machine, vip)?.address ?? card
    // A machine drops what comes from an address of its own: it answers everybody but the other one that has it, too.
    const both =
      reachable && (await router.answersTo(look, own, peer)) && !(await router.answersTo(look, address, peer))
    return { holder: { is: both ? 'both' : 'here' }, reachable }
  }
  const hardware = await router.neighbour(look, card, address)
  if (hardware === undefined) return { holder: { is: 'nobody' }, reachable }
  return { holder: hardware === other ? { is: 'peer' } : { is: 'stranger', hardware }, reachable }
}

/** What a person is told of who has it. */
export const heldBy = (holder: Holder, { address, peer }: Vip): string =>
  ({
    here: `this gateway has ${address}`,
    peer: `the other gateway (${peer}) has ${address}`,
    both: `both gateways have ${address}`,
    nobody: `nobody has ${address}`,
    stranger: `another machine${holder.is === 'stranger' ? ` (${holder.hardware})` : ''} has ${address}`,
  })[holder.is]

/** Whether the two gateways are connected, so that each knows what the other has counted. */
export const telling = async (look: Look, { peer }: Vip): Promise<boolean> =>
  (await connectedTo(look, peerName(peer))) === true

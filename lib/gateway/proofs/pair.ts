import { hasAddress } from '../../site/here.ts'
import { isVip } from '../../site/vip.ts'
import { type Check, skipped } from '../../steps/step.ts'
import type { Gateway, Listener } from '../policy.ts'

/**
 * What is asked of a listener on this gateway and no other: by an address of its own, where the listener has one beside
 * that of the pair, and else only while this gateway has that.
 */
export function askedHere({ settings }: Gateway, listener: Listener, make: (listener: Listener) => Check[]): Check[] {
  const own = listener.addresses.filter((address) => !isVip(settings, address))
  const [address] = listener.addresses
  if (own.length > 0 || address === undefined) return make({ ...listener, addresses: own })
  return make(listener).map((check) => ({
    ...check,
    check: async (look) =>
      (await hasAddress(look, address))
        ? check.check(look)
        : skipped(`this gateway does not have ${address} now, and its listener has no other address`),
  }))
}

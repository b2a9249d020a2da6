import { dnsNames, type Places, placesOf } from '../gateway/dns.ts'
import type { Gateway } from '../gateway/policy.ts'
import { called } from '../host/typed.ts'
import { type Check, missed, ok } from '../steps/step.ts'

const listed = (addresses: string[]): string => (addresses.length > 0 ? addresses.join(' and ') : 'no address')

/** A resolver of one's own says where the gateway is for neighbours, any other where it is on the internet. */
const right = (found: string[], { inside, outside }: Places): boolean =>
  [inside, outside].some((place) => found.length > 0 && found.every((address) => place.includes(address)))

const nameCheck = (resolver: string, name: string, places: Places): Check => ({
  id: `dns.${name}`,
  title: `${resolver} says where ${name} is`,
  async check(look) {
    const found = await look.resolve({ resolver, name })
    if (found === undefined) return missed(`${resolver} gives no answer`, 'Name a resolver that answers this machine.')
    if (right(found, places)) return ok(listed(found))
    const wanted = [places.inside, places.outside].filter((place) => place.length > 0).map(listed)
    return missed(
      `it gives ${listed(found)}, and not ${wanted.join(', or ')}`,
      `Write the record that ${called('dns')} prints.`,
    )
  },
})

/** Whether a resolver gives the gateway's addresses for each of its names; `border` as in `placesOf`. */
export const dnsChecks = (gateway: Gateway, resolver: string, border: string[]): Check[] =>
  dnsNames(gateway).map(({ name, inward }) => {
    const places = placesOf(gateway, border)
    return nameCheck(resolver, name, inward ? { ...places, outside: [] } : places)
  })

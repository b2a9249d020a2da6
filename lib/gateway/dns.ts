import { isIP } from 'node:net'
import { nodeHosts } from './nodes.ts'
import { inward } from './policies/tls.ts'
import type { Gateway } from './policy.ts'

/** The addresses under which names are found: by neighbours, and from the internet. */
export interface Places {
  inside: string[]
  outside: string[]
}

/** A name of ours in DNS, with the one it stands for where it is an alias (RFC 1034 §3.6.2). */
export interface DnsName {
  name: string
  alias?: string
  /** nobody comes to it from the internet */
  inward?: true
}

/** Where the gateway is found; `border` are the addresses of the machine in front of it, where there is one. */
export function placesOf({ listeners }: Gateway, border: string[]): Places {
  const at = (...names: string[]) =>
    listeners.filter(({ name }) => names.includes(name)).flatMap(({ addresses }) => addresses)
  const near = at('lan', 'inside')
  return { inside: near.length > 0 ? near : at('tailnet'), outside: border.length > 0 ? border : at('public') }
}

/** What only Tailscale's own resolver, or nobody's, may say. */
const foreign = /\.ts\.net$|\.local$|^[^.]*$|\*/

/** Every name that clients may ask for, the first as itself and the others as its aliases; wildcards stand for no name. */
export function dnsNames(gateway: Gateway): DnsName[] {
  const { tls, hosts } = gateway.settings
  const written = [...Object.keys(tls), ...hosts.map((host) => host.replace(/\.?(:\d+)?$/, '').toLowerCase())]
  const theirs = (gateway.services ?? []).map(({ name }) => name)
  const all = [...written, ...nodeHosts(gateway), ...theirs].filter((name) => isIP(name) === 0 && !/[[\]]/.test(name))
  const hidden = inward(gateway)
  const known = [...new Set(all)].filter((name) => !foreign.test(name))
  const first = known.find((name) => !hidden.includes(name)) ?? known[0]
  // A name that has a zone of its own has records that an alias must not stand beside.
  return known
    .map((name) => ({
      name,
      ...(name !== first && name.split('.').length > 2 ? { alias: first } : {}),
      ...(hidden.includes(name) ? { inward: true as const } : {}),
    }))
    .sort((one, other) => Number(other.name === first) - Number(one.name === first))
}

const type = (address: string): string => (isIP(address) === 6 ? 'AAAA' : 'A')

const zone = (names: DnsName[], addresses: string[]): string[] =>
  names.flatMap(({ name, alias }) =>
    alias === undefined
      ? addresses.map((address) => `${name}. 300 IN ${type(address)} ${address}`)
      : [`${name}. 300 IN CNAME ${alias}.`],
  )

const hosts = (names: DnsName[], addresses: string[]): string[] =>
  addresses.map((address) => [address, ...names.map(({ name }) => name)].join(' '))

const dnsmasq = (names: DnsName[], addresses: string[]): string[] =>
  names.map(({ name, alias }) =>
    alias === undefined ? ['host-record=', [name, ...addresses].join(',')].join('') : `cname=${name},${alias}`,
  )

/** How records are written: a zone file (RFC 1035 §5), hosts(5), dnsmasq(8). */
export const forms = { zone, hosts, dnsmasq } as const
export type Form = keyof typeof forms

/** The lines of records for one of the two places; none where it has no address. */
export const recordLines = (form: Form, names: DnsName[], addresses: string[]): string[] =>
  addresses.length > 0 ? forms[form](names, addresses) : []

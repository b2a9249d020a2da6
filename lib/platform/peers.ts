import { z } from 'zod'
import type { Look } from '../host/host.ts'
import { statusJson } from './tailscale.ts'

/** A device of the tailnet, as its coordination server vouches for it. */
export interface Peer {
  addresses: string[]
  /** in small letters; absent on a tagged device, which is nobody's */
  login?: string
  /** with `tag:` in front; none on a device that another tailnet shares */
  tags: string[]
  /** its MagicDNS name: the first word of it in this tailnet, whole when another tailnet shares it. Unique, unlike a host name, which every device chooses itself */
  device: string
  /** this machine */
  own: boolean
}

const node = z.object({
  DNSName: z.string().nullish(),
  UserID: z.number().nullish(),
  TailscaleIPs: z.array(z.unknown()).nullish(),
  Tags: z.array(z.string()).nullish(),
})
const user = z.object({ LoginName: z.string() })
const tailnet = z.object({ MagicDNSSuffix: z.string().nullish() })
const status = z.object({
  BackendState: z.literal('Running'),
  MagicDNSSuffix: z.string().nullish(),
  CurrentTailnet: tailnet.nullish(),
  Self: z.unknown(),
  Peer: z.record(z.string(), z.unknown()).nullish(),
  User: z.record(z.string(), z.unknown()).nullish(),
})
const address = z.union([z.ipv4(), z.ipv6()])

/** All devices of the tailnet, this machine first; undefined when Tailscale is not up or does not answer. */
export const tailnetPeers = async (look: Look): Promise<Peer[] | undefined> => parsePeers(await statusJson(look))

/** Devices in `tailscale status --json` (fields: tailscale's ipn/ipnstate/ipnstate.go). One that cannot be read is nobody, and takes nobody else away. */
export function parsePeers(text: string): Peer[] | undefined {
  const { success, data } = status.safeParse(parsed(text))
  if (!success) return undefined
  const own = node.safeParse(data.Self).data
  const suffix = data.MagicDNSSuffix || data.CurrentTailnet?.MagicDNSSuffix || suffixOf(own?.DNSName ?? '')
  const logins = new Map(Object.entries(data.User ?? {}).map(([id, one]) => [id, user.safeParse(one).data?.LoginName]))
  const of = (one: z.infer<typeof node>, own: boolean): Peer => {
    const { device, foreign } = named(one.DNSName ?? '', suffix)
    const tagged = (one.Tags ?? []).length > 0
    return {
      addresses: (one.TailscaleIPs ?? []).flatMap((text) => address.safeParse(text).data ?? []),
      login: tagged ? undefined : full(logins.get(`${one.UserID}`)),
      tags: foreign ? [] : (one.Tags ?? []),
      ...{ device, own },
    }
  }
  const others = Object.values(data.Peer ?? {}).flatMap((one) => node.safeParse(one).data ?? [])
  return [...(own ? [of(own, true)] : []), ...others.map((one) => of(one, false))]
}

/** What follows the first word of a MagicDNS name. */
const suffixOf = (dnsName: string): string => dnsName.replace(/\.$/, '').replace(/^[^.]*\.?/, '')

/** Headscale's users have no domain; its policies write them `name@`. */
const full = (login: string | undefined): string | undefined =>
  login && (login.includes('@') ? login : `${login}@`).toLowerCase()

function named(dnsName: string, suffix: string): { device: string; foreign: boolean } {
  const name = dnsName.replace(/\.$/, '').toLowerCase()
  const end = `.${suffix.toLowerCase()}`
  const foreign = suffix === '' || !name.endsWith(end)
  return { device: foreign ? name : name.slice(0, -end.length), foreign }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

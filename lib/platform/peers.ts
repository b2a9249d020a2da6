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
  TailscaleIPs: z.array(z.string()).nullish(),
  Tags: z.array(z.string()).nullish(),
})
const status = z.object({
  BackendState: z.literal('Running'),
  MagicDNSSuffix: z.string().nullish(),
  Self: node.nullish(),
  Peer: z.record(z.string(), node).nullish(),
  User: z.record(z.string(), z.object({ LoginName: z.string() })).nullish(),
})
const address = z.union([z.ipv4(), z.ipv6()])

/** All devices of the tailnet, this machine first; undefined when Tailscale is not up or does not answer. */
export const tailnetPeers = async (look: Look): Promise<Peer[] | undefined> => parsePeers(await statusJson(look))

/** Devices in `tailscale status --json` (fields: tailscale's ipn/ipnstate/ipnstate.go). */
export function parsePeers(text: string): Peer[] | undefined {
  const { success, data } = status.safeParse(parsed(text))
  if (!success) return undefined
  const logins = new Map(Object.entries(data.User ?? {}).map(([id, { LoginName }]) => [id, LoginName]))
  const of = (one: z.infer<typeof node>, own: boolean): Peer => {
    const { device, foreign } = named(one.DNSName ?? '', data.MagicDNSSuffix ?? '')
    const tagged = (one.Tags ?? []).length > 0
    return {
      addresses: (one.TailscaleIPs ?? []).filter((text) => address.safeParse(text).success),
      login: tagged ? undefined : full(logins.get(`${one.UserID}`)),
      tags: foreign ? [] : (one.Tags ?? []),
      ...{ device, own },
    }
  }
  return [...(data.Self ? [of(data.Self, true)] : []), ...Object.values(data.Peer ?? {}).map((one) => of(one, false))]
}

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

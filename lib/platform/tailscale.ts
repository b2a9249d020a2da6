import { z } from 'zod'
import { json } from '../host/command.ts'
import type { Look } from '../host/host.ts'
import { platformOf } from './here.ts'
import { parseServe, type Served } from './tailscale-serve.ts'

export type TailscaleVariant = 'standalone' | 'appstore' | 'formula'

/** What is known of Tailscale here. Only `state === 'Running'` says that the tailnet is up: `ip -4` answers when stopped, too. */
export interface Tailscale {
  /** path of the command, when one is installed */
  cli?: string
  variants: TailscaleVariant[]
  /** Tailscale's BackendState, or why there is none */
  state:
    | 'absent'
    | 'unreachable'
    | 'NoState'
    | 'InUseOtherUser'
    | 'NeedsLogin'
    | 'NeedsMachineAuth'
    | 'Stopped'
    | 'Starting'
    | 'Running'
  ipv4?: string
  ipv6?: string
  /** MagicDNS name without the dot at its end, in the letters that names have on the wire */
  name?: string
  /** MagicDNS is off: the name is known here, and no client finds this machine by it */
  unresolved?: boolean
  /** short name of the node */
  hostName?: string
  authUrl?: string
  expired?: boolean
  keyExpiry?: Date
  health: string[]
  /** what `tailscale serve` does with requests; undefined when it does not tell */
  serves?: Served[]
}

/** The app's own program first decides by its surroundings whether it is a window or a command; the variable settles it (tailscale/tailscale#7140). */
const candidates = [
  'tailscale',
  '/Applications/Tailscale.app/Contents/MacOS/Tailscale',
  '/opt/homebrew/bin/tailscale',
  '/usr/local/bin/tailscale',
]

const status = z.object({
  BackendState: z.string(),
  AuthURL: z.string().nullish(),
  HaveNodeKey: z.boolean().nullish(),
  TailscaleIPs: z.array(z.string().nullable()).nullish(),
  Health: z.array(z.string().nullable()).nullish(),
  CurrentTailnet: z.object({ MagicDNSEnabled: z.boolean().nullish() }).nullish(),
  Self: z
    .object({ DNSName: z.string().nullish(), HostName: z.string().nullish(), KeyExpiry: z.string().nullish() })
    .nullish(),
})

/** Tailscale's state, and what `tailscale serve` does. */
export async function surveyTailscale(look: Look): Promise<Tailscale> {
  const state = await tailscaleState(look)
  if (!state.cli) return { ...state, serves: [] }
  const serve = await look.query(['env', 'TAILSCALE_BE_CLI=1', state.cli, 'serve', 'status', '--json'])
  return { ...state, serves: serve.code === 0 ? parseServe(serve.stdout) : undefined }
}

/** `tailscale` as a person types it: the app's own program is on no PATH. */
export const typedTailscale = ({ cli = 'tailscale' }: Pick<Tailscale, 'cli'>): string =>
  cli.endsWith('/tailscale') ? 'tailscale' : cli

/** Reads `status --json`, which exits 0 in every state as long as the daemon answers. Where there is another door, its address stands in the tailnet's place. */
export async function tailscaleState(look: Look): Promise<Omit<Tailscale, 'serves'>> {
  const { door } = platformOf(look)
  if (door) return { variants: [], state: 'absent', ipv4: await door.address(look), health: [] }
  const cli = await look.find(candidates)
  const variants = await findVariants(look)
  if (!cli) return { variants, state: 'absent', health: [] }
  return { cli, variants, ...parseStatus(await statusOf(look, cli)) }
}

/** What `status --json` prints; empty without a command. A job may call it, too: the variable keeps the app's window shut, and what is no JSON (the app's complaint comes on stdout, with code 0) is for the reader to refuse. */
export async function statusJson(look: Look): Promise<string> {
  const cli = await look.find(candidates)
  return cli ? statusOf(look, cli) : ''
}

const statusOf = async (look: Look, cli: string): Promise<string> =>
  (await look.query(['env', 'TAILSCALE_BE_CLI=1', cli, 'status', '--json'], { timeoutMs: 15_000 })).stdout

/** The parts of `tailscale status --json` that matter here; `unreachable` for anything else. */
export function parseStatus(text: string): Omit<Tailscale, 'cli' | 'variants' | 'serves'> {
  const parsed = status.safeParse(json(text))
  if (!parsed.success) return { state: 'unreachable', health: [] }
  const { BackendState, Self, AuthURL, HaveNodeKey, Health, CurrentTailnet } = parsed.data
  const TailscaleIPs = parsed.data.TailscaleIPs?.filter((address) => address !== null)
  const expiry = Self?.KeyExpiry ? new Date(Self.KeyExpiry) : undefined
  return {
    state: BackendState as Tailscale['state'],
    ipv4: TailscaleIPs?.find((address) => !address.includes(':')),
    ipv6: TailscaleIPs?.find((address) => address.includes(':')),
    name: wireName(Self?.DNSName ?? ''),
    ...(CurrentTailnet?.MagicDNSEnabled === false && { unresolved: true }),
    hostName: Self?.HostName || undefined,
    authUrl: AuthURL || undefined,
    keyExpiry: expiry,
    expired: BackendState === 'NeedsLogin' && HaveNodeKey === true && (TailscaleIPs?.length ?? 0) > 0,
    health: Health?.filter((line) => line !== null) ?? [],
  }
}

/** A name as clients send it: small letters, and others as punycode. */
function wireName(text: string): string | undefined {
  const name = text.replace(/\.$/, '')
  return name !== '' && URL.canParse(`http://${name}`) ? new URL(`http://${name}`).hostname : undefined
}

/** Where clients find this machine: by its name while MagicDNS is on, else by its address. */
export const reachableAs = ({
  name,
  unresolved,
  ipv4,
}: Pick<Tailscale, 'name' | 'unresolved' | 'ipv4'>): string | undefined => (unresolved ? undefined : name) ?? ipv4

/** The App Store's copy carries a receipt; the formula's daemon is a program of Homebrew's (facts: tailscale.com/kb/1278). */
async function findVariants(look: Look): Promise<TailscaleVariant[]> {
  const app = await look.stat('/Applications/Tailscale.app')
  const receipt = await look.stat('/Applications/Tailscale.app/Contents/_MASReceipt')
  const daemon = await look.find(['tailscaled', '/opt/homebrew/bin/tailscaled', '/usr/local/bin/tailscaled'])
  return [
    ...(app ? [receipt ? ('appstore' as const) : ('standalone' as const)] : []),
    ...(daemon ? ['formula' as const] : []),
  ]
}

/** Whether an IPv4 address is Tailscale's (100.64.0.0/10; tailscale.com/kb/1015). */
export function isTailnet4(address: string): boolean {
  const [first, second] = address.split('.').map(Number)
  return first === 100 && second !== undefined && second >= 64 && second <= 127
}

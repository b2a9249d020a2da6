import type { Host } from '../host/host.ts'
import { typed } from '../host/typed.ts'
import { tailscaleState } from '../platform/tailscale.ts'
import { Unfit } from './judge.ts'
import type { Brought, Wanted } from './source.ts'

/** Where HTTPS is switched on for a tailnet (tailscale.com/kb/1153). */
const admin = 'https://login.tailscale.com/admin/dns'

/** What `tailscale cert` says when it gives none, and what helps. */
const faults: [said: RegExp, seen: string, todo: string][] = [
  [
    /does not support getting TLS certs/i,
    'HTTPS is switched off in your tailnet',
    `switch on MagicDNS and HTTPS Certificates at ${admin}`,
  ],
  [
    /invalid domain/i,
    'Tailscale gives none for this name',
    'use the name of this machine that `tailscale status` shows',
  ],
  [
    /no netmap|not logged in|NeedsLogin|logged out/i,
    'this machine is not logged in to the tailnet',
    'log in: tailscale up',
  ],
  [
    /access denied|cert access denied|must be root/i,
    'only root may ask Tailscale here',
    `let this user: sudo tailscale set --operator=$USER, or run ${typed('apply')} by sudo`,
  ],
  [/not defined: -?-?min-validity/i, 'this Tailscale is older than 1.72', 'upgrade it'],
  [/rate ?limit/i, 'the authority takes no more orders for this name now', 'wait: it is tried again'],
  [
    /lookup|dial tcp|connection refused|timeout/i,
    'Tailscale does not reach the authority',
    'look whether this machine is online: it is tried again',
  ],
]

/** A part of an hour is none for whoever counts in hours. */
const hours = (ms: number): number => Math.max(1, Math.ceil(ms / 3_600_000))

/**
 * The certificate that Tailscale gets for this machine's own name: one that lasts for another third of its life at least.
 * Both come on standard output: the App Store's Tailscale may write nowhere else.
 */
export async function fromTailscale(host: Host, { name, held, due }: Wanted): Promise<Brought> {
  if (!due) return undefined
  const { cli } = await tailscaleState(host)
  if (!cli) throw refused(name, 'Tailscale is not installed', 'install it')
  const lasts = held ? [`--min-validity=${hours((held.until.getTime() - held.from.getTime()) / 3)}h`] : []
  const words = ['env', 'TAILSCALE_BE_CLI=1', cli, 'cert', ...lasts, '--cert-file=-', '--key-file=-', name]
  const { code, stdout, stderr } = await host.run(words, { timeoutMs: 180_000, codes: [...Array(256).keys()] })
  if (code === 0) return stdout === '' ? undefined : { pem: stdout, source: 'from Tailscale' }
  const said = stderr.trim() || stdout.trim()
  const [, seen, todo] = faults.find(([words]) => words.test(said)) ?? []
  throw refused(
    name,
    seen ?? `Tailscale says "${said.split('\n').at(-1)?.slice(0, 200)}"`,
    todo ?? 'mend that: it is tried again',
  )
}

const refused = (name: string, seen: string, todo: string): Unfit =>
  new Unfit(`No certificate for ${name} came from Tailscale: ${seen}; ${todo}.`)

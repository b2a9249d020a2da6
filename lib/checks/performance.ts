import { bearer, type Target } from '../gateway/proofs/target.ts'
import type { Look, RawAnswer } from '../host/host.ts'
import { typed } from '../host/typed.ts'
import { platformOf } from '../platform/here.ts'
import { type Check, type Finding, missed, ok, skipped } from '../steps/step.ts'

const rounds = 3
const requests = 100
/** ms that the gateway may add to a request (median). */
const allowed = 1

/** One side of a comparison, each request on a connection of its own: ms to the whole answer, and to the connection. */
interface Side {
  whole: number[]
  connect: number[]
}

interface Round {
  direct: Side
  proxied: Side
}

/** What the gateway costs. */
export const performance = (target: Target): Check[] => [
  {
    id: 'performance.overhead',
    title: `The gateway adds less than ${allowed} ms to a request`,
    needs: ['haproxy.service'],
    async check(look) {
      if (!target.groups.includes('metadata')) return skipped('group metadata is not open')
      if (target.engineless) return skipped('this machine has no engine to compare it with')
      return measure(look, target)
    },
  },
]

/** A busy machine spoils a round, never three by chance: one good round is enough. */
async function measure(look: Look, target: Target): Promise<Finding> {
  const seen: string[] = []
  for (let number = 1; number <= rounds; number += 1) {
    const round = await oneRound(look, target)
    if ('is' in round) return round
    seen.push(inWords(round))
    if (costs(round).added < allowed) return ok(seen.at(-1) ?? '')
  }
  return missed(
    seen.join('; '),
    `Close what else runs on ${platformOf(look).words.here} and test again; then see ${typed('status')}.`,
  )
}

async function oneRound(look: Look, target: Target): Promise<Round | Finding> {
  const round: Round = { direct: { whole: [], connect: [] }, proxied: { whole: [], connect: [] } }
  for (let number = 0; number < requests; number += 1) {
    const direct = await version(look, target.engine)
    const proxied = await version(look, target)
    if (proxied.status === 429) return skipped('the gateway limits the rate of requests')
    if (direct.status !== 200 || proxied.status !== 200)
      return missed(
        `GET /api/version: ${direct.status || direct.error} directly, ${proxied.status || proxied.error} through the gateway`,
        `${typed('status')}`,
      )
    take(round.direct, direct)
    take(round.proxied, proxied)
  }
  return round
}

/** Each request on a new connection, on both sides alike. */
const version = (look: Look, { address, port, keys }: Pick<Target, 'address' | 'port' | 'keys'>): Promise<RawAnswer> =>
  look.probe({
    address,
    port,
    method: 'GET',
    target: '/api/version',
    headers: { host: `${address}:${port}`, ...bearer({ keys }) },
  })

/** The value below which this share (0 to 100) of the values lies, by nearest rank. */
export function percentile(values: number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.max(0, Math.ceil((share / 100) * sorted.length) - 1)] ?? 0
}

const median = (values: number[]): number => percentile(values, 50)

/**
 * macOS sends packets for the tailnet's own address into the tunnel, and Tailscale's process sends them back
 * (tailscale/tailscale wgengine/userspace.go, handleLocalPackets), while Ollama's address is the kernel's loopback. A
 * request on a new connection goes there and back twice: to connect, and to be answered. The kernel answers the first,
 * whatever the gateway does, so what connecting takes longer counts twice as way, and the rest is the gateway's. In ms.
 */
function costs({ direct, proxied }: Round): { way: number; added: number } {
  const way = Math.max(0, 2 * (median(proxied.connect) - median(direct.connect)))
  return { way, added: Math.max(0, median(proxied.whole) - median(direct.whole) - way) }
}

function take(side: Side, { ms, connectMs = 0 }: RawAnswer): void {
  side.whole.push(ms)
  side.connect.push(connectMs)
}

function inWords(round: Round): string {
  const figures = ({ whole }: Side) => `p50 ${median(whole).toFixed(2)} ms, p99 ${percentile(whole, 99).toFixed(2)} ms`
  const { way, added } = costs(round)
  return `adds ${added.toFixed(2)} ms (directly ${figures(round.direct)}; through the gateway ${figures(round.proxied)}, of which Tailscale’s way to this machine’s own address takes ${way.toFixed(2)} ms)`
}

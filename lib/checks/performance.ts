import type { Look, RawAnswer } from '../host.ts'
import { type Check, type Finding, missed, ok, skipped } from '../step.ts'
import { bearer, type Target } from './target.ts'

const rounds = 3
const requests = 100
/** ms that the gateway may add to a request (median). */
const allowed = 1

interface Round {
  direct: number[]
  proxied: number[]
}

/** What the gateway costs. */
export const performance = (target: Target): Check[] => [
  {
    id: 'performance.overhead',
    title: `The gateway adds less than ${allowed} ms to a request`,
    needs: ['haproxy.service'],
    async check(look) {
      if (!target.groups.includes('metadata')) return skipped('group metadata is not open')
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
    if (percentile(round.proxied, 50) - percentile(round.direct, 50) < allowed) return ok(seen.at(-1) ?? '')
  }
  return missed(seen.join('; '), 'Close what else runs on this Mac and test again; then see npx tsx status.ts.')
}

async function oneRound(look: Look, target: Target): Promise<Round | Finding> {
  const round: Round = { direct: [], proxied: [] }
  for (let number = 0; number < requests; number += 1) {
    const direct = await version(look, target.engine)
    const proxied = await version(look, target)
    if (proxied.status === 429) return skipped('the gateway limits the rate of requests')
    if (direct.status !== 200 || proxied.status !== 200)
      return missed(
        `GET /api/version: ${direct.status || direct.error} directly, ${proxied.status || proxied.error} through the gateway`,
        'npx tsx status.ts',
      )
    round.direct.push(direct.ms)
    round.proxied.push(proxied.ms)
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

function inWords({ direct, proxied }: Round): string {
  const figures = (values: number[]) =>
    `p50 ${percentile(values, 50).toFixed(2)} ms, p99 ${percentile(values, 99).toFixed(2)} ms`
  const added = percentile(proxied, 50) - percentile(direct, 50)
  return `adds ${added.toFixed(2)} ms (directly ${figures(direct)}; through the gateway ${figures(proxied)})`
}

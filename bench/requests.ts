import { type Haproxy, haproxies } from './haproxies.ts'
import { interleaved, over, type Seen, times } from './load.ts'
import { nginxLikeUs } from './others.ts'
import { goal, head, row, say, us } from './report.ts'
import { bareOf, type Field, type FieldOptions, openField, ours, tcpOf } from './targets.ts'

/** How long a run measures. */
export interface Rounds {
  rounds: number
  /** each */
  seconds: number
}

/** What requests may cost: processor time as so many of bare http's at 64 connections, and requests a second of its, by connections. */
interface Wanted {
  full: number
  tailnet: number
  share: Record<number, number>
}
const before3: Wanted = { full: 2.7, tailnet: 2.1, share: { 1: 0.68, 8: 0.6, 64: 0.5 } }
const since3: Wanted = { full: 2.2, tailnet: 1.8, share: { 1: 0.75, 8: 0.62, 64: 0.55 } }
/** ms over HAProxy tcp at one connection */
const addedAtOne = 0.05

export async function inField<T>(options: FieldOptions, use: (field: Field) => Promise<T>): Promise<T> {
  const field = await openField(options)
  try {
    return await use(field)
  } finally {
    await field.stop()
  }
}

type Results = Map<string, Seen>

/** Each target beside bare http of its HAProxy, or of the newest. */
function table(results: Results, versionOf: (name: string) => string): void {
  head('target', 'processor time', 'of bare http', 'requests/s', 'of bare http', 'p50', 'over HAProxy tcp', 'p99')
  for (const [name, seen] of results) {
    const version = versionOf(name)
    const [bare, tcp] = [results.get(bareOf(version)) ?? seen, results.get(tcpOf(version)) ?? seen]
    row(
      ...[name, `${seen.cpu.toFixed(1)} µs`, `×${times(seen, bare, 'cpu').toFixed(2)}`],
      ...[Math.round(seen.perSecond), times(seen, bare, 'perSecond').toFixed(2)],
      ...[us(seen.p50), us(over(seen, tcp, 'p50')), us(seen.p99)],
    )
  }
}

const at = (connections: number): string => `${connections} connection${connections === 1 ? '' : 's'}`

function goalsOf(results: Results, { version }: Haproxy, connections: number): void {
  const [tcp, bare, tailnet, full] = [tcpOf(version), bareOf(version), `${version} tailnet`, `${version} full`].map(
    (name) => results.get(name),
  )
  if (!tcp || !bare || !tailnet || !full) return
  const wanted = Number.parseInt(version, 10) < 3 ? before3 : since3
  const atMost = (what: string, seen: number, most: number) =>
    goal(`${version} ${what}`, `×${seen.toFixed(2)}`, seen <= most, `at most ×${most}`)
  if (connections === 64) {
    atMost('full, processor time of bare http, 64 connections', times(full, bare, 'cpu'), wanted.full)
    atMost('tailnet, processor time of bare http, 64 connections', times(tailnet, bare, 'cpu'), wanted.tailnet)
  }
  const [share, least] = [times(full, bare, 'perSecond'), wanted.share[connections] ?? 0]
  goal(
    `${version} full, requests/s of bare http, ${at(connections)}`,
    share.toFixed(2),
    share >= least,
    `at least ${least}`,
  )
  if (connections > 1) return
  const added = over(full, tcp, 'p50')
  goal(
    `${version} full, p50 over HAProxy tcp, ${at(connections)}`,
    us(added),
    added <= addedAtOne,
    `at most ${us(addedAtOne)}`,
  )
}

/** Beside the nginx that does what it can of the same. */
function besideNginx(results: Results, found: Haproxy[], connections: number): void {
  const nginx = results.get(nginxLikeUs)
  if (!nginx) return
  const said = found.flatMap(({ version }) => {
    const full = results.get(`${version} full`)
    if (!full) return []
    const ratios = [times(full, nginx, 'cpu').toFixed(2), times(full, nginx, 'perSecond').toFixed(2)]
    return [`${version} ×${ratios[0]} of its processor time, ${ratios[1]} of its requests/s`]
  })
  say(`\nFull beside the nginx that does the same, ${at(connections)}: ${said.join('; ')}.`)
}

/** What a request costs behind everything at 1, 8 and 64 connections, with a short body and a long one. */
export async function requests({ rounds, seconds }: Rounds): Promise<void> {
  const { found, missing: noHaproxy } = await haproxies()
  const newest = found.at(-1)?.version ?? ''
  await inField({ haproxies: found, ours, others: true }, async ({ targets, missing }) => {
    for (const why of [...noHaproxy, ...missing]) say(`not here: ${why}`)
    const versionOf = (name: string) => targets.find((target) => target.name === name)?.version ?? newest
    for (const [connections, bytes] of [
      [1, 80],
      [8, 80],
      [64, 80],
      [64, 50_000],
    ] as const) {
      const how = `median of ${rounds} interleaved rounds of ${seconds} s`
      say(`\n### ${at(connections)}, body of ${bytes} bytes: ${how}\n`)
      const results = await interleaved(targets, rounds, { connections, bytes, seconds })
      table(results, versionOf)
      if (bytes === 80) for (const one of found) goalsOf(results, one, connections)
      besideNginx(results, found, connections)
    }
  })
}

/** What looking for the model in a body of 100 KB takes. */
export async function judged({ rounds, seconds }: Rounds): Promise<void> {
  const { found } = await haproxies()
  const { full, 'full, model list': list } = ours
  await inField({ haproxies: found, ours: { full, list } }, async ({ targets }) => {
    const results = await interleaved(targets, rounds, { connections: 1, bytes: 100_000, seconds })
    for (const { version } of found) {
      const [list, full] = [results.get(`${version} list`), results.get(`${version} full`)]
      if (!list || !full) continue
      const added = over(list, full, 'p50')
      goal(`${version} judging a body of 100 KB`, us(added), added <= 0.2, 'at most 200 µs')
    }
  })
}

import { mapText, parseMap } from '../../haproxy/map-text.ts'
import { setRunningMap } from '../../haproxy/runtime.ts'
import { detailsOf, type Stream, sightings, streams } from '../../haproxy/streams.ts'
import type { Host, Look } from '../../host/look.ts'
import { probing } from '../../people/records.ts'
import { places } from '../../platform/here.ts'
import { type Budget, budgetText } from '../../site/budget.ts'
import type { Duty } from '../duty.ts'
import { type Counter, dayOf, type Use } from '../usage.ts'

const spentFile = (look: Look): string => `${places(look).keyMaps}/spent.map`

const midnightAfter = (at: Date): Date => new Date(at.getFullYear(), at.getMonth(), at.getDate() + 1)

/** Tells HAProxy who gets no more until midnight, by what was counted of this day and by what runs now. */
export function budgets(
  { used }: Pick<Counter, 'used'>,
  now = () => new Date(),
  steady = () => performance.now(),
): Duty {
  const sight = sightings(steady)
  /** whether the last word reached the running gateway */
  let heard = false
  return {
    name: 'budgets',
    everyMs: 1000,
    async run(host) {
      const at = now()
      const given = await readBudgets(host)
      const counted = given.size > 0 ? await used(host, dayOf(at)) : {}
      let unknown: Error | undefined
      // A worker that does not tell what runs in it must not keep those from being stopped whose share is counted.
      const open = await underWay(host, given, sight).catch((error) => {
        unknown = error
        return new Map<string, Use>()
      })
      const before = heard
      heard = false
      await publish(host, spent(given, counted, open, midnightAfter(at)), before)
      heard = true
      if (unknown) throw unknown
    },
  }
}

const plus = (one: Use = { ms: 0, bytes: 0 }, other: Use = { ms: 0, bytes: 0 }): Use => ({
  ms: one.ms + other.ms,
  bytes: one.bytes + other.bytes,
})

/** `budgets.map` as keys.ts writes it: who, or `*` for everybody else -> `seconds|bytes`, 0 is no end. */
async function readBudgets(look: Look): Promise<Map<string, Budget>> {
  const lines = parseMap((await look.read(`${places(look).keyMaps}/budgets.map`)) ?? '')
  return new Map(
    [...lines].map(([who, line]) => {
      const [seconds, bytes] = line.split('|').map(Number)
      return [who, { seconds: seconds || undefined, bytes: bytes || undefined }]
    }),
  )
}

/** The requests that the engine has; those in the queue of the loading slot are with a server, too. */
async function running(look: Look): Promise<Stream[]> {
  const found: Stream[] = []
  for (const stream of await streams(look))
    if (stream.server === 'engine' || (stream.server && !(await detailsOf(look, stream)).waiting)) found.push(stream)
  return found
}

/** What the requests that the engine has now use, by who, since they were first seen there: HAProxy tells nobody of them before they end. */
async function underWay(
  look: Look,
  given: Map<string, Budget>,
  sight: ReturnType<typeof sightings>,
): Promise<Map<string, Use>> {
  const uses = new Map<string, Use>()
  if (given.size === 0) return uses
  const found = await running(look)
  const seenFor = sight(found)
  for (const stream of found) {
    const limited = (given.get(stream.who) ?? given.get('*'))?.bytes !== undefined
    const bytes = limited ? (await detailsOf(look, stream)).bytes : 0
    uses.set(stream.who, plus(uses.get(stream.who), { ms: seenFor(stream), bytes }))
  }
  return uses
}

/** Who gets nothing more -> `until (unix time)|what is spent|the same time in words`. */
function spent(
  given: Map<string, Budget>,
  used: Record<string, Use>,
  open: Map<string, Use>,
  until: Date,
): Map<string, string> {
  // A request in a group that needs no key is nobody's.
  const names = [...new Set([...Object.keys(used), ...open.keys()])].filter(Boolean)
  return new Map(
    names.flatMap((who): [string, string][] => {
      const { seconds = Number.POSITIVE_INFINITY, bytes = Number.POSITIVE_INFINITY } =
        given.get(who) ?? given.get('*') ?? {}
      const sum = plus(used[who], open.get(who))
      const over: Budget = { ...(sum.ms >= seconds * 1000 && { seconds }), ...(sum.bytes >= bytes && { bytes }) }
      return budgetText(over) ? [[who, `${until.getTime() / 1000}|${budgetText(over)}|${dayOf(until)}`]] : []
    }),
  )
}

/** File first; the running worker is asked each time, since one that came meanwhile may have read an older file, and once more when the last word, or that of an observer before this one, may not have reached it. */
async function publish(host: Host, lines: Map<string, string>, heard: boolean): Promise<void> {
  const text = mapText(lines)
  const before = (await host.read(spentFile(host))) ?? ''
  if (heard && before === '' && text === '') return
  if (before !== text) await host.write(spentFile(host), text, 0o600, { flush: false })
  await setRunningMap(host, 'keys/spent.map', lines, (who) => who.startsWith(probing))
}

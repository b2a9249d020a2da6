import { z } from 'zod'
import { endpoints } from '../../endpoints.ts'
import { type Budget, budgetText } from '../../keys/budget.ts'
import { mapText, parseMap, probing } from '../../keys/maps.ts'
import type { Host, Look } from '../../look.ts'
import { places } from '../../places.ts'
import { setRunningMap } from '../../proxy/runtime.ts'
import type { Duty } from '../duty.ts'
import { detailsOf, type Stream, streams } from '../streams.ts'
import { secondsOf, type Timed } from '../usage.ts'

const use = z.object({ ms: z.number(), bytes: z.number() })
const schema = z.object({ day: z.string(), used: z.record(z.string(), use) })
type Use = z.infer<typeof use>

/** What it has to know of a request that has ended. */
export interface Spending extends Timed {
  who: string
  bytes: number
}

/** Says who has used up the share of this day; `ended` is to hear of every request that has ended. */
export interface BudgetsDuty extends Duty {
  ended(entry: Spending): void
}

/** The file of what was used today, which outlives the observer. */
export const usedFile = (home: string): string => `${places(home).state}/budgets.json`
const spentFile = (look: Look): string => `${places(look.home).keyMaps}/spent.map`

/** The day on this machine's clock. */
const dayOf = (at: Date): string =>
  [at.getFullYear(), at.getMonth() + 1, at.getDate()].map((part) => `${part}`.padStart(2, '0')).join('-')
const midnightAfter = (at: Date): Date => new Date(at.getFullYear(), at.getMonth(), at.getDate() + 1)

/** Counts what everybody uses, and tells HAProxy who gets no more until midnight. */
export function budgets(now: () => Date = () => new Date()): BudgetsDuty {
  let ledger: z.infer<typeof schema> | undefined
  let saved = ''
  const unsaved: Spending[] = []
  const since = new Map<string, number>()
  const add = (who: string, ms: number, bytes: number) => {
    if (ledger) ledger.used[who] = plus(ledger.used[who], { ms, bytes })
  }
  return {
    name: 'budgets',
    everyMs: 1000,
    ended: (entry) => void (entry.who && entry.end !== 'denied' && asksModel(entry) && unsaved.push(entry)),
    async run(host) {
      const at = now()
      const given = await readBudgets(host)
      ledger = today(ledger ?? (await readUsed(host)), dayOf(at))
      if (given.size === 0) unsaved.length = 0
      for (const one of unsaved.splice(0)) add(one.who, secondsOf(one) * 1000, one.bytes)
      const text = `${JSON.stringify(ledger)}\n`
      if (given.size > 0 && text !== saved) await host.write(usedFile(host.home), text)
      saved = text
      const open = given.size > 0 ? await follow(host, since, given, at.getTime()) : new Map<string, Use>()
      await publish(host, spent(given, ledger.used, open, midnightAfter(at)))
    },
  }
}

const asksModel = ({ method, path }: Spending): boolean =>
  endpoints.some((row) => row.backend === 'inference' && row.method === method && row.path === path)

const plus = (one: Use = { ms: 0, bytes: 0 }, other: Use = { ms: 0, bytes: 0 }): Use => ({
  ms: one.ms + other.ms,
  bytes: one.bytes + other.bytes,
})

const today = (ledger: z.infer<typeof schema> | undefined, day: string): z.infer<typeof schema> =>
  ledger?.day === day ? ledger : { day, used: {} }

/** What was used is a help, not a truth to stop for: a file that somebody broke is begun anew. */
async function readUsed(look: Look): Promise<z.infer<typeof schema> | undefined> {
  try {
    return schema.parse(JSON.parse((await look.read(usedFile(look.home))) ?? ''))
  } catch {
    return undefined
  }
}

/** `budgets.map` as keys.ts writes it: who, or `*` for everybody else -> `seconds|bytes`, 0 is no end. */
async function readBudgets(look: Look): Promise<Map<string, Budget>> {
  const lines = parseMap((await look.read(`${places(look.home).keyMaps}/budgets.map`)) ?? '')
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
async function follow(
  look: Look,
  since: Map<string, number>,
  given: Map<string, Budget>,
  now: number,
): Promise<Map<string, Use>> {
  const uses = new Map<string, Use>()
  const found = await running(look)
  const name = ({ client, started }: Stream) => `${client} ${started}`
  for (const known of since.keys()) if (!found.some((stream) => name(stream) === known)) since.delete(known)
  for (const stream of found) {
    const from = since.get(name(stream)) ?? now
    since.set(name(stream), from)
    const limited = (given.get(stream.who) ?? given.get('*'))?.bytes !== undefined
    const bytes = limited ? (await detailsOf(look, stream)).bytes : 0
    uses.set(stream.who, plus(uses.get(stream.who), { ms: now - from, bytes }))
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
  const names = [...new Set([...Object.keys(used), ...open.keys()])]
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

/** File first; the running worker is asked each time, since one that came meanwhile may have read an older file. */
async function publish(host: Host, lines: Map<string, string>): Promise<void> {
  const text = mapText(lines)
  const before = (await host.read(spentFile(host))) ?? ''
  if (before === '' && text === '') return
  if (before !== text) await host.write(spentFile(host), text)
  await setRunningMap(host, 'keys/spent.map', lines, (who) => who.startsWith(probing))
}

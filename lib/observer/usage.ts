import { z } from 'zod'
import type { Position } from '../host/appended.ts'
import type { Host, Look } from '../host/host.ts'
import { places } from '../platform/here.ts'
import { endpoints } from '../site/endpoints.ts'
import type { Duty } from './duty.ts'
import type { Ended } from './ended.ts'

const share = z.object({
  requests: z.number(),
  /** those of them that the gateway refused */
  refused: z.number(),
  /** of the engine's time: from the queue's end to the answer's */
  seconds: z.number(),
  /** sent to the client, heads included */
  bytes: z.number(),
})
/** What somebody had of a model on one day. */
export type Share = z.infer<typeof share>

const use = z.object({ ms: z.number(), bytes: z.number() })
/** What counts for somebody's share of a day: the engine's time, and the bytes of its answers. */
export type Use = z.infer<typeof use>

const schema = z.object({
  /** by who (key, person or address), then by model (empty where the gateway knows none) */
  who: z.record(z.string(), z.record(z.string(), share)),
  /** by key or person */
  used: z.record(z.string(), use).default({}),
  /** by node, where there are several engines */
  nodes: z.record(z.string(), share).optional(),
})
/** What everybody had on one day. */
export type Usage = z.infer<typeof schema>

const position = z.object({ id: z.string(), offset: z.number() })
const book = z.object({
  /** up to where the requests have been counted */
  read: position.optional(),
  /** the days that are still counted, each as a whole */
  days: z.record(z.string(), schema),
})
type Book = z.infer<typeof book>

/** Days that are kept. */
const keptDays = 90
/** People and models that are told apart on one day; what is more is `others`, since clients choose the names. */
const most = { who: 1000, models: 100 }
const others = 'others'

const fileOf = (look: Look, day: string): string => `${places(look).usage}/${day}.json`
const bookFile = (look: Look): string => `${places(look).usage}/open.json`

/** The day of this machine's calendar on which something happened. */
export function dayOf(at: Date): string {
  const two = (part: number) => `${part}`.padStart(2, '0')
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
}

/** What a file holds; undefined when there is none, or none that can be read: counts are a help, not a truth to stop for. */
async function parsed<T>(look: Look, file: string, form: z.ZodType<T>): Promise<T | undefined> {
  try {
    return form.parse(JSON.parse((await look.read(file)) ?? ''))
  } catch {
    return undefined
  }
}

const closedDay = async (look: Look, day: string): Promise<Usage> =>
  (await parsed(look, fileOf(look, day), schema)) ?? { who: {}, used: {} }

const closedDays = async (look: Look): Promise<string[]> =>
  (await look.list(places(look).usage)).flatMap((name) => /^(\d{4}-\d\d-\d\d)\.json$/.exec(name)?.[1] ?? [])

const readBook = async (look: Look): Promise<Book> => (await parsed(look, bookFile(look), book)) ?? withoutBook(look)

/** Without it: a day's own file says how far the log was read by then; before there was one, shares of the day had a file of their own. */
async function withoutBook(look: Look): Promise<Book> {
  const newest = (await closedDays(look)).at(-1) ?? ''
  const counted = await parsed(look, fileOf(look, newest), z.object({ read: position.optional() }))
  const form = z.object({ day: z.string(), used: z.record(z.string(), use) })
  const shares = await parsed(look, `${places(look).state}/budgets.json`, form)
  const days = shares ? { [shares.day]: { ...(await closedDay(look, shares.day)), used: shares.used } } : {}
  return { read: counted?.read, days }
}

/** What was used from this day on (YYYY-MM-DD; all days when absent), by day, oldest first. */
export async function readUsage(look: Look, first = ''): Promise<Map<string, Usage>> {
  const { days } = await readBook(look)
  const names = [...new Set([...(await closedDays(look)), ...Object.keys(days)])].filter((day) => day >= first).sort()
  return new Map(await Promise.all(names.map(async (day) => [day, days[day] ?? (await closedDay(look, day))] as const)))
}

/** Up to where the requests have been counted; undefined when none were. */
export const countedUpTo = async (look: Look): Promise<Position | undefined> => (await readBook(look)).read

const generating = new Set(
  endpoints.filter(({ backend }) => backend === 'inference').map(({ method, path }) => `${method}:${path}`),
)

/** What it needs to know of a request for that. */
export type Timed = Pick<Ended, 'method' | 'path' | 'end' | 'queueMs' | 'totalMs'>

const generated = ({ method, path, end }: Timed): boolean => end !== 'denied' && generating.has(`${method}:${path}`)

/** Seconds in which the engine worked for a request; none when it was refused, or left while it waited. */
export const secondsOf = (request: Timed): number =>
  generated(request) && request.queueMs >= 0 ? Math.max(0, request.totalMs - request.queueMs) / 1000 : 0

/** Who it was: by key or identity, else by address. */
export const whoOf = ({ who, address }: Ended): string => who || address

const nothing = (): Share => ({ requests: 0, refused: 0, seconds: 0, bytes: 0 })

function add(share: Share, request: Ended): void {
  share.requests += 1
  share.refused += request.end === 'denied' ? 1 : 0
  share.seconds = Math.round((share.seconds + secondsOf(request)) * 1000) / 1000
  share.bytes += request.bytes
}

/** Adds one request to a day. */
export function count(day: Usage, request: Ended): void {
  const { who: people, used } = day
  const models = entry(people, whoOf(request), most.who, () => ({}))
  const own = entry(models, request.model, most.models, nothing)
  add(own, request)
  if (request.node) {
    day.nodes ??= {}
    add(entry(day.nodes, request.node, most.models, nothing), request)
  }
  if (!request.who || !generated(request)) return
  // Not bounded: who it is was known to the gateway.
  const spent = entry(used, whoOf(request), Number.POSITIVE_INFINITY, () => ({ ms: 0, bytes: 0 }))
  spent.ms += secondsOf(request) * 1000
  spent.bytes += request.bytes
}

/** Names come from outside: `__proto__` is one, and reading the file again would lose it. */
function entry<T>(record: Record<string, T>, wanted: string, limit: number, make: () => T): T {
  const own = wanted !== '__proto__' && (Object.hasOwn(record, wanted) || Object.keys(record).length < limit)
  const name = own ? wanted : others
  if (!Object.hasOwn(record, name)) record[name] = make()
  return record[name] as T
}

export interface Counter extends Duty {
  /** up to where an earlier observer has counted */
  start: Position | undefined
  take(requests: Ended[], upTo: Position): void
  /** up to where the counts are safe on disk */
  kept(): Position | undefined
  /** what counts for everybody's share of a day, with all that has been taken */
  used(host: Host, day: string): Promise<Record<string, Use>>
}

/** A time that cannot be read is now. */
const dayOfEnd = ({ time, totalMs }: Ended): string =>
  dayOf(new Date((Date.parse(time) || Date.now()) + Math.max(0, totalMs)))

/**
 * Counts who uses what. One file holds the days that are still counted and how far the log was read for them, and is
 * replaced as a whole, so that no kill makes anything count twice; a day that is over gets a file of its own.
 */
export async function usage(look: Look, now = () => new Date()): Promise<Counter> {
  const { read: start, days } = await readBook(look)
  let [read, reached] = [start, start]
  let waiting: { day: string; request: Ended }[] = []
  let saved = true
  let kept = start

  async function open(host: Host, day: string): Promise<Usage> {
    const found = days[day] ?? (await closedDay(host, day))
    days[day] ??= found
    return days[day]
  }
  /** Counts what waits. Its days are opened first: the counts, and how far they go, then change in one step. */
  async function settle(host: Host): Promise<void> {
    const unopened = () => waiting.find(({ day }) => !days[day])
    for (let next = unopened(); next; next = unopened()) await open(host, next.day)
    for (const { day, request } of waiting) count(days[day] as Usage, request)
    if (reached !== read) saved = false
    read = reached
    waiting = []
  }
  async function save(host: Host): Promise<void> {
    saved = true
    const upTo = read
    await host.write(bookFile(host), `${JSON.stringify({ read, days })}\n`).catch((error) => {
      saved = false
      throw error
    })
    kept = upTo
  }
  /** What the book does not hold yet must not stand in a day's own file; a day leaves the book with its next write, and counts there until then. */
  async function close(host: Host): Promise<void> {
    const over = Object.keys(days).find((day) => day !== dayOf(now()))
    if (!saved || over === undefined) return
    await host.write(fileOf(host, over), `${JSON.stringify({ ...days[over], read })}\n`)
    if (!saved) return
    delete days[over]
    for (const day of (await closedDays(host)).slice(0, -keptDays)) await host.remove(fileOf(host, day))
  }
  return {
    name: 'usage',
    everyMs: 1000,
    start,
    kept: () => kept,
    take(requests, upTo) {
      waiting.push(...requests.map((request) => ({ day: dayOfEnd(request), request })))
      reached = upTo
    },
    async used(host, day) {
      await settle(host)
      return (await open(host, day)).used
    },
    async run(host) {
      await settle(host)
      if (!saved) await save(host)
      await close(host)
    },
  }
}

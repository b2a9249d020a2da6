import { z } from 'zod'
import { endpoints } from '../endpoints.ts'
import type { Host, Look } from '../host.ts'
import { probing } from '../keys/maps.ts'
import { places } from '../places.ts'
import type { Duty } from './duty.ts'
import type { Ended } from './ended.ts'
import type { Position } from './follow.ts'

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

const schema = z.object({
  /** up to where the requests have been counted */
  read: z.object({ id: z.string(), offset: z.number() }).optional(),
  /** by who (key, person or address), then by model (empty where the gateway knows none) */
  who: z.record(z.string(), z.record(z.string(), share)),
})
/** What everybody had on one day. */
export type Usage = z.infer<typeof schema>

/** Days that are kept. */
const keptDays = 90
/** People and models that are told apart on one day; what is more is `others`, since clients choose the names. */
const most = { who: 1000, models: 100 }
const others = 'others'

const fileOf = (look: Look, day: string): string => `${places(look.home).usage}/${day}.json`

/** The day of this machine's calendar on which something happened. */
export function dayOf(at: Date): string {
  const two = (part: number) => `${part}`.padStart(2, '0')
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
}

/** What was used on a day, such as 2026-11-21; nothing when there is no file, or none that can be read. */
export async function readUsage(look: Look, day: string): Promise<Usage> {
  try {
    return schema.parse(JSON.parse((await look.read(fileOf(look, day))) ?? ''))
  } catch {
    return { who: {} }
  }
}

/** The days that have been counted, oldest first. */
export const usageDays = async (look: Look): Promise<string[]> =>
  (await look.list(places(look.home).usage)).flatMap((name) => /^(\d{4}-\d\d-\d\d)\.json$/.exec(name)?.[1] ?? [])

/** Up to where an earlier observer has counted; undefined when there was none. */
export async function countedUpTo(look: Look): Promise<Position | undefined> {
  const newest = (await usageDays(look)).at(-1)
  return newest === undefined ? undefined : (await readUsage(look, newest)).read
}

const generating = new Set(
  endpoints.filter(({ backend }) => backend === 'inference').map(({ method, path }) => `${method}:${path}`),
)

/** What it needs to know of a request for that. */
export type Timed = Pick<Ended, 'method' | 'path' | 'end' | 'queueMs' | 'totalMs'>

/** Seconds in which the engine worked for a request; none when it was refused, or left while it waited. */
export function secondsOf({ method, path, end, queueMs, totalMs }: Timed): number {
  if (end === 'denied' || queueMs < 0 || !generating.has(`${method}:${path}`)) return 0
  return Math.max(0, totalMs - queueMs) / 1000
}

/** Who it was: by key or identity, else by address. */
export const whoOf = ({ who, address }: Ended): string => (who.startsWith(probing) ? probing : who || address)

/** Adds one request to a day. */
export function count({ who: people }: Usage, request: Ended): void {
  const models = entry(people, whoOf(request), most.who, () => ({}))
  const own = entry(models, request.model, most.models, () => ({ requests: 0, refused: 0, seconds: 0, bytes: 0 }))
  own.requests += 1
  own.refused += request.end === 'denied' ? 1 : 0
  own.seconds = Math.round((own.seconds + secondsOf(request)) * 1000) / 1000
  own.bytes += request.bytes
}

/** Names come from outside: `__proto__` is one, and reading the file again would lose it. */
function entry<T>(record: Record<string, T>, wanted: string, limit: number, make: () => T): T {
  const full = Object.keys(record).length >= limit
  const own = wanted !== '__proto__' && (Object.hasOwn(record, wanted) || !full)
  const name = own ? wanted : others
  if (!Object.hasOwn(record, name)) record[name] = make()
  return record[name] as T
}

export interface Counter extends Duty {
  take(requests: Ended[], upTo: Position): void
}

/** Counts who uses what: a file a day, replaced as a whole together with how far it counts, so that nothing counts twice. */
export function usage(): Counter {
  let waiting: Ended[] = []
  let read: Position | undefined
  return {
    name: 'usage',
    everyMs: 1000,
    take(requests, upTo) {
      waiting.push(...requests)
      read = upTo
    },
    async run(host) {
      const batch = waiting
      const upTo = read
      if (batch.length === 0 || !upTo) return
      waiting = []
      await save(host, batch, upTo).catch((error) => {
        waiting = [...batch, ...waiting]
        throw error
      })
    },
  }
}

/** A time that cannot be read is now. */
const dayOfEnd = ({ time, totalMs }: Ended): string =>
  dayOf(new Date((Date.parse(time) || Date.now()) + Math.max(0, totalMs)))

/** By the day on which each ended. */
async function save(host: Host, batch: Ended[], read: Position): Promise<void> {
  for (const day of [...new Set(batch.map(dayOfEnd))].sort()) {
    const counted = await readUsage(host, day)
    for (const request of batch) if (dayOfEnd(request) === day) count(counted, request)
    await host.write(fileOf(host, day), `${JSON.stringify({ ...counted, read })}\n`)
  }
  for (const day of (await usageDays(host)).slice(0, -keptDays)) await host.remove(fileOf(host, day))
}

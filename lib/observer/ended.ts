import { z } from 'zod'

/** How a request ended. */
export type End =
  | 'done'
  | 'client left waiting'
  | 'client left in the stream'
  | 'engine broke'
  | 'engine silent'
  | 'denied'
  | 'cut'
  | 'gateway broke'

/** One request that has ended, as HAProxy's log line tells it; texts that it does not know are empty, times that it does not know -1. */
export interface Ended {
  /** when it began, ISO 8601 in UTC */
  time: string
  /** the same that the client got as x-request-id */
  id: string
  address: string
  who: string
  /** whom the tailnet has at this address */
  login: string
  device: string
  agent: string
  group: string
  method: string
  path: string
  model: string
  status: number
  bytes: number
  /** in the gateway's queue */
  queueMs: number
  /** from the engine's connection to its first byte */
  firstByteMs: number
  totalMs: number
  end: End
  /** the policy that refused it, when it ended so */
  denied: string
  /** the node that served it, and which way it came there; absent where there is one engine */
  node?: string
  route?: string
}

/** A time below zero is none: HAProxy writes -1 for what it does not know. */
const ms = z.number().transform((value) => Math.max(-1, value))

/** HAProxy writes a dash for what it does not know. */
const text = z.string().transform((value) => (value === '-' ? '' : value))

const schema = z.object({
  time: z.string(),
  id: text,
  address: text,
  who: text,
  login: text,
  device: text,
  agent: text,
  group: text,
  method: text,
  path: text,
  model: text,
  status: z.number(),
  bytes: z.number(),
  queueMs: ms,
  firstByteMs: ms,
  totalMs: ms,
  end: z.string(),
  denied: text,
  node: text.optional(),
  route: text.optional(),
})

/** Reads a line of the access log; undefined when it is none. */
export function parseEnded(line: string): Ended | undefined {
  const { success, data } = schema.safeParse(parsed(line))
  if (!success) return undefined
  const said = endOf(data.end, data.status)
  // An observer that does not answer is no engine that broke: what it would have told is refused (lists.ts).
  const end = said.startsWith('engine') && data.denied ? 'denied' : said
  return { ...data, time: isoTime(data.time), end, denied: end === 'denied' ? deniedBy(data) : '' }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** HAProxy's termination state (its configuration manual, 8.5): who ended it, and in which phase. */
function endOf(state: string, status: number): End {
  const [by = '', phase = ''] = state
  if (by === 'C' || by === 'c') {
    if (status === 408) return 'denied'
    return phase === 'D' || phase === 'L' ? 'client left in the stream' : 'client left waiting'
  }
  if (state.startsWith('sQ') || state.startsWith('PR')) return 'denied'
  if (by === 's') return 'engine silent'
  if (by === 'S' || by === 'P') return 'engine broke'
  if (by === 'K') return 'cut'
  return by === '-' || by === 'L' ? 'done' : 'gateway broke'
}

/** HAProxy itself refuses by the queue's and the body's time limits, and what has not the one form of a request. */
function deniedBy({ end, status, denied }: { end: string; status: number; denied: string }): string {
  if (denied) return denied
  if (end.startsWith('sQ')) return 'queue'
  return status === 408 ? 'bodies' : 'shape'
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** HAProxy's `%tr` (21/Nov/2026:15:48:05.123) is local time without its zone, and this machine's zone is the same. */
function isoTime(said: string): string {
  const [, day, month = '', year, hour, minute, second, ms] =
    /^(\d+)\/(\w{3})\/(\d+):(\d+):(\d+):(\d+)\.(\d+)$/.exec(said) ?? []
  const at = new Date(Number(year), months.indexOf(month), ...[day, hour, minute, second, ms].map(Number))
  return Number.isNaN(at.getTime()) ? '' : at.toISOString()
}

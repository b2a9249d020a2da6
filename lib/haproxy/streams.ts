import type { Look } from '../host/host.ts'
import { readEach, readOne, type Worker } from './workers.ts'

/** A request to a model that is under way. */
export interface Stream {
  /** the worker that has it; after a reload an old one may */
  pid: string
  /** HAProxy's name of it in that worker */
  session: string
  who: string
  /** address:port */
  client: string
  /** seconds that it may take as a whole; 0 is no limit */
  whole: number
  /** unix time in ms; HAProxy's own age of a session counts the rest between two requests, too (seen with 2.6 and 3.4) */
  started: number
  model: string
  /** HAProxy's server: `engine`, `loading` (it may wait there), or none while it waits for a slot */
  server?: string
}

type Row = Pick<Stream, 'who' | 'client' | 'whole' | 'started' | 'model'>

/** Every request to a model that is under way, in old workers, too. Throws `Stop` (exit 5) when a worker does not tell. */
export const streams = async (look: Look): Promise<Stream[]> => (await readEach(look, streamsOf)).flat()

/** Those of one worker. */
export async function streamsOf({ pid, ask }: Pick<Worker, 'pid' | 'ask'>): Promise<Stream[]> {
  const rows = streamRows(await ask('show table streams'))
  if (rows.size === 0) return []
  return sessionsOf(rows, await ask('show sess')).map((stream) => ({ pid, ...stream }))
}

/** What the gateway wrote down of them, by `address:port`: rows of the table `streams` whose count is not zero. `now` is the unix time in ms. */
export const streamRows = (table: string, now = Date.now()): Map<string, Row> =>
  new Map(table.split('\n').flatMap((line) => rowOf(line, now)))

function rowOf(line: string, now: number): [string, Row][] {
  const value = (name: string) => new RegExp(` ${name}=(\\S+)`).exec(line)?.[1]
  const [who = '', client = '', whole, ...rest] = (value('key') ?? '').split('|')
  // An earlier version wrote the start into the key, and its workers may outlive an update.
  const [model = '', start = value('gpt0')] = rest.reverse()
  const started = nearest(Number(start), now)
  return Number(value('conn_cur')) > 0 ? [[client, { who, client, whole: Number(whole), started, model }]] : []
}

/** The time nearest to `now`, by 24 days at most, that agrees with another in its last 32 bits (ms). */
const nearest = (time: number, now: number): number => now + ((time - now) | 0)

/** The sessions of these clients, as `show sess` lists them. */
export const sessionsOf = (rows: Map<string, Row>, text: string): Omit<Stream, 'pid'>[] =>
  text.split('\n').flatMap((line) => {
    const [, session = '', client = '', server] = /^(0x[0-9a-f]+): .*?\bsrc=(\S+) .*?\bsrv=(\S+)/.exec(line) ?? []
    const row = rows.get(client)
    return row ? [{ ...row, session, server: server === '<none>' ? undefined : server }] : []
  })

/** What tells a request from all others. */
export const nameOf = ({ client, started }: Stream): string => `${client} ${started}`

/** How long (ms) each stream has been seen, from look to look, by a clock that nobody sets; those that are gone are forgotten. */
export function sightings(steady: () => number): (found: Stream[]) => (stream: Stream) => number {
  let since = new Map<string, number>()
  return (found) => {
    const now = steady()
    since = new Map(found.map((stream) => [nameOf(stream), since.get(nameOf(stream)) ?? now]))
    return (stream) => now - (since.get(nameOf(stream)) ?? now)
  }
}

/** What HAProxy tells of one request only when asked for it. */
export interface Details {
  /** in a server's queue */
  waiting: boolean
  /** the engine has begun to answer */
  answering: boolean
  /** sent to the client so far: 3.2 and newer count them at the connection, older ones in the channel */
  bytes: number
}

/** What its worker tells of a request now; all as good as nothing when it has ended. Throws `Stop` (exit 5) when the worker is silent. */
export async function detailsOf(look: Look, { pid, session }: Stream): Promise<Details> {
  const said = (await readOne(look, pid, ({ ask }) => ask(`show sess ${session}`))) ?? ''
  return {
    waiting: /\bpend_pos=0x/.test(said),
    answering: /\bstatus=[1-5]\d\d\b/.test(said),
    bytes: Number((/\bscf=.*\bout=(\d+)/.exec(said) ?? /\bres=.*\btotal=(\d+)/.exec(said))?.[1] ?? 0),
  }
}

import type { Look } from '../host.ts'
import { places } from '../places.ts'

/** A request to a model that is under way. */
export interface Stream {
  /** the worker that has it; after a reload an old one may */
  pid: string
  /** HAProxy's name of it in that worker */
  session: string
  who: string
  /** address:port */
  client: string
  /** whether the engine has it; else it waits in the queue */
  running: boolean
  ageSeconds: number
}

/** Every request to a model that is under way, in old workers, too. */
export async function streams(look: Look): Promise<Stream[]> {
  const found: Stream[] = []
  for (const pid of await workersOf(look)) {
    const rows = streamRows((await askMaster(look, `@!${pid} show table streams`)) ?? '')
    if (rows.size === 0) continue
    const sessions = (await askMaster(look, `@!${pid} show sess`)) ?? ''
    found.push(...sessionsOf(rows, sessions).map((stream) => ({ pid, ...stream })))
  }
  return found
}

const askMaster = (look: Look, command: string) => look.ask(places(look.home).masterSocket, command)

/** Pids of all workers that the master has; while it takes in a new configuration it is silent for a moment (5 s at most). None when nothing runs. */
export async function workersOf(look: Look): Promise<string[]> {
  let found: string[] = []
  const named = async () => {
    found = workers((await askMaster(look, 'show proc')) ?? '')
    return found.length > 0
  }
  if (!(await named()) && (await look.stat(places(look.home).masterSocket)))
    await look.until('the master names its workers', 5000, named)
  return found
}

/** Pids of all workers, old ones included, as `show proc` lists them. */
export const workers = (text: string): string[] =>
  text.split('\n').flatMap((line) => /^(\d+)\s+worker\b/.exec(line)?.[1] ?? [])

/** `address:port` -> whose it is: rows of the table `streams` whose count is not zero. */
export const streamRows = (table: string): Map<string, string> =>
  new Map(
    table.split('\n').flatMap((line): [string, string][] => {
      const [, who = '', client = '', count] = /key=([^|]+)\|(\S+) .*conn_cur=(\d+)/.exec(line) ?? []
      return Number(count) > 0 ? [[client, who]] : []
    }),
  )

const units: Record<string, number> = { d: 86_400, h: 3600, m: 60, s: 1 }
/** HAProxy's `1h2m` or `5s` in seconds. */
const seconds = (age: string): number =>
  [...age.matchAll(/(\d+)([dhms])/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ''] ?? 0),
    0,
  )

/** The sessions of these clients, as `show sess` lists them. */
export const sessionsOf = (rows: Map<string, string>, text: string): Omit<Stream, 'pid'>[] =>
  text.split('\n').flatMap((line) => {
    const [, session = '', client = '', server, age = ''] =
      /^(0x[0-9a-f]+): .*?\bsrc=(\S+) .*?\bsrv=(\S+) .*?\bage=(\w+)/.exec(line) ?? []
    const who = rows.get(client)
    return who === undefined ? [] : [{ session, who, client, running: server !== '<none>', ageSeconds: seconds(age) }]
  })

/** Bytes that a stream's client was sent so far: 3.2 and newer count them at the connection, older ones in the channel. */
export async function bytesOf(look: Look, { pid, session }: Stream): Promise<number> {
  const said = (await askMaster(look, `@!${pid} show sess ${session}`)) ?? ''
  return Number((/\bscf=.*\bout=(\d+)/.exec(said) ?? /\bres=.*\btotal=(\d+)/.exec(said))?.[1] ?? 0)
}

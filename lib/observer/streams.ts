import type { Look } from '../host.ts'
import { askMaster, workersOf } from '../proxy/workers.ts'

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

import type { Host, Look } from '../host.ts'
import { parseMap } from '../keys/maps.ts'
import { places } from '../places.ts'
import { askMaster, workersOf } from './workers.ts'

/** The fingerprint that the running worker answers; undefined when none runs. */
export async function runningFingerprint(look: Look): Promise<string | undefined> {
  const answer = await look.ask(places(look.home).adminSocket, 'show env CFG_ID')
  return /CFG_ID=([0-9a-f]{64})/.exec(answer ?? '')?.[1]
}

export interface WorkerInfo {
  version: string
  pid: number
  /** seconds since it started, or took over by a reload */
  uptime: number
  /** connections open now, those to our own sockets included */
  connections: number
}

/** `show info` of the running worker. */
export async function workerInfo(look: Look): Promise<WorkerInfo | undefined> {
  const answer = await look.ask(places(look.home).adminSocket, 'show info')
  const value = (key: string) => new RegExp(`^${key}: (.*)$`, 'm').exec(answer ?? '')?.[1]
  const version = value('Version')
  if (!version) return undefined
  return {
    version,
    pid: Number(value('Pid')),
    uptime: Number(value('Uptime_sec')),
    connections: Number(value('CurrConns')),
  }
}

/** What `show stat` says of one of the servers that ask the engine, by its columns. */
export async function statOf(look: Look, server: string): Promise<Record<string, string> | undefined> {
  const answer = await look.ask(places(look.home).adminSocket, 'show stat')
  const [head = '', ...rows] = (answer ?? '').split('\n')
  const cells = rows.find((line) => line.startsWith(`inference,${server},`))?.split(',')
  const titles = head.replace('# ', '').split(',')
  return cells && Object.fromEntries(titles.map((title, at) => [title, cells[at] ?? '']))
}

/** Requests at the engine now and waiting for it, from `show stat` (the queue is in the backend's row, that of the loading slot in its own). */
export async function engineLoad(look: Look): Promise<{ running: number; waiting: number } | undefined> {
  const answer = await look.ask(places(look.home).adminSocket, 'show stat')
  const [head, ...rows] = (answer ?? '').split('\n').map((line) => line.split(','))
  const ours = rows.filter((cells) => cells[0] === 'inference')
  const whole = ours.find((cells) => cells[1] === 'BACKEND')
  if (!head || !whole) return undefined
  const titles = head.map((title) => title.replace('# ', ''))
  const cell = (row: string[], name: string) => Number(row[titles.indexOf(name)]) || 0
  const waiting = ours.reduce((sum, row) => sum + cell(row, 'qcur'), 0)
  return { running: cell(whole, 'scur') - waiting, waiting }
}

/** Whether the worker counts the engine as up. */
export async function engineUp(look: Look): Promise<boolean> {
  const answer = await look.ask(places(look.home).adminSocket, 'show stat')
  return /^inference,engine,.*?,UP[ ,]/m.test(answer ?? '')
}

/** Switches new inference off (429 with Retry-After) or on again, without a reload. */
export const setDraining = (host: Host, draining: boolean): Promise<void> =>
  edit(host, engineMap, (id) => [`set map #${id} draining ${draining ? 'yes' : 'no'}`])

/** Whether new inference is being refused for a restart that was never finished. */
export const isDraining = async (look: Look): Promise<boolean> =>
  (await runningMap(look, engineMap))?.get('draining') === 'yes'

const engineMap = 'engine.map'

/** How a question reaches one worker. */
type Ask = (command: string) => Promise<string | undefined>

/** The number of a map that a worker has loaded, by the end of its path; by number, since a home folder may hold blanks. */
async function mapId(ask: Ask, file: string): Promise<string | undefined> {
  const row = ((await ask('show map')) ?? '').split('\n').find((line) => line.includes(`/${file})`))
  return /^(\d+) /.exec(row ?? '')?.[1]
}

async function mapOf(ask: Ask, id: string | undefined): Promise<Map<string, string> | undefined> {
  const said = id && (await ask(`show map #${id}`))
  return said === undefined ? undefined : parseMap(said)
}

/** What a map holds in the running worker; undefined when none runs or it has not loaded it. */
export async function runningMap(look: Look, file: string): Promise<Map<string, string> | undefined> {
  const ask: Ask = (command) => look.ask(places(look.home).adminSocket, command)
  return mapOf(ask, await mapId(ask, file))
}

/** Adds entries to a map of the running workers alone. */
export const addRunning = (host: Host, file: string, lines: Map<string, string>): Promise<void> =>
  edit(host, file, (id) => [...lines].map(([key, value]) => `add map #${id} ${key} ${value}`))

/** Takes entries out of a map of the running workers alone. */
export const removeRunning = (host: Host, file: string, keys: Iterable<string>): Promise<void> =>
  edit(host, file, (id) => [...keys].map((key) => `del map #${id} ${key}`))

const edit = (host: Host, file: string, commands: (id: string) => string[]): Promise<void> =>
  inEachWorker(host, file, async ({ id, tell }) => {
    for (const command of commands(id)) await tell(command)
  })

/** A map in one worker. */
interface WorkerMap {
  id: string
  ask: Ask
  tell(command: string, payload?: string[]): Promise<string>
}

/**
 * Changes a map in every worker, each spoken to through the master. For a moment after a reload the admin socket may
 * still be answered by the old worker (seen with 2.6.12), and what it alone is told would be lost.
 */
async function inEachWorker(host: Host, file: string, change: (map: WorkerMap) => Promise<void>): Promise<void> {
  for (const pid of await workersOf(host)) {
    const ask: Ask = (command) => askMaster(host, `@!${pid} ${command}`)
    const tell: WorkerMap['tell'] = (command, payload) =>
      host.tell(places(host.home).masterSocket, `@!${pid} ${command}`, payload)
    const id = await mapId(ask, file)
    if (id) await change({ id, ask, tell })
  }
}

/** Changes up to this many are told one by one (a quarter of a millisecond each); more, and a whole new map is quicker, which costs the same for any number of changes. */
const few = (lines: number): number => Math.max(50, lines / 50)
/** Bytes of a map in one command: well below HAProxy's buffer (126,976 bytes), whose size bounds a payload. */
const bytesAtOnce = 60_000

/** Makes a map hold exactly these lines in every worker, beside those that stay; nothing where it is not loaded. */
export const setRunningMap = (
  host: Host,
  file: string,
  wanted: Map<string, string>,
  stays: (key: string, value: string) => boolean = () => false,
): Promise<void> =>
  inEachWorker(host, file, async (map) => {
    const now = await mapOf(map.ask, map.id)
    if (!now) return
    const whole = new Map([...[...now].filter(([key, value]) => stays(key, value)), ...wanted])
    const commands = differences(now, whole, map.id)
    if (commands.length > few(whole.size)) await replaceMap(map, whole)
    else for (const command of commands) await map.tell(command)
  })

function differences(now: Map<string, string>, wanted: Map<string, string>, id: string): string[] {
  const gone = [...now.keys()].filter((key) => !wanted.has(key))
  const other = [...wanted].filter(([key, value]) => now.get(key) !== value)
  return [
    ...gone.map((key) => `del map #${id} ${key}`),
    ...other.map(([key, value]) => `${now.has(key) ? 'set' : 'add'} map #${id} ${key} ${value}`),
  ]
}

/** A whole map in one transaction (HAProxy 2.4 and newer): requests see the old one until all of the new one is there. */
async function replaceMap({ id, ask, tell }: WorkerMap, lines: Map<string, string>): Promise<void> {
  const said = await tell(`prepare map #${id}`)
  const version = /version created: (\d+)/.exec(said)?.[1]
  if (!version) {
    // An old worker may have ended since it was named.
    if (await ask('show info')) throw new Error(`HAProxy takes no new version of map ${id}: ${said.trim()}`)
    return
  }
  const rows = [...lines].map(([key, value]) => `${key} ${value}`)
  for (const piece of pieces(rows)) await tell(`add map @${version} #${id}`, piece)
  await tell(`commit map @${version} #${id}`)
}

/** Rows in as few pieces as the bytes allow; a row that is longer than that is a piece of its own. */
export function pieces(rows: string[], most = bytesAtOnce): string[][] {
  const list: string[][] = []
  let size = most
  for (const row of rows) {
    size += row.length + 1
    if (size > most) {
      list.push([])
      size = row.length + 1
    }
    list.at(-1)?.push(row)
  }
  return list
}

/** Closes a frontend's listeners for good; running connections go on. (`disable frontend` works on Linux only: HAProxy src/proto_tcp.c.) */
export async function closeFrontend(host: Host, name: string): Promise<void> {
  await host.tell(places(host.home).adminSocket, `shutdown frontend ${name}`)
}

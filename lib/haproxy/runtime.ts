import type { Host, Look } from '../host/host.ts'
import { places } from '../platform/here.ts'
import { parseMap } from './map-text.ts'
import { changeEach, type ToldWorker, type Which } from './workers.ts'

/** The fingerprint that the running worker answers; undefined when none runs. */
export async function runningFingerprint(look: Look): Promise<string | undefined> {
  const answer = await look.ask(places(look).adminSocket, 'show env CFG_ID')
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
  const answer = await look.ask(places(look).adminSocket, 'show info')
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

/** Lines of its log that the running worker could not write. */
export const droppedLines = async (look: Look): Promise<number> =>
  Number(/^DroppedLogs: (\d+)$/m.exec((await look.ask(places(look).adminSocket, 'show info')) ?? '')?.[1] ?? 0)

/** What `show stat` says of one of the servers that ask the engine, by its columns. */
export async function statOf(look: Look, server: string): Promise<Record<string, string> | undefined> {
  return rowOf((await look.ask(places(look).adminSocket, 'show stat')) ?? '', 'inference', server)
}

/** One row of `show stat`, by its columns. */
export function rowOf(stat: string, proxy: string, server: string): Record<string, string> | undefined {
  const [head = '', ...rows] = stat.split('\n')
  const cells = rows.find((line) => line.startsWith(`${proxy},${server},`))?.split(',')
  const titles = head.replace('# ', '').split(',')
  return cells && Object.fromEntries(titles.map((title, at) => [title, cells[at] ?? '']))
}

/** Requests at the engine now and waiting for it, from `show stat` (the queue is in the backend's row, that of the loading slot in its own). */
export const engineLoad = async (look: Look): Promise<Load | undefined> =>
  loadOf((await look.ask(places(look).adminSocket, 'show stat')) ?? '')

export interface Load {
  running: number
  waiting: number
}

/** The same of what `show stat` said. */
export function loadOf(stat: string): Load | undefined {
  const [head, ...rows] = stat.split('\n').map((line) => line.split(','))
  const ours = rows.filter((cells) => cells[0] === 'inference')
  const whole = ours.find((cells) => cells[1] === 'BACKEND')
  if (!head || !whole) return undefined
  const titles = head.map((title) => title.replace('# ', ''))
  const cell = (row: string[], name: string) => Number(row[titles.indexOf(name)]) || 0
  const waiting = ours.reduce((sum, row) => sum + cell(row, 'qcur'), 0)
  return { running: cell(whole, 'scur') - waiting, waiting }
}

/** Whether the worker counts the engine as up, or one of several: the ways back to the choice (`again`) and the loading slots are none. */
export async function engineUp(look: Look): Promise<boolean> {
  const answer = await look.ask(places(look).adminSocket, 'show stat')
  return /^inference,(?!again\d,|BACKEND,|loading,|[^,]+-load,)[^,]+,.*?,UP[ ,]/m.test(answer ?? '')
}

/** Switches new inference off (429 with Retry-After) or on again, without a reload. Throws `Stop` (exit 5) where it does not hold. */
export const setDraining = (host: Host, draining: boolean): Promise<number> =>
  addRunning(host, engineMap, new Map([['draining', draining ? 'yes' : 'no']]))

/** Whether new inference is being refused for a restart that was never finished. */
export const isDraining = async (look: Look): Promise<boolean> =>
  (await runningMap(look, engineMap))?.get('draining') === 'yes'

const engineMap = 'engine.map'

/** How a question reaches one worker. */
type Ask = (command: string) => Promise<string>

/** The number of a map that a worker has loaded, by the end of its path; by number, since a home folder may hold blanks. */
async function mapId(ask: Ask, file: string): Promise<string | undefined> {
  const row = (await ask('show map')).split('\n').find((line) => line.includes(`/${file})`))
  return /^(\d+) /.exec(row ?? '')?.[1]
}

const mapOf = async (ask: Ask, id: string): Promise<Map<string, string>> => parseMap(await ask(`show map #${id}`))

/** What a map holds in the running worker; undefined when none runs or it has not loaded it. */
export const runningMap = (look: Look, file: string): Promise<Map<string, string> | undefined> =>
  look.asking(places(look).adminSocket, async (ask) => {
    const id = await mapId(ask, file)
    return id === undefined ? undefined : mapOf(ask, id)
  })

/** Adds entries to a map of the running workers alone, or of those that are meant. Throws `Stop` (exit 5) where they are not there in the end. */
export const addRunning = (host: Host, file: string, lines: Map<string, string>, which?: Which): Promise<number> =>
  changeMaps(host, [[file, (now) => new Map([...now, ...lines])]], which)

/** Takes entries out of a map of the running workers alone, or of those that are meant. Throws `Stop` (exit 5) where they are still there in the end. */
export const removeRunning = (host: Host, file: string, keys: Iterable<string>, which?: Which): Promise<number> => {
  const gone = new Set(keys)
  return changeMaps(host, [[file, (now) => new Map([...now].filter(([key]) => !gone.has(key)))]], which)
}

/** Makes maps hold exactly these lines in every worker, beside those that stay; nothing where one is not loaded. Throws `Stop` (exit 5) where they do not in the end. */
export const setRunningMaps = (
  host: Host,
  maps: [file: string, wanted: Map<string, string>][],
  stays: (key: string, value: string) => boolean = () => false,
): Promise<number> =>
  changeMaps(
    host,
    maps.map(([file, wanted]) => [
      file,
      (now) => new Map([...[...now].filter(([key, value]) => stays(key, value)), ...wanted]),
    ]),
  )

/** The same of one map. */
export const setRunningMap = (
  host: Host,
  file: string,
  wanted: Map<string, string>,
  stays?: (key: string, value: string) => boolean,
): Promise<number> => setRunningMaps(host, [[file, wanted]], stays)

/** What a map shall hold, by what it holds. */
type Target = (now: Map<string, string>) => Map<string, string>

/** Makes maps in every worker what they shall hold. Gives how many workers there are. */
const changeMaps = (host: Host, maps: [file: string, target: Target][], which?: Which): Promise<number> =>
  changeEach(
    host,
    async (worker) => {
      let all = true
      for (const [file, target] of maps) all = (await changeMap(worker, file, target)) && all
      return all
    },
    which,
  )

/** The same of one map in one worker, which is read back; tells whether it holds. */
async function changeMap(worker: ToldWorker, file: string, target: Target): Promise<boolean> {
  const id = await mapId(worker.ask, file)
  if (id === undefined) return true
  const now = await mapOf(worker.ask, id)
  const whole = target(now)
  const commands = differences(now, whole, id)
  if (commands.length === 0) return true
  if (commands.length > few(whole.size)) await replaceMap(worker, id, whole)
  else for (const command of commands) await worker.tell(command)
  const then = await mapOf(worker.ask, id)
  return differences(then, target(then), id).length === 0
}

/** Changes up to this many are told one by one (a quarter of a millisecond each); more, and a whole new map is quicker, which costs the same for any number of changes. */
const few = (lines: number): number => Math.max(50, lines / 50)
/** Bytes of a map in one command: well below what bounds a payload: HAProxy's buffer (126,976 bytes), and from 3.4 on 128 KB. */
const bytesAtOnce = 60_000

function differences(now: Map<string, string>, wanted: Map<string, string>, id: string): string[] {
  const gone = [...now.keys()].filter((key) => !wanted.has(key))
  const other = [...wanted].filter(([key, value]) => now.get(key) !== value)
  return [
    ...gone.map((key) => `del map #${id} ${key}`),
    ...other.map(([key, value]) => `${now.has(key) ? 'set' : 'add'} map #${id} ${key} ${value}`),
  ]
}

/** A whole map in one transaction (HAProxy 2.4 and newer): requests see the old one until all of the new one is there. */
async function replaceMap({ tell }: ToldWorker, id: string, lines: Map<string, string>): Promise<void> {
  const said = await tell(`prepare map #${id}`)
  const version = /version created: (\d+)/.exec(said)?.[1]
  if (!version) throw new Error(`HAProxy takes no new version of map ${id}: ${said.trim()}`)
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

/** Closes a frontend's listeners for good; running connections go on. (`disable frontend` works on Linux only: HAProxy src/proto_tcp.c.) Throws `Stop` (exit 5) when it is still open in the end. */
export async function closeFrontend(host: Host, name: string): Promise<void> {
  await changeEach(host, async ({ current, ask, tell }) => {
    // Those that finish earlier answers listen no longer.
    if (!current) return true
    const open = async () => rowOf(await ask('show stat'), name, 'FRONTEND')?.status === 'OPEN'
    if (await open()) await tell(`shutdown frontend ${name}`)
    return !(await open())
  })
}

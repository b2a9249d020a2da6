import type { Host, Look } from '../host.ts'
import { parseMap } from '../keys/maps.ts'
import { places } from '../places.ts'

/** The fingerprint that the running worker answers; undefined when none runs. */
export async function runningFingerprint(look: Look): Promise<string | undefined> {
  const answer = await look.ask(places(look.home).adminSocket, 'show env CFG_ID')
  return /CFG_ID=([0-9a-f]{64})/.exec(answer ?? '')?.[1]
}

export interface WorkerInfo {
  version: string
  pid: number
  /** connections open now, those to our own sockets included */
  connections: number
}

/** `show info` of the running worker. */
export async function workerInfo(look: Look): Promise<WorkerInfo | undefined> {
  const answer = await look.ask(places(look.home).adminSocket, 'show info')
  const value = (key: string) => new RegExp(`^${key}: (.*)$`, 'm').exec(answer ?? '')?.[1]
  const version = value('Version')
  if (!version) return undefined
  return { version, pid: Number(value('Pid')), connections: Number(value('CurrConns')) }
}

/** Requests at the engine now and waiting for it, from `show stat` (the queue is in the backend's row). */
export async function engineLoad(look: Look): Promise<{ running: number; waiting: number } | undefined> {
  const answer = await look.ask(places(look.home).adminSocket, 'show stat')
  const [head, ...rows] = (answer ?? '').split('\n').map((line) => line.split(','))
  const row = rows.find((cells) => cells[0] === 'inference' && cells[1] === 'BACKEND')
  if (!head || !row) return undefined
  const cell = (name: string) => Number(row[head.map((title) => title.replace('# ', '')).indexOf(name)]) || 0
  return { running: cell('scur') - cell('qcur'), waiting: cell('qcur') }
}

/** Whether the worker counts the engine as up. */
export async function engineUp(look: Look): Promise<boolean> {
  const answer = await look.ask(places(look.home).adminSocket, 'show stat')
  return /^inference,engine,.*?,UP[ ,]/m.test(answer ?? '')
}

/** Switches new inference off (429 with Retry-After) or on again, without a reload. */
export async function setDraining(host: Host, draining: boolean): Promise<void> {
  const socket = places(host.home).adminSocket
  const id = await mapId(host, engineMap)
  if (id) await host.tell(socket, `set map #${id} draining ${draining ? 'yes' : 'no'}`)
}

/** Whether new inference is being refused for a restart that was never finished. */
export async function isDraining(look: Look): Promise<boolean> {
  const socket = places(look.home).adminSocket
  const id = await mapId(look, engineMap)
  return id !== undefined && /draining yes/.test((await look.ask(socket, `show map #${id}`)) ?? '')
}

const engineMap = 'engine.map'

/** The number of a map that the running worker has loaded, by the end of its path; by number, since a home folder may hold blanks. */
async function mapId(look: Look, file: string): Promise<string | undefined> {
  const list = (await look.ask(places(look.home).adminSocket, 'show map')) ?? ''
  const row = list.split('\n').find((line) => line.includes(`/${file})`))
  return /^(\d+) /.exec(row ?? '')?.[1]
}

/** What a map holds in the running worker; undefined when none runs or it has not loaded it. */
export async function runningMap(look: Look, file: string): Promise<Map<string, string> | undefined> {
  const id = await mapId(look, file)
  const said = id && (await look.ask(places(look.home).adminSocket, `show map #${id}`))
  return said === undefined ? undefined : parseMap(said)
}

/** Adds one entry to a map of the running worker alone. */
export const addRunning = (host: Host, file: string, key: string, value: string): Promise<void> =>
  edit(host, file, (id) => `add map #${id} ${key} ${value}`)

/** Takes one entry out of a map of the running worker alone. */
export const removeRunning = (host: Host, file: string, key: string): Promise<void> =>
  edit(host, file, (id) => `del map #${id} ${key}`)

async function edit(host: Host, file: string, command: (id: string) => string): Promise<void> {
  const id = await mapId(host, file)
  if (id) await host.tell(places(host.home).adminSocket, command(id))
}

/** Changes up to this many are told one by one (a quarter of a millisecond each); more, and a whole new map is quicker, which costs the same for any number of changes. */
const few = (lines: number): number => Math.max(50, lines / 50)
/** Lines of a map in one command: well below HAProxy's buffer (126,976 bytes), whose size bounds a payload. */
const linesAtOnce = 250

/** Makes the running worker's map hold exactly these lines, beside those that stay; nothing when it has not loaded it. */
export async function setRunningMap(
  host: Host,
  file: string,
  wanted: Map<string, string>,
  stays: (value: string) => boolean = () => false,
): Promise<void> {
  const id = await mapId(host, file)
  const now = id && (await runningMap(host, file))
  if (!now) return
  const whole = new Map([...[...now].filter(([, value]) => stays(value)), ...wanted])
  const commands = differences(now, whole, id)
  if (commands.length > few(whole.size)) await replaceMap(host, id, whole)
  else for (const command of commands) await host.tell(places(host.home).adminSocket, command)
}

function differences(now: Map<string, string>, wanted: Map<string, string>, id: string): string[] {
  const gone = [...now.keys()].filter((key) => !wanted.has(key))
  const other = [...wanted].filter(([key, value]) => now.get(key) !== value)
  return [
    ...gone.map((key) => `del map #${id} ${key}`),
    ...other.map(([key, value]) => `${now.has(key) ? 'set' : 'add'} map #${id} ${key} ${value}`),
  ]
}

/** A whole map in one transaction (HAProxy 2.4 and newer): requests see the old one until all of the new one is there. */
async function replaceMap(host: Host, id: string, lines: Map<string, string>): Promise<void> {
  const tell = (command: string, payload?: string[]) => host.tell(places(host.home).adminSocket, command, payload)
  const said = await tell(`prepare map #${id}`)
  const version = /version created: (\d+)/.exec(said)?.[1]
  if (!version) throw new Error(`HAProxy takes no new version of map ${id}: ${said.trim()}`)
  const rows = [...lines].map(([key, value]) => `${key} ${value}`)
  for (let at = 0; at < rows.length; at += linesAtOnce)
    await tell(`add map @${version} #${id}`, rows.slice(at, at + linesAtOnce))
  await tell(`commit map @${version} #${id}`)
}

/** Closes a frontend's listeners for good; running connections go on. (`disable frontend` works on Linux only: HAProxy src/proto_tcp.c.) */
export async function closeFrontend(host: Host, name: string): Promise<void> {
  await host.tell(places(host.home).adminSocket, `shutdown frontend ${name}`)
}

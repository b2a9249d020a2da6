import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freshMac, type MacState } from './mac-state.ts'

export type * from './mac-state.ts'

/** A change of the Mac: whole top-level keys, or a function that edits the state. */
export type Change = Partial<MacState> | ((mac: MacState) => void)

/** The box that a stand-in runs in. */
export interface Box {
  /** the folder with mac.json, bin/, run/ and standins.mjs */
  readonly dir: string
  /** what mac.json says at this moment: read anew at each access */
  readonly mac: MacState
  /** changes mac.json; concurrent savers wait for each other, and no change is lost */
  save(change: Change): void
}

/** What a stand-in is: its words, its box; gives its exit code. */
export type StandIn = (argv: string[], box: Box) => Promise<number> | number

/** A writer that has held the lock this long (ms) is taken for dead: a save takes a few ms. */
const STALE_MS = 3000

type Json = Record<string, unknown>

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function merge(base: unknown, over: unknown): unknown {
  if (!isObject(base) || !isObject(over)) return over === undefined ? base : over
  const keys = new Set([...Object.keys(base), ...Object.keys(over)])
  return Object.fromEntries([...keys].map((key) => [key, merge(base[key], over[key])]))
}

/** A Mac with these differences from the fresh one, to any depth; `pmset` is taken whole, since a Mac may lack keys. */
export function macWith(differences: object): MacState {
  const mac = merge(freshMac(), differences) as MacState
  return 'pmset' in differences ? { ...mac, pmset: differences.pmset as MacState['pmset'] } : mac
}

/** A bare Mac as unpacked: macOS 26.5.1, M4 Max, 64 GiB, a logged-in desktop, no Homebrew, no Tailscale, no Ollama. */
export function defaultMac(): MacState {
  return freshMac()
}

function readState(dir: string): MacState {
  try {
    return macWith(JSON.parse(readFileSync(join(dir, 'mac.json'), 'utf8')))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return freshMac()
    throw error
  }
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

function takeLock(path: string): boolean {
  try {
    closeSync(openSync(path, 'wx'))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** By age alone: a pid of another namespace says nothing here. */
function breakStaleLock(path: string): void {
  const seen = statSync(path, { throwIfNoEntry: false })
  if (seen && Date.now() - seen.mtimeMs > STALE_MS) rmSync(path, { force: true })
}

/** Runs `work` while no other process runs work under the lock of the same path. */
export function locked<T>(path: string, work: () => T): T {
  while (!takeLock(path)) {
    breakStaleLock(path)
    pause(3)
  }
  try {
    return work()
  } finally {
    rmSync(path, { force: true })
  }
}

function writeState(dir: string, mac: MacState): void {
  const temporary = join(dir, `mac.json.${process.pid}-${Math.random().toString(36).slice(2)}`)
  writeFileSync(temporary, `${JSON.stringify(mac, null, 2)}\n`)
  renameSync(temporary, join(dir, 'mac.json'))
}

function changed(mac: MacState, change: Change): MacState {
  if (typeof change !== 'function') return { ...mac, ...change }
  change(mac)
  return mac
}

/** Opens a box. A missing mac.json is a fresh Mac's; keys that it leaves out are a fresh Mac's too. */
export function openBox(dir: string): Box {
  mkdirSync(dir, { recursive: true })
  return {
    dir,
    get mac() {
      return readState(dir)
    },
    save(change) {
      locked(join(dir, 'mac.lock'), () => writeState(dir, changed(readState(dir), change)))
    },
  }
}

/** Whether this process was started by the stand-in sudo. */
export function isRoot(): boolean {
  return process.env.SUDO_UID !== undefined
}

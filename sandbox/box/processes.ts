import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** One process as this side of the box's namespaces sees it. */
interface Seen {
  pid: number
  group: number
}

function see(pid: number): Seen | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : { pid, group: Number(fields[2]) }
  } catch {
    return undefined
  }
}

function pids(): number[] {
  return readdirSync('/proc').map(Number).filter(Boolean)
}

function isDefined<T>(value: T | undefined): value is T {
  return value !== undefined
}

/** Sends a signal; a process that is gone already is fine. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Signals a process group but not its leader: `nsenter` waits outside and must live to pass the exit code on. */
export function signalFollowers(leader: number, name: NodeJS.Signals): void {
  const followers = pids().map(see).filter(isDefined)
  for (const { pid, group } of followers) if (group === leader && pid !== leader) signal(pid, name)
}

/** Signals a whole process group. */
export function signalGroup(leader: number, name: NodeJS.Signals): void {
  signal(-leader, name)
}

/** By these lines of its environment a process belongs to a box; its folder's name alone is in others' PWD, too. */
export function belonging(dir: string): string[] {
  const users = join(dir, 'Users')
  const homes = existsSync(users) ? readdirSync(users) : []
  return [...homes.map((folder) => `HOME=${join(users, folder)}`), `BOX=${dir}`]
}

function belongs(pid: number, lines: string[]): boolean {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
    return lines.some((line) => environment.includes(line))
  } catch {
    return false
  }
}

/** The live processes that belong to the box in this folder, as far as their environment tells. */
export function processesOf(dir: string): number[] {
  const others = pids().filter((pid) => pid !== process.pid && see(pid) !== undefined)
  return others.filter((pid) => belongs(pid, belonging(dir)))
}

function space(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`)
  } catch {
    return undefined
  }
}

/** The live processes in the same pid namespace as this one. */
export function processesWith(member: number): number[] {
  const theirs = space(member)
  if (theirs === undefined) return []
  return pids().filter((pid) => space(pid) === theirs && see(pid) !== undefined)
}

/** Ends every process of a box, also those that are started meanwhile. */
export function endProcessesOf(dir: string): void {
  for (let round = 0; round < 20; round += 1) {
    const left = processesOf(dir)
    if (left.length === 0) return
    for (const pid of left) signal(pid, 'SIGKILL')
  }
}

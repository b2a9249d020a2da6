import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Box } from './box.ts'

/** A process of the box as a Mac would show it. */
export interface Process {
  pid: number
  ppid: number
  pgid: number
  /** name of the program's file: `ollama` for the stand-in Ollama, not `node` */
  command: string
  args: string[]
  environment: Record<string, string>
  /** ms since 1970 */
  started: number
  /** bytes of memory in use */
  memory: number
  /** processor time, ms */
  cpu: number
  /** one letter, R, S, Z … */
  state: string
}

/** Linux counts processor time and start times in these ticks a second (sysconf(_SC_CLK_TCK), 100 everywhere). */
const TICKS = 100
const PAGE = 4096

function words(path: string): string[] {
  return readFileSync(path, 'utf8').split('\0').slice(0, -1)
}

function environment(pid: number): Record<string, string> {
  try {
    const pairs = words(`/proc/${pid}/environ`).map((line) => [
      line.slice(0, line.indexOf('=')),
      line.slice(line.indexOf('=') + 1),
    ])
    return Object.fromEntries(pairs)
  } catch {
    return {}
  }
}

/** A stand-in is node with our program: a Mac shows the program that it stands for, at the path that was called. */
function macArgs(argv: string[], called: string | undefined): string[] {
  const at = argv.findIndex((word) => /\/(standins\.mjs|standins\/index\.ts)$/.test(word))
  const name = argv[at + 1]
  if (at < 1 || name === undefined || basename(argv[0] ?? '') !== 'node') return argv
  return [called !== undefined && basename(called) === name ? called : name, ...argv.slice(at + 2)]
}

function bootTime(): number {
  return Number(/^btime (\d+)/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? 0) * 1000
}

/** Reads one process; undefined when it is gone. */
export function readProcess(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const comm = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
    const [state = '', ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const field = (number: number) => Number(fields[number - 4])
    const argv = words(`/proc/${pid}/cmdline`)
    const variables = environment(pid)
    const args = macArgs(argv, variables.BOX_ARGV0)
    return {
      pid,
      ppid: field(4),
      pgid: field(5),
      command: args === argv ? comm : basename(args[0] ?? comm),
      args: args.length > 0 ? args : [`(${comm})`],
      environment: variables,
      started: bootTime() + (field(22) * 1000) / TICKS,
      memory: field(24) * PAGE,
      cpu: ((field(14) + field(15)) * 1000) / TICKS,
      state,
    }
  } catch {
    return undefined
  }
}

/** Every process of the box, kernel threads left out, by pid. */
export function processes(): Process[] {
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger)
  const found = pids.sort((a, b) => a - b).map(readProcess)
  return found.filter((process): process is Process => process !== undefined && !/^\(k/.test(process.args[0] ?? ''))
}

/** The processes of this box alone: where it has no pid namespace, those that carry its folder in their environment. */
export function ownProcesses({ dir, mac }: Box): Process[] {
  if (mac.network.namespaced) return processes()
  const folder = join(dir, 'bin')
  return processes().filter(
    ({ environment: { BOX, PATH, HOME } }) =>
      BOX === dir || PATH?.split(':').includes(folder) || HOME?.startsWith(`${dir}/`),
  )
}

/** Whether a process with this pid is there and not a zombie. */
export function alive(pid: number): boolean {
  const found = readProcess(pid)
  return found !== undefined && found.state !== 'Z'
}

/** The processes above this one, this one first: a search for processes should not find itself. */
export function ancestry(pid = process.pid): number[] {
  const parent = readProcess(pid)?.ppid ?? 0
  return parent > 0 ? [pid, ...ancestry(parent)] : [pid]
}

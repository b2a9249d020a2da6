import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { watchOver } from '../sandbox/lab/gateway.ts'

/** Programs that end with the run, and their folder. */
export interface Children {
  folder: string
  start(argv: string[], env?: NodeJS.ProcessEnv): number
  stop(): void
}

export function children(): Children {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  const all: ChildProcess[] = []
  return {
    folder,
    start([file = '', ...rest], env = {}) {
      const child = spawn(file, rest, {
        env: { PATH: process.env.PATH, HOME: folder, ...env },
        stdio: 'ignore',
        cwd: folder,
      })
      // What does not start is noticed by its not answering.
      child.on('error', () => {})
      if (child.pid) watchOver(child.pid)
      all.push(child)
      return child.pid ?? 0
    },
    stop() {
      for (const child of all) child.kill('SIGTERM')
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

const statOf = (pid: number): string[] => {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
  } catch {
    return []
  }
}

/** A process and all below it (Linux). */
export function family(pid: number): number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name): [number, number] => [Number(name), Number(statOf(Number(name))[1])])
  const below = (one: number): number[] => [
    one,
    ...parents.filter(([, of]) => of === one).flatMap(([child]) => below(child)),
  ]
  return below(pid)
}

const threadsOf = (pid: number): string[] => {
  try {
    return readdirSync(`/proc/${pid}/task`).map((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8'),
    )
  } catch {
    return []
  }
}

/** Processor time that the threads of these processes have used, ms; to the nanosecond, where /proc/PID/stat counts hundredths of a second. */
export const cpuOf = (pids: number[]): number =>
  pids.flatMap(threadsOf).reduce((sum, line) => sum + Number(line.split(' ')[0]) / 1e6, 0)

/** Resident memory of a process, MB. */
export const residentOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, closeSync, constants, mkdirSync, openSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Box, MacState } from '../box.ts'
import { readMac } from './mac.ts'
import type { JobSpec } from './plist.ts'
import type { World } from './world.ts'

/** sysexits' EX_CONFIG: what launchd reports for a job that it could not start at all. */
export const EX_CONFIG = 78

/** launchd's soft limit of open files where a plist sets none. */
const DEFAULT_FILES = 256

/** The variables of a job by origin, as `launchctl print` groups them. Later groups win. */
export interface JobEnvironment {
  inherited: Record<string, string>
  default: Record<string, string>
  own: Record<string, string>
}

/** What the session, launchd and the plist give a job. The box's own folder comes first on the PATH: its only liberty. */
export function jobEnvironment(box: Box, spec: JobSpec): JobEnvironment {
  return {
    inherited: { SSH_AUTH_SOCK: '/private/tmp/com.apple.launchd.box/Listeners', ...readMac(box).setenv },
    default: { PATH: `${join(box.dir, 'bin')}:/usr/bin:/bin:/usr/sbin:/sbin` },
    own: { ...spec.environment, XPC_SERVICE_NAME: spec.label },
  }
}

function fullEnvironment(world: World, spec: JobSpec): Record<string, string> {
  const mac = readMac(world.box)
  const groups = jobEnvironment(world.box, spec)
  return {
    HOME: world.home,
    USER: mac.user,
    LOGNAME: mac.user,
    SHELL: mac.shell,
    TMPDIR: process.env.TMPDIR ?? '/tmp/',
    XPC_FLAGS: '0x0',
    ...groups.default,
    ...groups.inherited,
    ...groups.own,
    ...kernel(mac),
  }
}

/** What makes a job feel XNU; `launchctl print` does not show it. */
const kernel = ({ xnu: { library, loses } }: MacState): Record<string, string> =>
  library ? { LD_PRELOAD: library, ...(loses ? { XNU_LOSES: `${loses}` } : {}) } : {}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

function findProgram(program: string, cwd: string, path: string): string | undefined {
  const candidates = program.includes('/')
    ? [resolve(cwd, program)]
    : path.split(':').map((folder) => join(folder, program))
  return candidates.find(isProgram)
}

/** Opens a log to append, 0644; folders on the way are made 0744, as launchd makes them. */
function openLog(path: string, cwd: string): number {
  const full = resolve(cwd, path)
  mkdirSync(dirname(full), { recursive: true, mode: 0o744 })
  return openSync(full, 'a', 0o644)
}

/** This machine's hard limit of open files, which no job may pass. */
function hardLimit(): number {
  const line = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))
  return line?.[1] === 'unlimited' ? Number.POSITIVE_INFINITY : Number(line?.[1] ?? 4096)
}

/** A shell line that sets limits and mask and then becomes the program, keeping its pid. */
function prelude(spec: JobSpec): string {
  const most = hardLimit()
  const hard = Math.min(spec.hardFiles ?? most, most)
  const soft = Math.min(spec.softFiles ?? DEFAULT_FILES, hard)
  const lines = [`ulimit -Sn ${soft}`]
  if (spec.hardFiles !== undefined) lines.push(`ulimit -Hn ${hard}`)
  lines.push(`umask ${(spec.umask ?? 0o022).toString(8).padStart(4, '0')}`, 'exec "$@"')
  return lines.join('; ')
}

function openLogs(spec: JobSpec, cwd: string): ('ignore' | number)[] {
  const out = spec.stdoutPath === undefined ? 'ignore' : openLog(spec.stdoutPath, cwd)
  try {
    return ['ignore', out, spec.stderrPath === undefined ? 'ignore' : openLog(spec.stderrPath, cwd)]
  } catch (error) {
    if (typeof out === 'number') closeSync(out)
    throw error
  }
}

/** Starts a job's program in a process group of its own; throws when launchd would not get as far as the program. */
export function spawnJob(world: World, spec: JobSpec): ChildProcess {
  const env = fullEnvironment(world, spec)
  const cwd = spec.workingDirectory ?? '/'
  if (!statSync(cwd, { throwIfNoEntry: false })?.isDirectory()) throw new Error(`no working directory ${cwd}`)
  const program = findProgram(spec.program, cwd, env.PATH ?? '')
  if (!program) throw new Error(`no program ${spec.program}`)
  const logs = openLogs(spec, cwd)
  try {
    const words = ['-c', prelude(spec), 'launchd', program, ...spec.args.slice(1)]
    return spawn('/bin/sh', words, { cwd, env, detached: true, stdio: ['ignore', ...logs.slice(1)] })
  } finally {
    for (const log of logs) if (typeof log === 'number') closeSync(log)
  }
}

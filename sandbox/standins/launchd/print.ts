import { readMac } from './mac.ts'
import type { JobSpec } from './plist.ts'
import { jobEnvironment } from './spawn.ts'
import { type Domain, domainName, type Exit, type Job, type World } from './world.ts'

const sysexits: Record<number, string> = {
  64: 'EX_USAGE',
  65: 'EX_DATAERR',
  66: 'EX_NOINPUT',
  67: 'EX_NOUSER',
  68: 'EX_NOHOST',
  69: 'EX_UNAVAILABLE',
  70: 'EX_SOFTWARE',
  71: 'EX_OSERR',
  72: 'EX_OSFILE',
  73: 'EX_CANTCREAT',
  74: 'EX_IOERR',
  75: 'EX_TEMPFAIL',
  76: 'EX_PROTOCOL',
  77: 'EX_NOPERM',
  78: 'EX_CONFIG',
}

type Line = string | undefined

function block(name: string, lines: string[]): string[] {
  return [`${name} = {`, ...lines.map((line) => `\t${line}`), '}']
}

/** Blocks stand apart by an empty line; an empty one is left out. */
function optionalBlock(name: string, lines: string[]): string[] {
  return lines.length > 0 ? [...block(name, lines), ''] : []
}

function pairs(values: Record<string, string>): string[] {
  return Object.entries(values).map(([key, value]) => `${key} => ${value}`)
}

/** A signal's line stands in the place of the exit code's, it does not join it. */
function lastExit(exit: Exit | undefined): string {
  if (!exit) return 'last exit code = (never exited)'
  if ('signal' in exit) return `last terminating signal = ${exit.signal.text}: ${exit.signal.number}`
  const name = sysexits[exit.code]
  return `last exit code = ${exit.code}${name ? `: ${name}` : ''}`
}

function spawnType(spec: JobSpec): string {
  if (spec.processType === 'Interactive') return 'interactive (4)'
  return spec.processType === 'Adaptive' ? 'adaptive (6)' : 'daemon (3)'
}

function properties(spec: JobSpec): string {
  const names = [
    spec.keepAlive === true && 'keepalive',
    spec.runAtLoad && 'runatload',
    spec.inferredProgram && 'inferred program',
    spec.abandonProcessGroup && 'abandon process group',
  ]
  return names.filter((name) => name !== false).join(' | ')
}

function semaphores(spec: JobSpec): string[] {
  if (typeof spec.keepAlive === 'boolean') return []
  const { successfulExit, crashed } = spec.keepAlive
  const lines = [
    successfulExit !== undefined && `successful exit => ${Number(successfulExit)}`,
    crashed !== undefined && `crashed => ${Number(crashed)}`,
  ]
  return lines.filter((line) => line !== false)
}

function limits(spec: JobSpec): string[] {
  const lines = [
    spec.softFiles !== undefined && `maxfiles (soft) => ${spec.softFiles}`,
    spec.hardFiles !== undefined && `maxfiles (hard) => ${spec.hardFiles}`,
  ]
  return lines.filter((line) => line !== false)
}

function optional(name: string, value: string | number | undefined): Line {
  return value === undefined ? undefined : `${name} = ${value}`
}

function head(job: Job): Line[] {
  const { spec } = job
  return [
    `active count = ${job.child ? 1 : 0}`,
    `path = ${spec.path}`,
    `type = ${job.domain.kind === 'system' ? 'LaunchDaemon' : 'LaunchAgent'}`,
    `state = ${job.state}`,
    '',
    `program = ${spec.program}`,
    ...optionalBlock('arguments', spec.args),
    optional('working directory', spec.workingDirectory),
    '',
    optional('stdout path', spec.stdoutPath),
    optional('stderr path', spec.stderrPath),
  ]
}

function environment(world: World, job: Job): Line[] {
  const groups = jobEnvironment(world.box, job.spec)
  return [
    ...optionalBlock('inherited environment', pairs(groups.inherited)),
    ...optionalBlock('default environment', pairs(groups.default)),
    ...optionalBlock('environment', pairs(groups.own)),
  ]
}

function life(job: Job): Line[] {
  const { spec, domain } = job
  return [
    `domain = ${domain.kind === 'system' ? 'system' : `${domainName(domain)} [100007]`}`,
    optional('asid', domain.kind === 'gui' ? 100007 : undefined),
    `minimum runtime = ${spec.throttleSeconds}`,
    `exit timeout = ${spec.exitTimeoutSeconds}`,
    optional('run interval', spec.startIntervalSeconds && `${spec.startIntervalSeconds} seconds`),
    `runs = ${job.runs}`,
    optional('pid', job.child?.pid),
    optional('immediate reason', job.child && job.reason),
    `forks = ${job.child ? 1 : 0}`,
    'execs = 1',
    'initialized = 1',
    lastExit(job.lastExit),
    '',
    ...optionalBlock('semaphores', semaphores(spec)),
    ...optionalBlock('resource limits', limits(spec)),
  ]
}

/** Sub-blocks with a `state` and an `active count` of their own: the trap for a reader who does not count tabs. */
function coalition(job: Job, kind: 'resource' | 'jetsam'): string[] {
  const state = job.child ? 'active' : 'inactive'
  const lines = ['ID = 4711', `type = ${kind}`, `state = ${state}`, `active count = ${job.child ? 1 : 0}`]
  return optionalBlock(`${kind} coalition`, [...lines, `name = ${job.spec.label}`])
}

function tail(job: Job): Line[] {
  return [
    ...coalition(job, 'resource'),
    ...coalition(job, 'jetsam'),
    `spawn type = ${spawnType(job.spec)}`,
    `jetsam priority = ${job.spec.processType === 'Interactive' ? 40 : 3}`,
    'jetsam memory limit (active) = (unlimited)',
    'jetsam memory limit (inactive) = (unlimited)',
    'jetsamproperties category = daemon',
    'cpumon = default',
    '',
    `properties = ${properties(job.spec)}`,
  ]
}

function indented(lines: Line[]): string {
  const said = lines.filter((line) => line !== undefined)
  const once = said.filter((line, index) => line !== '' || said[index - 1] !== '')
  return once.map((line) => (line === '' ? '\n' : `\t${line}\n`)).join('')
}

/** `launchctl print gui/501/LABEL`, in the shape captured on macOS 15 and 26. */
export function printJob(world: World, job: Job): string {
  const lines = [...head(job), ...environment(world, job), ...life(job), ...tail(job)]
  return `${domainName(job.domain)}/${job.spec.label} = {\n${indented(lines)}}\n`
}

/** The status column of a job: its exit status, or minus the signal that killed it. */
export function statusOf(job: Job): number {
  if (!job.lastExit) return 0
  return 'signal' in job.lastExit ? -job.lastExit.signal.number : job.lastExit.code
}

function serviceRow(job: Job): string {
  const pid = String(job.child?.pid ?? 0)
  return `${pid.padStart(8)} ${String(job.lastExit ? statusOf(job) : '-').padStart(6)} \t${job.spec.label}`
}

/** `launchctl print gui/501`: much shortened; the real one runs to thousands of lines. */
export function printDomain(world: World, domain: Domain): string {
  const jobs = [...domain.jobs.values()]
  const type = { gui: 'login', user: 'user', system: 'system' }[domain.kind]
  const lines = [
    `type = ${type}`,
    `handle = ${domain.uid}`,
    `active count = ${jobs.filter((job) => job.child).length}`,
    `service count = ${jobs.length}`,
    `active service count = ${jobs.filter((job) => job.child).length}`,
    `session = ${domain.kind === 'gui' ? 'Aqua' : 'Background'}`,
    '',
    ...block('environment', pairs(readMac(world.box).setenv)),
    '',
    ...block('services', jobs.map(serviceRow)),
    '',
    ...block('unmanaged processes', []),
  ]
  return `${domainName(domain)} = {\n${indented(lines)}}\n`
}

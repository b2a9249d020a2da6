import type { ChildProcess } from 'node:child_process'
import { performance } from 'node:perf_hooks'
import { readMac, takeOne } from './mac.ts'
import type { JobSpec, KeepAliveWhen } from './plist.ts'
import { type Signal, signalOf } from './signals.ts'
import { EX_CONFIG, spawnJob } from './spawn.ts'
import { changed, type Domain, type Exit, type Job, jobName, type World } from './world.ts'

/** Between the decision to start and the process: launchd is never done before launchctl returns. */
const SPAWN_MS = 20

/** Puts a job under its label into a domain and starts what wants to start. */
export function loadJob(world: World, domain: Domain, spec: JobSpec): Job {
  const job: Job = {
    domain,
    spec,
    state: 'not running',
    runs: 0,
    reason: 'speculative',
    removing: false,
    restart: false,
  }
  domain.jobs.set(spec.label, job)
  world.log(jobName(job), 'bootstrapped')
  const wanted = spec.runAtLoad || impliesRunAtLoad(spec.keepAlive)
  if (wanted && !takeOne(world.box, 'stuckStarts')) schedule(world, job, 'speculative')
  if (spec.startIntervalSeconds) repeat(world, job, spec.startIntervalSeconds)
  changed(world)
  return job
}

function impliesRunAtLoad(keepAlive: boolean | KeepAliveWhen): boolean {
  return typeof keepAlive === 'boolean' ? keepAlive : keepAlive.successfulExit !== undefined
}

function repeat(world: World, job: Job, seconds: number): void {
  job.intervalTimer = setInterval(() => {
    if (job.state === 'not running') schedule(world, job, 'interval')
  }, seconds * 1000)
}

/** The least time between two starts of a job, in ms, after the box's `throttleMs` has shrunk it. */
function throttleMs(world: World, spec: JobSpec): number {
  const tenSeconds = readMac(world.box).launchd.throttleMs ?? 10_000
  return (spec.throttleSeconds / 10) * tenSeconds
}

/** Starts a job as soon as its throttle allows. */
export function schedule(world: World, job: Job, reason: string): void {
  if (job.child || job.startTimer) return
  const earliest = job.lastStart === undefined ? 0 : job.lastStart + throttleMs(world, job.spec)
  const wait = earliest - performance.now()
  job.reason = reason
  job.state = wait > SPAWN_MS ? 'spawn scheduled' : 'spawning'
  if (wait > SPAWN_MS)
    world.log(jobName(job), `Service only ran for too short. Pushing respawn out by ${wait.toFixed()} ms.`)
  job.startTimer = setTimeout(() => start(world, job), Math.max(wait, SPAWN_MS))
  changed(world)
}

function start(world: World, job: Job): void {
  job.startTimer = undefined
  job.runs += 1
  job.lastStart = performance.now()
  try {
    watch(world, job, spawnJob(world, job.spec))
  } catch (error) {
    notStarted(world, job, error)
  }
  changed(world)
}

function watch(world: World, job: Job, child: ChildProcess): void {
  job.child = child
  job.state = 'running'
  world.log(jobName(job), `Successfully spawned ${job.spec.program}[${child.pid}] because ${job.reason}`)
  child.once('error', (error) => {
    if (job.child === child && child.pid === undefined) notStarted(world, job, error)
  })
  child.once('exit', (code, signal) => exited(world, job, code, signal))
}

function notStarted(world: World, job: Job, error: unknown): void {
  job.child = undefined
  const why = error instanceof Error ? error.message : String(error)
  world.log(jobName(job), `Service could not initialize: ${why}, exited with ${EX_CONFIG}: EX_CONFIG`)
  settle(world, job, { code: EX_CONFIG })
}

function exited(world: World, job: Job, code: number | null, signalName: NodeJS.Signals | null): void {
  const group = job.child?.pid
  job.child = undefined
  clearTimeout(job.killTimer)
  const signal = signalName ? signalOf(signalName) : undefined
  const exit: Exit = signal ? { signal } : { code: code ?? 0 }
  world.log(jobName(job), signal ? `exited due to ${signal.text}: ${signal.number}` : `exited with ${code}`)
  if (group !== undefined) endGroup(world, job, group)
  settle(world, job, exit)
}

/** What is left of the job's process group gets SIGTERM however the job ended, unless the plist says to abandon it. */
function endGroup(world: World, job: Job, group: number): void {
  if (job.spec.abandonProcessGroup) world.abandoned.add(group)
  else signalGroup(group, 'SIGTERM')
}

/** Signals a process group; one that is gone is no matter. */
export function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal)
  } catch {
    // nobody is left in it
  }
}

function settle(world: World, job: Job, exit: Exit): void {
  job.lastExit = exit
  job.state = 'not running'
  const again = job.restart || keptAlive(job.spec.keepAlive, exit)
  if (job.removing) drop(world, job)
  else if (again) schedule(world, job, job.restart ? 'non-ipc demand' : 'inefficient')
  job.restart = false
  changed(world)
}

function keptAlive(keepAlive: boolean | KeepAliveWhen, exit: Exit): boolean {
  if (typeof keepAlive === 'boolean') return keepAlive
  const successful = 'code' in exit && exit.code === 0
  const crashed = 'signal' in exit
  return keepAlive.successfulExit === successful || keepAlive.crashed === crashed
}

/** Takes a label out of its domain. From now on print answers 113 and bootstrap may pass. */
function drop(world: World, job: Job): void {
  clearTimeout(job.startTimer)
  clearInterval(job.intervalTimer)
  job.startTimer = undefined
  if (job.domain.jobs.get(job.spec.label) === job) job.domain.jobs.delete(job.spec.label)
  world.log(jobName(job), 'removing service')
  changed(world)
}

/** Boots a job out: it is asked to end, and the label stays until the process is dead. True when there was a process. */
export function removeJob(world: World, job: Job): boolean {
  job.removing = true
  job.restart = false
  clearTimeout(job.startTimer)
  job.startTimer = undefined
  if (!job.child) drop(world, job)
  else terminate(world, job)
  return job.child !== undefined
}

/** SIGTERM now, SIGKILL after the exit timeout; the kind of end that `bootout`, `stop` and `kickstart -k` ask for. */
export function terminate(world: World, job: Job): void {
  if (job.state !== 'running') return
  job.state = 'SIGTERMed'
  world.log(jobName(job), 'signaled service: Terminated: 15')
  job.child?.kill('SIGTERM')
  // 0 means: wait for ever.
  const seconds = job.spec.exitTimeoutSeconds
  if (seconds > 0) {
    world.log(jobName(job), `scheduling cleanup in ${seconds} seconds`)
    job.killTimer = setTimeout(() => killNow(world, job), seconds * 1000)
  }
  changed(world)
}

/** SIGKILL, without the wait. */
export function killNow(world: World, job: Job): void {
  if (!job.child) return
  job.state = 'SIGKILLed'
  world.log(jobName(job), 'signaled service: Killed: 9')
  job.child.kill('SIGKILL')
  changed(world)
}

/** Sends one signal to a job's process, and nothing more; false when it has none. */
export function signalJob(world: World, job: Job, signal: Signal): boolean {
  if (!job.child) return false
  world.log(jobName(job), `signaled service: ${signal.text}: ${signal.number}`)
  try {
    job.child.kill(signal.name)
  } catch {
    // EMT and INFO do not exist on this kernel
  }
  return true
}

/** `kickstart -k`: ends the running process and starts the job again when it is dead and its throttle allows. */
export function restartJob(world: World, job: Job): void {
  job.restart = job.child !== undefined
  if (!job.child) schedule(world, job, 'non-ipc demand')
  else if (readMac(world.box).launchd.kickstartSignal === 'SIGKILL') killNow(world, job)
  else terminate(world, job)
}

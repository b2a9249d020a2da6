import type { ChildProcess } from 'node:child_process'
import type { Box } from '../box.ts'
import type { JobSpec } from './plist.ts'
import type { Signal } from './signals.ts'

/** What `state = ` says of a job. `spawn scheduled` is the wait for the throttle. */
export type JobState = 'not running' | 'spawn scheduled' | 'spawning' | 'running' | 'SIGTERMed' | 'SIGKILLed'

/** How a job's process ended: its exit status, or the signal that killed it. */
export type Exit = { code: number } | { signal: Signal }

/** One job in one domain. */
export interface Job {
  domain: Domain
  spec: JobSpec
  state: JobState
  child?: ChildProcess
  /** how often a start was tried since it was loaded */
  runs: number
  /** when the last start was, in ms of a clock that never goes back */
  lastStart?: number
  lastExit?: Exit
  /** why it was started last, in launchd's words */
  reason: string
  /** booted out, and only waiting for the process to die */
  removing: boolean
  /** to be started again as soon as it is dead */
  restart: boolean
  startTimer?: NodeJS.Timeout
  killTimer?: NodeJS.Timeout
  intervalTimer?: NodeJS.Timeout
}

/** A domain and its labels. */
export interface Domain {
  kind: 'gui' | 'user' | 'system'
  uid: number
  jobs: Map<string, Job>
  tearingDown: boolean
}

/** Everything that the daemon holds. */
export interface World {
  box: Box
  home: string
  domains: { gui: Domain; user: Domain; system: Domain }
  /** process groups whose main process is gone and that were to be left alone; a reboot ends them */
  abandoned: Set<number>
  /** called at every change of a job's state */
  watchers: Set<() => void>
  log(subject: string, line: string): void
}

/** A world without jobs. */
export function newWorld(box: Box, home: string, uid: number, log: World['log']): World {
  const domain = (kind: Domain['kind'], owner: number): Domain => ({
    kind,
    uid: owner,
    jobs: new Map(),
    tearingDown: false,
  })
  return {
    box,
    home,
    domains: { gui: domain('gui', uid), user: domain('user', uid), system: domain('system', 0) },
    abandoned: new Set(),
    watchers: new Set(),
    log,
  }
}

/** `gui/501`, `user/501`, `system`. */
export function domainName(domain: Domain): string {
  return domain.kind === 'system' ? 'system' : `${domain.kind}/${domain.uid}`
}

/** `gui/501/com.example.job`: the target of one job. */
export function jobName(job: Job): string {
  return `${domainName(job.domain)}/${job.spec.label}`
}

/** Resolves when the condition holds; it is asked again at every change of a job's state. */
export function when(world: World, holds: () => boolean): Promise<void> {
  if (holds()) return Promise.resolve()
  return new Promise((resolve) => {
    const watch = () => {
      if (!holds()) return
      world.watchers.delete(watch)
      resolve()
    }
    world.watchers.add(watch)
  })
}

/** Tells the watchers that a job changed. */
export function changed(world: World): void {
  for (const watch of [...world.watchers]) watch()
}

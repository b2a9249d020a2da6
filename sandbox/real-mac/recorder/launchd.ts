import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { build, type PlistValue } from 'plist'
import type { Output } from '../../../lib/host/command.ts'
import type { Recorded } from './recording.ts'
import * as reduce from './reduce.ts'

/** Where launchd is asked: a Mac, or the stand-in's box. */
export interface Ground {
  launchctl(...argv: string[]): Promise<Output>
  uid: number
  home: string
  /** the throw-away label; nothing else is called that here */
  label: string
  /** also disables and enables the label, which launchd remembers for good: one line in a list of its own */
  disables: boolean
  /** an interrupted recording stops at the next call, and cleans up */
  signal?: AbortSignal
}

export interface LaunchdRecording {
  recorded: Recorded[]
  /** how long things took, in ms */
  timings: Record<string, number>
}

type Keys = Record<string, PlistValue>

interface Session {
  ground: Ground
  file: string
  target: string
  recorded: Recorded[]
  timings: Record<string, number>
}

/** As the recording names what differs from Mac to Mac. */
function plain({ home, uid, label }: Ground, text: string): string {
  return text
    .replaceAll(label, 'LABEL')
    .replaceAll(home, '/Users/me')
    .replaceAll(`gui/${uid}`, 'gui/501')
    .replaceAll(`user/${uid}`, 'user/501')
    .replaceAll(`user gui: ${uid}`, 'user gui: 501')
    .replace(/^(\t(?:pid|asid|handle|unique id) =|\t"PID" =) \d+/gm, '$1 N')
    .replace(/^(\t\tID =) \d+/gm, '$1 N')
    .replace(/\[\d+\]/g, '[N]')
    .replace(/^\d+(?=\t)/gm, 'N')
    .replace(/^(service spawned with pid: )?\d+$/gm, '$1N')
}

interface Saying {
  /** takes out of what was printed what is not ours to record */
  reduced?: (text: string) => string
}

/** Makes one call and records it; gives what came back, as it came. */
async function say(s: Session, name: string, when: string, argv: string[], { reduced }: Saying = {}): Promise<Output> {
  s.ground.signal?.throwIfAborted()
  const started = performance.now()
  const said = await s.ground.launchctl(...argv)
  s.timings[name] = Math.round(performance.now() - started)
  const [stdout, stderr] = [reduced?.(said.stdout) ?? said.stdout, said.stderr].map((text) => plain(s.ground, text))
  const words = ['launchctl', ...argv].map((one) => plain(s.ground, one))
  s.recorded.push({ name, argv: words, when, exit: said.code, stdout: stdout ?? '', stderr: stderr ?? '' })
  return said
}

const sleeper: Keys = { ProgramArguments: ['/bin/sleep', '600'], RunAtLoad: true }

function put(s: Session, keys: Keys, mode = 0o644): void {
  mkdirSync(join(s.ground.home, 'Library/LaunchAgents'), { recursive: true })
  writeFileSync(s.file, build({ Label: s.ground.label, ...keys }))
  chmodSync(s.file, mode)
}

const domain = ({ ground }: Session): string => `gui/${ground.uid}`

const bootstrap = (s: Session, name: string, when: string): Promise<Output> =>
  say(s, name, when, ['bootstrap', domain(s), s.file])

const print = (s: Session, name: string, when: string): Promise<Output> =>
  say(s, name, when, ['print', s.target], { reduced: reduce.job })

/** Asks until it holds, and gives how long that took in ms; undefined after the time (ms). */
async function until(withinMs: number, holds: () => Promise<boolean>): Promise<number | undefined> {
  const started = performance.now()
  while (!(await holds())) {
    if (performance.now() - started > withinMs) return undefined
    await pause(50)
  }
  return Math.round(performance.now() - started)
}

/** Waits for a line of `print`; what it took is a timing by this name. */
async function shows(s: Session, line: RegExp, timing?: string, withinMs = 30_000): Promise<void> {
  const ms = await until(withinMs, async () => {
    s.ground.signal?.throwIfAborted()
    return line.test((await s.ground.launchctl('print', s.target)).stdout)
  })
  if (timing !== undefined && ms !== undefined) s.timings[timing] = ms
}

/** Takes the job out of its domain, without a record, and waits until launchd has forgotten it. */
async function clear(s: Session, timing?: string): Promise<void> {
  await s.ground.launchctl('bootout', s.target)
  const ms = await until(30_000, async () => (await s.ground.launchctl('print', s.target)).code === 113)
  if (timing !== undefined && ms !== undefined) s.timings[timing] = ms
}

const running = /^\tpid = \d+/m

async function life(s: Session): Promise<void> {
  const variables = { EnvironmentVariables: { RECORDED: 'yes' }, SoftResourceLimits: { NumberOfFiles: 8192 } }
  put(s, { ...sleeper, KeepAlive: true, ProcessType: 'Interactive', ExitTimeOut: 5, ...variables })
  await bootstrap(s, 'bootstrap.fresh', 'never loaded')
  await shows(s, running, 'started')
  await print(s, 'print.running', 'running')
  await say(s, 'list.running', 'running', ['list', s.ground.label])
  await say(s, 'list.row', 'running', ['list'], { reduced: reduce.rows(s.ground.label) })
  await bootstrap(s, 'bootstrap.loaded', 'loaded and running')
  await say(s, 'kickstart.running', 'running', ['kickstart', s.target])
  await say(s, 'kill.running', 'running, the signal by its name', ['kill', 'SIGCONT', s.target])
  await say(s, 'kickstart.kill', 'running', ['kickstart', '-k', s.target])
  await shows(s, running)
  await say(s, 'bootout.loaded', 'running', ['bootout', s.target])
  await clear(s, 'gone after bootout')
}

/** A job that takes a while to end: launchctl answers before that, and what comes then is the race of every installer. */
async function dying(s: Session): Promise<void> {
  const slow = "trap 'sleep 4; exit 0' TERM; while :; do sleep 0.1; done"
  put(s, { ProgramArguments: ['/bin/sh', '-c', slow], RunAtLoad: true, ExitTimeOut: 10 })
  await s.ground.launchctl('bootstrap', domain(s), s.file)
  await shows(s, running)
  // The shell needs a moment to set its trap; nothing shows when it has.
  await pause(500)
  await say(s, 'bootout.slow', 'running, and slow to end', ['bootout', s.target])
  await print(s, 'print.dying', 'booted out, its process still ends')
  await bootstrap(s, 'bootstrap.dying', 'booted out, its process still ends')
  await clear(s, 'gone after a slow end')
}

async function unknown(s: Session): Promise<void> {
  await print(s, 'print.unknown', 'not loaded')
  await say(s, 'list.unknown', 'not loaded', ['list', s.ground.label])
  await say(s, 'bootout.unknown', 'not loaded', ['bootout', s.target])
  await say(s, 'kickstart.unknown', 'not loaded', ['kickstart', s.target])
  await say(s, 'kill.unknown', 'not loaded', ['kill', 'SIGTERM', s.target])
  const [nobody, label] = ['gui/424242', s.ground.label]
  await say(s, 'print.no-domain', 'nobody of that number is logged in', ['print', nobody])
  await say(s, 'bootstrap.no-domain', 'nobody of that number is logged in', ['bootstrap', nobody, s.file])
  await say(s, 'print.malformed', 'no target', ['print', 'nonsense'])
  await say(s, 'kickstart.bare-label', 'a label without its domain', ['kickstart', label])
  await say(s, 'print.domain', 'the desktop’s domain', ['print', domain(s)], { reduced: reduce.domain })
  await say(s, 'managername', 'at the desktop', ['managername'])
  for (const code of [3, 5, 17, 36, 37, 64, 109, 111, 112, 113, 119, 122, 125, 134, 161])
    await say(s, `error.${code}`, 'always', ['error', `${code}`])
}

async function refused(s: Session): Promise<void> {
  const tried = async (name: string, when: string) => {
    await bootstrap(s, `bootstrap.${name}`, when)
    await clear(s)
  }
  for (const [name, mode] of [['0600', 0o600] as const, ['0664', 0o664] as const, ['0666', 0o666] as const]) {
    put(s, sleeper, mode)
    await tried(name, `a property list of mode ${name}`)
  }
  put(s, { RunAtLoad: true })
  await tried('no-program', 'neither Program nor ProgramArguments')
  writeFileSync(s.file, build(sleeper), { mode: 0o644 })
  await tried('no-label', 'no Label')
  put(s, sleeper)
  writeFileSync(s.file, '<?xml version="1.0"?><plist><dict><key>Label</key>')
  await tried('bad-xml', 'XML that ends in the middle')
  rmSync(s.file)
  await tried('no-file', 'no such file')
}

/** What launchd says of jobs that ended, and of one that it holds back. */
async function ended(s: Session): Promise<void> {
  put(s, { ProgramArguments: ['/bin/sh', '-c', 'exit 3'], RunAtLoad: true })
  await s.ground.launchctl('bootstrap', domain(s), s.file)
  await shows(s, /^\tlast exit code = 3/m)
  await print(s, 'print.exited', 'ended with 3')
  await say(s, 'list.exited', 'ended with 3', ['list', s.ground.label])
  await say(s, 'list.row-exited', 'ended with 3', ['list'], { reduced: reduce.rows(s.ground.label) })
  await say(s, 'kill.ended', 'loaded, no process', ['kill', 'SIGTERM', s.target])
  await clear(s)
  put(s, sleeper)
  await s.ground.launchctl('bootstrap', domain(s), s.file)
  await shows(s, running)
  await say(s, 'kill.kill', 'running', ['kill', 'SIGKILL', s.target])
  await shows(s, /^\tstate = (?!running)/m)
  await print(s, 'print.killed', 'ended by SIGKILL')
  await clear(s)
  put(s, { ProgramArguments: ['/usr/bin/false'], RunAtLoad: true, KeepAlive: true })
  await s.ground.launchctl('bootstrap', domain(s), s.file)
  await shows(s, /^\tstate = spawn scheduled/m, undefined, 15_000)
  await print(s, 'print.throttled', 'ended at once, to be kept alive')
  await shows(s, /^\truns = 2/m, 'second start of a job that ends at once')
  await clear(s)
}

async function switchedOff(s: Session): Promise<void> {
  put(s, sleeper)
  const listed = (name: string, when: string) =>
    say(s, name, when, ['print-disabled', domain(s)], { reduced: reduce.disabled(s.ground.label) })
  await say(s, 'disable', 'not loaded', ['disable', s.target])
  await listed('print-disabled.disabled', 'our label is disabled')
  await bootstrap(s, 'bootstrap.disabled', 'its label is disabled')
  await clear(s)
  await say(s, 'enable', 'disabled', ['enable', s.target])
  await listed('print-disabled.enabled', 'our label was disabled and enabled again')
}

/** Removes the job, its file and its process; launchd keeps one line about a label that was disabled once. */
async function cleanUp(s: Session): Promise<void> {
  if (s.ground.disables) await s.ground.launchctl('enable', s.target)
  await clear(s)
  rmSync(s.file, { force: true })
}

/** Records how launchctl answers, about a throw-away job of our own; takes about a minute on a Mac, and leaves no job, process or file. */
export async function recordLaunchd(ground: Ground): Promise<LaunchdRecording> {
  const file = join(ground.home, 'Library/LaunchAgents', `${ground.label}.plist`)
  const s: Session = { ground, file, target: `gui/${ground.uid}/${ground.label}`, recorded: [], timings: {} }
  try {
    await unknown(s)
    await life(s)
    await dying(s)
    await refused(s)
    await ended(s)
    if (ground.disables) await switchedOff(s)
    return { recorded: s.recorded, timings: s.timings }
  } finally {
    await cleanUp(s)
  }
}

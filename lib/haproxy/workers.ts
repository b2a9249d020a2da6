import { exitCodes, Hangup, Stop } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import type { Say } from '../host/look.ts'
import { typed } from '../host/typed.ts'
import { places } from '../platform/here.ts'

/** A worker as the master's `show proc` lists it. */
interface Process {
  pid: string
  reloads: number
  /** such as 0d00h10m03s */
  uptime: string
}

/** One of HAProxy's worker processes, and a way to it. */
export interface Worker {
  pid: string
  /** it serves new requests; the others finish what they began under earlier configurations */
  current: boolean
  /** `show …`; throws `Silent` when no answer came, since nothing heard is not "none" */
  ask(command: string): Promise<string>
}

/** The same, for changes. A command that was not heard throws `Silent`, too. */
export interface ToldWorker extends Worker {
  tell: Say
}

/** A worker that did not answer: what it has, or whether it did what it was told, is unknown. Its message is what was seen. */
class Silent extends Error {}

/** What the master answers; for one worker the command begins with `@!PID`. */
export const askMaster = (look: Look, command: string) => look.ask(places(look).masterSocket, command)

/** For how long the master runs, reloads and all, in seconds; undefined when it does not answer. */
export async function masterUptime(look: Look): Promise<number | undefined> {
  const [line] = /^\d+\s+master\s.*$/m.exec((await askMaster(look, 'show proc')) ?? '') ?? []
  return line === undefined ? undefined : secondsIn(line)
}

/** 0d00h10m03s somewhere in a text, in seconds. */
function secondsIn(text: string): number | undefined {
  const [, days = 0, hours = 0, minutes = 0, seconds] = (/(\d+)d(\d+)h(\d+)m(\d+)s/.exec(text) ?? []).map(Number)
  return seconds === undefined ? undefined : ((days * 24 + hours) * 60 + minutes) * 60 + seconds
}

/** Pids of all workers, old ones included, as `show proc` lists them. */
export const workers = (text: string): string[] => processesIn(text).map(({ pid }) => pid)

const processesIn = (text: string): Process[] =>
  text.split('\n').flatMap((line) => {
    const [, pid, rest = ''] = /^(\d+)\s+worker\s+(\S.*)$/.exec(line) ?? []
    return pid ? [{ pid, reloads: Number(/\d+/.exec(rest)), uptime: /\d+d\d+h\d+m\d+s/.exec(rest)?.[0] ?? '' }] : []
  })

/** All workers, the one that serves new requests first: after a reload that failed `show proc` lists it as an old one, and it is the youngest. While the master takes in a new configuration it is silent for a moment (5 s at most). Empty when nothing runs; where a worker answers and the master does not, that one, and one without a pid for those that nobody names. */
async function processes(look: Look): Promise<Process[]> {
  let found: Process[] = []
  const named = async () => {
    found = processesIn((await askMaster(look, 'show proc')) ?? '')
    return found.length > 0
  }
  if (!(await named()) && (await look.stat(places(look).masterSocket)))
    await look.until('the master names its workers', 5000, named, beat)
  return found.length === 0 ? withoutMaster(look) : found.sort((one, other) => one.reloads - other.reloads)
}

/** The worker that answers on the admin socket while the master is silent: stopped, out of connections (ten), or without its socket. */
async function withoutMaster(look: Look): Promise<Process[]> {
  const pid = pidIn((await look.ask(places(look).adminSocket, 'show info')) ?? '')
  return pid ? [pid, ''].map((one, reloads) => ({ pid: one, reloads, uptime: '' })) : []
}

/** Pids of all workers that the master has. None when nothing runs. */
export const workersOf = async (look: Look): Promise<string[]> =>
  (await processes(look)).flatMap(({ pid }) => pid || [])

/** How many workers of earlier configurations still serve streams. */
export const oldWorkers = async (look: Look): Promise<number> => Math.max(0, (await processes(look)).length - 1)

/** Which workers are meant. */
export type Which = (worker: Process, current: boolean) => boolean
const everyone: Which = () => true
/** The one that serves new requests. */
export const serving: Which = (_worker, current) => current

/** ms within which every worker has to answer, and a change has to hold in it */
const patience = 10_000
/** ms between two tries */
const beat = 50

/** Asks every worker and gives what each answered. Throws `Stop` (exit 5) that names those who stay silent. */
export async function readEach<T>(
  look: Look,
  read: (worker: Worker) => Promise<T>,
  which: Which = everyone,
): Promise<T[]> {
  const { adminSocket } = places(look)
  const round = await withEach(look, which, async ({ pid }, current) => {
    if (!current) return { value: await read({ pid, current, ask: heard(look, pid) }) }
    const answer = await look.asking(adminSocket, async (ask) => {
      await isWorker(pid, ask)
      return { value: await read({ pid, current, ask }) }
    })
    return answer ?? nobody()
  })
  if (round.silent.length > 0) throw new Stop(exitCodes.partly, `unknown: ${named(round, 'answer')}`)
  return round.answers.map(({ value }) => value)
}

/** The same of one worker, by its pid; undefined when it has ended. Throws `Stop` (exit 5) when it stays silent. */
export async function readOne<T>(
  look: Look,
  pid: string,
  read: (worker: Worker) => Promise<T>,
): Promise<T | undefined> {
  const [answer] = await readEach(look, read, (process) => process.pid === pid)
  return answer
}

/**
 * Changes something in every worker. `change` looks, tells what is wanting, looks again and gives whether it holds; it is
 * called until it does. The current worker is spoken to over its own socket, on one connection that begins with its pid, since
 * for a moment after a reload the old one may still answer there; the others through the master, which loses commands on macOS
 * (haproxy/haproxy, commit d7f681916). Gives how many workers there are; throws `Stop` (exit 5) that names those in which it does not hold.
 */
export async function changeEach(
  host: Host,
  change: (worker: ToldWorker) => Promise<boolean>,
  which: Which = everyone,
): Promise<number> {
  const { adminSocket } = places(host)
  const round = await withEach(host, which, async ({ pid }, current) => {
    const done = current
      ? await host.telling(adminSocket, async (tell) => {
          await isWorker(pid, tell)
          return change({ pid, current, ask: tell, tell })
        })
      : await change({ pid, current, ask: heard(host, pid), tell: told(host, pid) })
    if (done === false) throw new Silent('it has something else')
    return done ?? nobody()
  })
  if (round.silent.length > 0) throw new Stop(exitCodes.partly, `not in force: ${named(round, 'confirm it')}`)
  return round.answers.length
}

/** `why` is what was seen of it at the last try. */
type Unheard = Process & { current: boolean; why: string }

interface Round<T> {
  answers: T[]
  /** the current one first; one without a pid stands for those that a silent master did not name */
  silent: Unheard[]
  /** how long ago the current worker began */
  reloaded: string
  /** for how long they were waited for, ms */
  withinMs: number
}

/** Goes round the workers until each that is there has given something; one that ends meanwhile needs not. */
async function withEach<T>(
  look: Look,
  which: Which,
  way: (worker: Process, current: boolean) => Promise<T>,
): Promise<Round<T>> {
  const answers = new Map<string, T>()
  let round: Round<T> = { answers: [], silent: [], reloaded: '', withinMs: 0 }
  let gained = false
  const goRound = async () => {
    const [found, before] = [await processes(look), answers.size]
    round = { ...round, silent: [], reloaded: found[0]?.uptime ?? '' }
    for (const [at, worker] of found.entries()) {
      if (!which(worker, at === 0)) continue
      const known = answers.get(worker.pid)
      const answer = known ?? (worker.pid ? await way(worker, at === 0).catch(unlessSilent) : new Silent())
      if (answer instanceof Silent) round.silent.push({ ...worker, current: at === 0, why: answer.message })
      else answers.set(worker.pid, answer)
    }
    gained = answers.size > before
    return round.silent.length === 0
  }
  const wait = () => look.until('every worker of HAProxy has answered', patience, goRound, beat)
  // A reload in the midst takes the time away: the master is silent meanwhile, and on a busy machine for long. Many workers may
  // take it all for one round; as long as each brings an answer, the others have not had their turn again.
  let [all, withinMs] = [await wait(), patience]
  while (!all && (gained || (withinMs === patience && isYoung(round.reloaded))))
    [all, withinMs] = [await wait(), withinMs + patience]
  // The verdict is what `until` says, so that a host that only says what it would do sees no failure.
  return { ...round, withinMs, silent: all ? [] : round.silent, answers: [...answers.values()] }
}

const isYoung = (uptime: string): boolean => (secondsIn(uptime) ?? patience) * 1000 < patience

function unlessSilent(error: unknown): Silent {
  if (error instanceof Silent) return error
  throw error
}

function nobody(): never {
  throw new Silent('nobody answers on its socket')
}

const pidIn = (info: string): string | undefined => /^Pid: (\d+)$/m.exec(info)?.[1]

/** Throws `Silent` where another one answers. */
async function isWorker(pid: string, ask: (command: string) => Promise<string>): Promise<void> {
  const there = pidIn(await ask('show info'))
  if (there !== pid) throw new Silent(`worker ${there ?? 'of no number'} answers on its socket`)
}

/** What the master says itself where a worker should have answered. */
const unheard = /^Can't (connect to|find) the target/

function answerOf(pid: string, said: string | undefined): string {
  if (!said || unheard.test(said)) throw new Silent(`worker ${pid} did not answer`)
  return said
}

/** Times that a question is repeated at once; of one in three that gets lost, eight in a row are one of 6,561. */
const tries = 8
/** ms that a question which got lost takes at most: it comes back empty at once. One that takes longer reached a worker that stands still. */
const atOnce = 2000

/** Says something until it is heard. */
async function repeated(pid: string, say: () => Promise<string | undefined>): Promise<string> {
  let said: string | undefined
  const until = performance.now() + atOnce
  for (let at = 0; at < tries && (!said || unheard.test(said)) && performance.now() < until; at += 1) said = await say()
  return answerOf(pid, said)
}

/** A question to one worker through the master. */
const heard = (look: Look, pid: string) => (command: string) =>
  repeated(pid, () => askMaster(look, `@!${pid} ${command}`))

/** A new version of a map may be begun and filled twice: what is not committed counts for nothing, and the same row twice is as good as once. */
const repeatable = (command: string): boolean => /^(prepare map|add map @)/.test(command)

/** A command to one worker through the master; whoever gives it looks what came of it. */
const told =
  (host: Host, pid: string): Say =>
  async (command, payload) => {
    const say = () => host.tell(places(host).masterSocket, `@!${pid} ${command}`, payload).catch(unlessHangup)
    return repeatable(command) ? repeated(pid, say) : answerOf(pid, await say())
  }

/** A socket that is lost while a payload is on its way ends the connection with an error. */
function unlessHangup(error: unknown): undefined {
  if (!(error instanceof Hangup)) throw error
}

function named({ silent, reloaded, withinMs }: Round<unknown>, what: string): string {
  const within = `did not ${what} within ${withinMs / 1000} s`
  const [first] = silent
  if (first?.current) return `the gateway (worker ${first.pid}) ${within} (${first.why}); see ${typed('status')}.`
  if (first?.pid === '')
    return `HAProxy’s master process does not name its workers, so what those that finish earlier answers have is unknown; see ${typed('status')}.`
  const pids = silent.map(({ pid }) => pid).join(', ')
  return `worker ${pids}, which finishes answers that began before the reload ${ago(reloaded)} ago, ${within}; it takes no new requests, and ends with those answers.`
}

/** 0d00h10m03s as its largest part: 10 min. */
function ago(uptime: string): string {
  const [, days, hours, minutes, seconds] = (/^(\d+)d(\d+)h(\d+)m(\d+)s$/.exec(uptime) ?? []).map(Number)
  if (days) return `${days} d`
  if (hours) return `${hours} h`
  return minutes ? `${minutes} min` : `${seconds ?? 0} s`
}

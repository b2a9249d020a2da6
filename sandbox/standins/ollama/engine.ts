import { ApiError, Cut, HungUp, wait } from './errors.ts'
import { type Faults, readFaults } from './faults.ts'
import type { Runner, Scheduler } from './scheduler.ts'
import type { Model } from './store.ts'
import type { Piece } from './voices.ts'

/** What one generation is asked for. */
export interface Job {
  model: Model
  context: number
  promptTokens: number
  pieces: Iterable<Piece>
  /** Tokens at most; 0 and below mean ten times the context, as Ollama's own guard. */
  limit: number
  stops: string[]
  /** False: the answer ends when the context is full. */
  shift: boolean
  keepAliveMs: number | undefined
  signal: AbortSignal
  /** Raw text so far is collected here (for `context`). */
  raw: string[]
}

export interface Metrics {
  doneReason: 'stop' | 'length'
  total_duration: number
  load_duration: number
  prompt_eval_count: number
  prompt_eval_duration: number
  eval_count: number
  eval_duration: number
}

export const RUNNER_DIED = 'an error was encountered while running the model: unexpected EOF'

const nanos = (since: bigint): number => Number(process.hrtime.bigint() - since)

/** Holds text back while it may be the beginning of a stop sequence. */
class Stopper {
  readonly stops: string[]
  private held = ''
  constructor(stops: string[]) {
    this.stops = stops.filter((stop) => stop !== '')
  }

  /** Text to send now, and whether a stop sequence ends the answer. */
  feed(text: string): { send: string; stop: boolean } {
    const all = this.held + text
    const found = this.stops.map((stop) => all.indexOf(stop)).filter((at) => at >= 0)
    if (found.length > 0) return { send: all.slice(0, Math.min(...found)), stop: true }
    const partial = (at: number) => this.stops.some((stop) => stop.startsWith(all.slice(at)))
    let at = all.length
    for (let i = Math.max(0, all.length - 40); i < all.length && at === all.length; i++) if (partial(i)) at = i
    this.held = all.slice(at)
    return { send: all.slice(0, at), stop: false }
  }

  rest(): string {
    return this.held
  }
}

/** ms before the first token: no model begins at once, and a limit of one millisecond would now and then be kept. */
const promptMs = 5

const pace = async (count: number, faults: Faults, job: Job, box: string): Promise<void> => {
  const delay = count === 0 ? (faults.silentMs ?? promptMs) : (faults.tokenDelayMs ?? 1)
  if (delay > 0) await wait(delay, job.signal)
  else if (count % 16 === 0) await new Promise((resolve) => setImmediate(resolve))
  if (faults.stalls && count === faults.stalls.afterTokens) await wait(faults.stalls.ms, job.signal)
  const held = () => readFaults(box).holds?.afterTokens === count && !job.signal.aborted
  if (faults.holds) while (held()) await wait(25, job.signal)
  if (job.signal.aborted) throw new HungUp('context canceled')
  if (faults.cuts && count === faults.cuts.afterTokens) throw new Cut('cut')
}

/** Tokens after which an answer ends with `length`. */
const limitOf = (job: Job): number => {
  const room = job.shift ? 10 * job.context : Math.max(1, job.context - job.promptTokens)
  return job.limit > 0 ? Math.min(job.limit, room) : room
}

/** Speaks the pieces one by one on a slot; the last value says why it ended and what it cost. */
export async function* generate(
  scheduler: Scheduler,
  box: string,
  job: Job,
  runner: Runner,
): AsyncGenerator<Piece, Metrics> {
  const began = process.hrtime.bigint()
  const faults = readFaults(box)
  const stopper = new Stopper(job.stops)
  const limit = limitOf(job)
  let tokens = 0
  let reason: Metrics['doneReason'] = 'stop'
  let ended = true
  for (const piece of job.pieces) {
    if (tokens + piece.tokens > limit) {
      reason = 'length'
      ended = false
      break
    }
    await pace(tokens, faults, job, box)
    if (runner.gone || (faults.runnerDies && tokens >= faults.runnerDies.afterTokens)) {
      scheduler.forget(runner)
      throw new ApiError(500, RUNNER_DIED)
    }
    tokens += piece.tokens
    const { send, stop } = piece.kind === 'content' ? stopper.feed(piece.text) : { send: piece.text, stop: false }
    job.raw.push(piece.kind === 'content' ? send : piece.raw)
    if (send !== '' || piece.call) yield { ...piece, text: send }
    if (stop) {
      ended = false
      break
    }
  }
  if (stopper.rest() !== '' && (ended || reason === 'length')) {
    yield { kind: 'content', text: stopper.rest(), raw: stopper.rest(), tokens: 0 }
  }
  const count = ended ? tokens + 1 : tokens
  return metrics(reason, count, began, runner, job)
}

const metrics = (
  doneReason: Metrics['doneReason'],
  count: number,
  began: bigint,
  runner: Runner,
  job: Job,
): Metrics => {
  const spent = nanos(began)
  return {
    doneReason,
    total_duration: spent + 1_500_000,
    load_duration: runner.loadedMs * 1_000_000 + 1_500_000,
    prompt_eval_count: job.promptTokens,
    prompt_eval_duration: 700_000,
    eval_count: count,
    eval_duration: count > 1 ? spent : 0,
  }
}

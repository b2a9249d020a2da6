import { ApiError, HungUp, Leaked, wait } from './errors.ts'
import { type Faults, readFaults } from './faults.ts'
import type { Settings } from './settings.ts'
import type { Model } from './store.ts'

/** A loaded model: its slots, who waits for one, and when it is unloaded. */
export interface Runner {
  model: Model
  context: number
  loadedMs: number
  busy: number
  waiting: (() => void)[]
  expiresAt: number
  timer?: NodeJS.Timeout
  gone: boolean
}

interface Job {
  model: Model
  context: number
  signal: AbortSignal
  done: (runner: Runner) => void
  failed: (error: Error) => void
  leaked: boolean
}

/** Three models at most when OLLAMA_MAX_LOADED_MODELS is 0 (automatic, one GPU). */
const AUTOMATIC = 3
const FAR = 9_223_372_036_854

/** Loads and unloads models one after the other, as Ollama's scheduler does. Sizes of queues as measured on 0.24.0. */
export class Scheduler {
  readonly runners = new Map<string, Runner>()
  private readonly settings: Settings
  private readonly box: string
  private readonly line: Job[] = []
  private working = false
  private idle: (() => void)[] = []

  constructor(settings: Settings, box: string) {
    this.settings = settings
    this.box = box
  }

  /** The context a model gets: what was asked, else OLLAMA_CONTEXT_LENGTH, else 4096; never above an embedder's own. */
  contextFor(model: Model, asked: number | undefined): number {
    const wanted = asked || this.settings.contextLength || 4096
    return model.config.model_family.endsWith('bert') ? Math.min(wanted, 512) : wanted
  }

  /** A slot on a loaded model; loads it first when needed. Waiting for a slot has no limit, waiting for the loader has. */
  async acquire(model: Model, context: number, signal: AbortSignal): Promise<Runner> {
    const ready = this.runners.get(model.weights)
    const runner = ready && ready.context === context && !this.working ? ready : await this.load(model, context, signal)
    while (runner.busy >= this.settings.parallel) {
      await this.waitForSlot(runner, signal)
      if (signal.aborted) throw new HungUp('context canceled')
      if (runner.gone) return this.acquire(model, context, signal)
    }
    runner.busy++
    clearTimeout(runner.timer)
    return runner
  }

  private waitForSlot(runner: Runner, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        signal.removeEventListener('abort', left)
        resolve()
      }
      const left = () => {
        runner.waiting = runner.waiting.filter((other) => other !== wake)
        resolve()
      }
      runner.waiting.push(wake)
      signal.addEventListener('abort', left, { once: true })
    })
  }

  private load(model: Model, context: number, signal: AbortSignal): Promise<Runner> {
    if (this.working && this.line.length >= this.settings.maxQueue) {
      throw new ApiError(503, 'server busy, please try again.  maximum pending requests exceeded')
    }
    return new Promise((done, failed) => {
      const job: Job = { model, context, signal, done, failed, leaked: false }
      this.line.push(job)
      signal.addEventListener('abort', () => this.drop(job), { once: true })
      if (!this.working) void this.work()
    })
  }

  /** A request that still waits for the loader when its client leaves is forgotten, its handler with it (0.24.0 does so). */
  private drop(job: Job): void {
    const at = this.line.indexOf(job)
    if (at < 0) return
    this.line.splice(at, 1)
    job.leaked = true
    job.failed(new Leaked('dropped by the scheduler'))
  }

  private async work(): Promise<void> {
    this.working = true
    for (let job = this.line.shift(); job; job = this.line.shift()) {
      try {
        job.done(await this.ready(job))
      } catch (error) {
        job.failed(error instanceof Error ? error : new Error(String(error)))
      }
    }
    this.working = false
  }

  private async ready(job: Job): Promise<Runner> {
    const there = this.runners.get(job.model.weights)
    if (there && there.context === job.context) return there
    if (there) await this.evict(there)
    const most = this.settings.maxLoaded || AUTOMATIC
    while (this.runners.size >= most) {
      const oldest = [...this.runners.values()].sort((a, b) => a.busy - b.busy || a.expiresAt - b.expiresAt)[0]
      if (oldest) await this.evict(oldest)
    }
    return this.start(job)
  }

  private async start(job: Job): Promise<Runner> {
    const began = Date.now()
    const faults: Faults = readFaults(this.box)
    await wait(faults.loadDelayMs ?? 40)
    if (faults.noLlamaServer) throw new ApiError(500, 'llama-server binary not found')
    if (faults.loadFails) throw new ApiError(500, `unable to load model: ${job.model.weightsPath}`)
    const runner: Runner = {
      model: job.model,
      context: job.context,
      loadedMs: Date.now() - began,
      busy: 0,
      waiting: [],
      expiresAt: Date.now() + Math.min(this.settings.keepAliveMs, FAR),
      gone: false,
    }
    this.runners.set(job.model.weights, runner)
    return runner
  }

  private async evict(runner: Runner): Promise<void> {
    while (runner.busy > 0 && !runner.gone) await new Promise<void>((resolve) => this.idle.push(resolve))
    this.forget(runner)
  }

  /** Gives a slot back; the model stays for the time the request asked, else OLLAMA_KEEP_ALIVE. */
  release(runner: Runner, keepAliveMs: number | undefined): void {
    runner.busy--
    const ms = keepAliveMs ?? this.settings.keepAliveMs
    this.keep(runner, ms)
    runner.waiting.shift()?.()
    const idle = this.idle
    this.idle = []
    for (const then of idle) then()
  }

  /** Sets when a model is unloaded; 0 means as soon as it is idle. */
  keep(runner: Runner, ms: number): void {
    clearTimeout(runner.timer)
    runner.expiresAt = Date.now() + Math.min(ms, FAR)
    if (runner.gone || runner.busy > 0 || runner.waiting.length > 0) return
    if (ms === 0) this.forget(runner)
    else if (ms < 2 ** 31) runner.timer = setTimeout(() => this.forget(runner), ms).unref()
  }

  /** The model process ends: asked, expired or died. Those who waited for it go through the loader again. */
  forget(runner: Runner): void {
    clearTimeout(runner.timer)
    runner.gone = true
    if (this.runners.get(runner.model.weights) === runner) this.runners.delete(runner.model.weights)
    for (const wake of runner.waiting.splice(0)) wake()
    const idle = this.idle
    this.idle = []
    for (const then of idle) then()
  }
}

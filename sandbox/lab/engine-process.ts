import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EngineName } from '../../lib/site/engines.ts'
import { checkout } from '../box/paths.ts'

/** An engine in a process of its own, which can be killed, or sleep as a machine does: nothing that is sent to it comes to anybody. */
export interface EngineProcess {
  port: number
  /** ids of the requests that it began, in their order, and of those that it ended; of all its lives */
  began(): number[]
  ended(): number[]
  /** at once, as a power cut would */
  kill(): Promise<void>
  /** begins again on the same port, unless it runs */
  start(): Promise<void>
  /** takes no packet for a new connection any more, and says nothing on those that stand */
  sleep(): Promise<void>
  wake(): void
  stop(): Promise<void>
}

/** Whether a connection is taken within the time (ms). */
async function taken(port: number, withinMs: number): Promise<Socket | undefined> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  const timer = setTimeout(() => socket.destroy(), withinMs)
  await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))
  clearTimeout(timer)
  return socket.destroyed ? undefined : socket
}

/** Starts one (engine-alone.ts says what it does). */
export async function startEngineProcess(name: string, kind: EngineName, models: string[]): Promise<EngineProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'engine-'))
  const journal = join(folder, 'journal')
  writeFileSync(journal, '')
  let running: ChildProcess | undefined
  let waiting: Socket[] = []
  const ids = (what: string) =>
    [...readFileSync(journal, 'utf8').matchAll(new RegExp(`^${what} (\\d+)$`, 'gm'))].map(([, id]) => Number(id))
  const lives = () => running !== undefined && running.exitCode === null && running.signalCode === null
  const kill = async () => {
    if (!running || !lives()) return
    const gone = once(running, 'exit')
    running.kill('SIGKILL')
    await gone
  }
  const engine: EngineProcess = {
    port: 0,
    began: () => ids('begin'),
    ended: () => ids('end'),
    kill,
    async start() {
      if (lives()) return
      const argv = ['--import', 'tsx', 'sandbox/lab/engine-alone.ts', name, kind, `${engine.port}`, journal, ...models]
      running = spawn(process.execPath, argv, { cwd: checkout, stdio: ['pipe', 'pipe', 'inherit'] })
      const [port] = (await once(running.stdout?.setEncoding('utf8') ?? running, 'data')) as [string]
      engine.port = Number(port)
    },
    async sleep() {
      running?.kill('SIGSTOP')
      for (let more = await taken(engine.port, 300); more; more = await taken(engine.port, 300)) waiting.push(more)
    },
    wake() {
      running?.kill('SIGCONT')
      for (const one of waiting) one.destroy()
      waiting = []
    },
    async stop() {
      engine.wake()
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  await engine.start()
  return engine
}

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { places } from '../../lib/platform/mac/places.ts'
import { checkout } from '../box/paths.ts'
import { asMac, eventually, type RunningGateway, watchOver } from './gateway.ts'

/** The real observer beside a gateway, as its job would run it. */
export interface RunningObserver {
  process: ChildProcess
  /** what it serves at a path of its own port; undefined while nobody answers */
  served(path?: string, host?: string): Promise<{ status: number; text: string } | undefined>
  /** the job's log */
  said(): string
  /** the lines of the log that people read */
  log(): Record<string, unknown>[]
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** Starts the observer in the gateway's home and waits until it observes. */
export async function startObserver(gateway: RunningGateway, port: number): Promise<RunningObserver> {
  const running = spawn(process.execPath, ['--import', 'tsx', 'observer.ts'], {
    cwd: checkout,
    env: { HOME: gateway.home, PATH: `${asMac(gateway.home)}:${process.env.PATH}` },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const dismiss = watchOver(running.pid ?? 0)
  let said = ''
  running.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  await eventually('the observer observes', () => said.includes(' observing'), 60_000)
  return {
    process: running,
    said: () => said,
    async served(path = '/metrics', host = `127.0.0.1:${port}`) {
      const answer = await gateway.machine.probe({
        ...{ address: '127.0.0.1', port, method: 'GET', target: path },
        headers: { host },
      })
      return answer.end === 'complete' ? { status: answer.status, text: answer.body } : undefined
    },
    log: () => linesOf(places(gateway.home).requestLog).map((line) => JSON.parse(line)),
    async stop(signal = 'SIGTERM') {
      dismiss()
      if (running.exitCode !== null || running.signalCode !== null) return
      const gone = once(running, 'exit')
      running.kill(signal)
      await gone
    },
  }
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean)
  } catch {
    return []
  }
}

import { type Host, realHost } from '../host.ts'
import { keep } from './duty.ts'
import { metrics } from './metrics.ts'
import { requests } from './requests.ts'
import { serving } from './serving.ts'
import { signs } from './sign.ts'
import { countedUpTo, usage } from './usage.ts'

const say = (line: string): void => void process.stderr.write(`${new Date().toISOString()} ${line}\n`)

/** observer.ts: does its duties until it is told to end, then finishes what has come. */
export async function observe(host: Host = realHost()): Promise<void> {
  const [counted, measured] = [usage(), metrics()]
  const reading = requests(host.home, await countedUpTo(host), [counted, measured])
  const kept = keep(host, [reading, counted, serving(measured)], say)
  const living = keep(host, [signs(kept.faults)], say)
  say('observing')
  await new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve)
  })
  await kept.stop()
  await living.stop()
  process.exit(0)
}

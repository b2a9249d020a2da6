import { startGateway } from '../sandbox/lab/gateway.ts'
import { behind } from './behind.ts'
import type { Haproxy } from './haproxies.ts'
import { median } from './load.ts'
import { head, row, say } from './report.ts'
import { eventDelay, streamingEngine } from './streams.ts'
import { asTarget } from './targets.ts'

/** When the first event of a stream is there, with one engine and by the choice between eight. */
export async function firstEvents(found: Haproxy[], rounds: number): Promise<void> {
  say(
    '\n### The first event of a stream, one after the other; events of 20 streams from the engine’s write to the client’s read\n',
  )
  head('HAProxy', 'behind it', 'first event', 'event p50', 'event p99')
  const engines = await Promise.all(Array.from({ length: 8 }, () => streamingEngine(20)))
  const [first] = engines
  if (!first) return
  const ports = engines.map(({ port }) => port)
  /** Ends the streams of all of them. */
  const all = {
    ...first,
    finish: () =>
      engines.forEach((engine) => {
        engine.finish()
      }),
  }
  try {
    for (const one of found) {
      const wanted = { 'one engine': 'inference: { slots: 64 }\n', '8 nodes': behind(ports, 64) }
      const seen = Object.keys(wanted).map((name) => ({ name, delays: [] as Awaited<ReturnType<typeof eventDelay>>[] }))
      const gateways = []
      for (const settings of Object.values(wanted))
        gateways.push(await startGateway({ ...one, enginePort: first.port, settings, withinMs: 60_000 }))
      for (let round = 0; round < rounds; round += 1)
        for (const [at, gateway] of gateways.entries())
          seen[at]?.delays.push(await eventDelay(await asTarget(`${at}`, gateway), all, 1000))
      for (const { name, delays } of seen) {
        const middle = (of: 'first' | 'p50' | 'p99') => `${median(delays.map((delay) => delay[of])).toFixed(2)} ms`
        row(one.version, name, middle('first'), middle('p50'), middle('p99'))
      }
      for (const gateway of gateways) await gateway.stop()
    }
  } finally {
    for (const engine of engines) engine.stop()
  }
}

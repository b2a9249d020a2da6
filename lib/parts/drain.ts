import { loadOf } from '../haproxy/runtime.ts'
import { streamsOf } from '../haproxy/streams.ts'
import { readEach } from '../haproxy/workers.ts'
import type { Host } from '../host/host.ts'
import { spell } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'

/** Answers that run or wait, in workers of earlier configurations, too; those list no servers any more. */
async function unfinished(host: Host): Promise<number> {
  const counts = await readEach(host, async (worker) => {
    if (!worker.current) return (await streamsOf(worker)).length
    const load = loadOf(await worker.ask('show stat'))
    return load ? load.running + load.waiting : 0
  })
  return counts.reduce((sum, count) => sum + count, 0)
}

/** Waits until no answer runs or waits any more, `drain` at most; gives how many are left then. Throws `Stop` (exit 5) when a worker does not tell. */
export async function awaitIdle(host: Host, setup: Pick<Setup, 'settings' | 'say'>): Promise<number> {
  const { drain } = setup.settings
  const first = await unfinished(host)
  if (first > 0) setup.say?.(`${first} answer(s) still run; waiting for them, ${spell(drain)} at most.`)
  const idle = await host.until('', drain, async () => (await unfinished(host)) === 0)
  return idle ? 0 : unfinished(host)
}

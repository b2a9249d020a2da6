import type { Host } from '../host.ts'
import { engineLoad } from '../proxy/runtime.ts'
import { spell } from '../settings.ts'
import type { Setup } from './part.ts'

async function unfinished(host: Host): Promise<number> {
  const load = await engineLoad(host)
  return load ? load.running + load.waiting : 0
}

/** Waits until no answer runs or waits any more, `drain` at most; gives how many are left then. */
export async function awaitIdle(host: Host, setup: Setup): Promise<number> {
  const { drain } = setup.settings
  const first = await unfinished(host)
  if (first > 0) setup.say?.(`${first} answer(s) still run; waiting for them, ${spell(drain)} at most.`)
  const idle = await host.until('running answers to end', drain, async () => (await unfinished(host)) === 0)
  return idle ? 0 : unfinished(host)
}

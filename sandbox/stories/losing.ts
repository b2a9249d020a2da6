import { readFileSync } from 'node:fs'
import type { TestContext } from 'vitest'
import { swap } from '../../lib/haproxy/reload.ts'
import { workersOf } from '../../lib/haproxy/workers.ts'
import { sha256 } from '../../lib/host/command.ts'
import { generateKey } from '../../lib/people/key.ts'
import { places } from '../../lib/platform/mac/places.ts'
import { emptyReceipt } from '../../lib/site/receipt.ts'
import { eventually } from '../lab/gateway.ts'
import { type Lossy, lossy } from '../lab/losses.ts'

export const secrets = { bob: generateKey(), carol: generateKey() }

/** A gateway of this test's own. */
export async function lossyFor({ onTestFinished }: TestContext, loses: number, keys = {}): Promise<Lossy> {
  const at = await lossy(loses, keys)
  onTestFinished(() => at.stop())
  return at
}

/** The worker that serves; a master that has just started may not name it yet. */
export async function currentOf({ machine }: Lossy): Promise<string> {
  let pid = ''
  await eventually('the master names its worker', async () => {
    ;[pid = ''] = await workersOf(machine)
    return pid !== ''
  })
  return pid
}

let round = 0
export async function reload({ gateway }: Lossy): Promise<void> {
  const { config } = places(gateway.home)
  const receipt = { ...emptyReceipt(), files: { [config]: sha256(readFileSync(config, 'utf8')) } }
  round += 1
  const configuration = gateway.rendered(`access: keys\nqueue: { max: ${40 + round} }`)
  await swap(gateway.machine, { receipt, configuration, haproxy: gateway.program })
}

/** A gateway whose earlier worker still streams for bob, and whose current one for both. */
export async function twoWorkers(context: TestContext, loses: number): Promise<Lossy> {
  const at = await lossyFor(context, loses, secrets)
  await at.stream(secrets.bob)
  await reload(at)
  await at.stream(secrets.bob)
  await at.stream(secrets.carol)
  return at
}

import { execFileSync } from 'node:child_process'
import { readRegistry } from '../lib/people/given.ts'
import { hashKey } from '../lib/people/key.ts'
import { keep } from '../lib/people/store.ts'
import { places } from '../lib/platform/mac/places.ts'
import { type RunningGateway, startGateway } from '../sandbox/lab/gateway.ts'
import { exchange, request } from '../sandbox/lab/raw.ts'
import type { Haproxy } from './haproxies.ts'
import { median } from './load.ts'
import { residentOf } from './processes.ts'
import { asTarget, full, registryOf } from './targets.ts'

export interface KeysCost {
  /** MB of the worker */
  memory: number
  /** ms of `haproxy -c`, which loads the maps as a start or a reload does */
  load: number
  /** ms from the beginning of a change to the first request that it is true of; the registry's own reading included */
  acts: number
}

const status = async (gateway: RunningGateway, key: string): Promise<number> =>
  (
    await exchange(
      gateway,
      request('GET /v1/models HTTP/1.1', [`Host: ${gateway.host}`, `Authorization: Bearer ${key}`]),
    )
  ).status

/** Makes a key and revokes it, as keys.ts does, and asks until both are so; ms of each. */
async function changes(gateway: RunningGateway): Promise<number[]> {
  const times: number[] = []
  for (const revoked of [false, true, false, true]) {
    const started = performance.now()
    const registry = await readRegistry(gateway.machine)
    if (revoked) delete registry.keys.fresh
    else registry.keys.fresh = { created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey('rop_fresh') }] }
    const kept = keep(gateway.machine, registry, gateway.gateway.settings)
    // Who asks so often with a wrong key is told 429 in the end.
    while (((await status(gateway, 'rop_fresh')) === 200) === revoked);
    times.push(performance.now() - started)
    await kept
  }
  return times
}

/** What so many keys cost. */
export async function keysCost(count: number, enginePort: number, one: Haproxy): Promise<KeysCost> {
  const gateway = await startGateway({
    ...one,
    enginePort,
    settings: full,
    registry: registryOf(count, { perMinute: 100_000 }),
    withinMs: 60_000,
  })
  try {
    const started = performance.now()
    execFileSync(gateway.program, ['-c', '-f', places(gateway.home).config], { stdio: 'ignore' })
    const load = performance.now() - started
    const { pids } = await asTarget('keys', gateway)
    return { load, memory: residentOf(pids[0] ?? 0), acts: median(await changes(gateway)) }
  } finally {
    await gateway.stop()
  }
}

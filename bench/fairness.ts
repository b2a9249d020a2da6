import { setTimeout as pause } from 'node:timers/promises'
import { generateKey, hashKey } from '../lib/people/key.ts'
import type { Registry } from '../lib/site/limits.ts'
import { type GatewayOptions, type RunningGateway, startGateway, withoutLine } from '../sandbox/lab/gateway.ts'
import { exchange, request } from '../sandbox/lab/raw.ts'
import { json, startRecorder } from '../sandbox/lab/recorder.ts'
import { median } from './load.ts'

/** ms that the engine takes for each answer */
const work = 50
const secrets = { greedy: generateKey(), polite: generateKey() }
const registry: Registry = {
  version: 1,
  keys: Object.fromEntries(
    Object.entries(secrets).map(([name, key]) => [
      name,
      { created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(key) }] },
    ]),
  ),
}

/** One answered request; ms. */
async function ask(gateway: RunningGateway, who: keyof typeof secrets): Promise<number> {
  const started = performance.now()
  const head = [`Host: ${gateway.host}`, `Authorization: Bearer ${secrets[who]}`]
  const answer = await exchange(gateway, request('POST /v1/messages HTTP/1.1', head, '{"model":"m"}'))
  if (answer.status !== 200) throw new Error(`${who} got ${answer.status}: ${answer.body}`)
  return performance.now() - started
}

/** The middle of one person's requests, one after the other, while another keeps so many under way; ms. */
async function waits(gateway: RunningGateway, greedy: number, times: number): Promise<number> {
  let going = true
  const crowd = Array.from({ length: greedy }, async () => {
    while (going) await ask(gateway, 'greedy')
  })
  await pause(greedy > 0 ? 500 : 0)
  const seen: number[] = []
  for (let at = 0; at < times; at += 1) seen.push(await ask(gateway, 'polite'))
  going = false
  await Promise.all(crowd)
  return median(seen)
}

export interface Fairness {
  /** ms of a polite person's request: alone, beside a greedy one, and beside one where nobody's own count matters */
  alone: number
  fair: number
  unfair: number
}

/** One person's one request beside another's twenty, with two slots. */
export async function fairness(times: number): Promise<Fairness> {
  const engine = await startRecorder(async (wire, received) => {
    await pause(work)
    await json()(wire, received)
  })
  const options: GatewayOptions = {
    enginePort: engine.port,
    settings: 'access: keys\ninference: { slots: 2 }',
    registry,
  }
  const fair = await startGateway(options)
  const unfair = await startGateway({ ...options, alter: withoutLine(/set-priority-class/) })
  try {
    return {
      alone: await waits(fair, 0, times),
      fair: await waits(fair, 20, times),
      unfair: await waits(unfair, 20, times),
    }
  } finally {
    for (const one of [fair, unfair, engine]) await one.stop()
  }
}

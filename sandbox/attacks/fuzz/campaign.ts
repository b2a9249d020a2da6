import fc from 'fast-check'
import { workerInfo } from '../../../lib/haproxy/runtime.ts'
import type { RunningGateway } from '../../lab/gateway.ts'
import { illegal } from '../../lab/judge.ts'
import { exchange, type Where } from '../../lab/raw.ts'
import type { Received, Recorder } from '../../lab/recorder.ts'
import { connections } from './requests.ts'

export interface Plan {
  gateway: RunningGateway
  engine: Recorder
  /** connections to open, each with a request or two */
  count: number
  /** another listener of it than the tailnet's plain one */
  by?: Partial<Where>
  /** the same seed gives the same bytes */
  seed: number
  /** hears of each batch: connections so far */
  progress?(sent: number): void
}

/** What came of a campaign. `failure` says what reached the engine and should not have, with the bytes that did it. */
export interface Campaign {
  sent: number
  /** answers by status; 0 counts connections without an answer, and what is none */
  statuses: Record<number, number>
  /** requests that reached the engine, by method and path without the query */
  reached: Record<string, number>
  ms: number
  failure?: string
}

const batchSize = 250
/** Open at once; one address may hold 64, so they come from four. */
const atOnce = 48
/** What never gets an answer, since it waits for more, is left after so many ms. */
const patience = 120

/** Sends one connection's bytes; gives the statuses that came back. */
async function send({ gateway, by }: Plan, text: string, index: number, withinMs = patience): Promise<number[]> {
  const from = `127.0.0.${2 + (index % 4)}`
  const answers = text.split(' HTTP/1.1\r\n').length - 1
  const where = { address: gateway.address, port: gateway.port, ...by, from }
  const { statuses } = await exchange(where, Buffer.from(text, 'latin1'), Math.max(1, answers), withinMs)
  return statuses.length > 0 ? statuses : [0]
}

/** Works through a batch with so many at once. */
async function sendAll(plan: Plan, batch: string[], count: (status: number) => void): Promise<void> {
  let next = 0
  const worker = async () => {
    for (let index = next++; index < batch.length; index = next++)
      for (const status of await send(plan, batch[index] ?? '', index)) count(status)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

const firstBad = (gateway: RunningGateway, received: Received[]): string | undefined =>
  received.map((request) => illegal(gateway, request)).find(Boolean)

/** The same batch one by one, and the guilty one made as small as it can be. */
async function blame(plan: Plan, seed: number, seen: string): Promise<string> {
  const { gateway, engine } = plan
  const property = fc.asyncProperty(connections, async (text) => {
    engine.received.length = 0
    await send(plan, text, 0, 300)
    return firstBad(gateway, engine.received) === undefined
  })
  const { failed, counterexample } = await fc.check(property, { seed, numRuns: batchSize })
  if (!failed) return `${seen} (seed ${seed}, in company only)`
  return `${seen} (seed ${seed}): ${JSON.stringify(counterexample?.[0])}`
}

/** Many random connections at a gateway; whatever its engine gets must be a row of ours in our form. Ends at the first that is not. */
export async function campaign(plan: Plan): Promise<Campaign> {
  const { gateway, engine, count, seed } = plan
  const done: Campaign = { sent: 0, statuses: {}, reached: {}, ms: 0 }
  const started = performance.now()
  const before = await workerInfo(gateway.machine)
  const tally = (status: number) => {
    const key = status || 0
    done.statuses[key] = (done.statuses[key] ?? 0) + 1
  }
  for (let at = 0; done.sent < count && !done.failure; at += 1) {
    const batch = fc.sample(connections, { seed: seed + at, numRuns: batchSize })
    engine.received.length = 0
    await sendAll(plan, batch, tally)
    for (const { method, target } of engine.received) {
      const row = `${method} ${target.split('?')[0]}`
      done.reached[row] = (done.reached[row] ?? 0) + 1
    }
    done.sent += batch.length
    plan.progress?.(done.sent)
    const bad = firstBad(gateway, engine.received)
    if (bad) done.failure = await blame(plan, seed + at, bad)
  }
  const after = await workerInfo(gateway.machine)
  if (!before || after?.pid !== before.pid) done.failure ??= `HAProxy's worker ended (seed ${seed}): ${gateway.said()}`
  done.ms = performance.now() - started
  return done
}

/** The seed that the environment names in FUZZ_SEED, else this one. */
export function seedOf(otherwise: number): number {
  const given = Number(process.env.FUZZ_SEED)
  return process.env.FUZZ_SEED && Number.isSafeInteger(given) ? given : otherwise
}

import { setTimeout as pause } from 'node:timers/promises'
import { chat, open } from '../sandbox/lab/asking.ts'
import { type Engine, startEngine } from '../sandbox/lab/engine.ts'
import { freePort, type RunningGateway, startGateway, withoutLine } from '../sandbox/lab/gateway.ts'
import { type Answer, json } from '../sandbox/lab/recorder.ts'
import { affinity } from './affinity.ts'
import { behind } from './behind.ts'
import { falls } from './fall.ts'
import type { Haproxy } from './haproxies.ts'
import { interleaved, quantile, type Seen, times } from './load.ts'
import { children } from './processes.ts'
import { goal, head, row, say } from './report.ts'
import type { Rounds } from './requests.ts'
import type { Target } from './target.ts'
import { asTarget, engine, haproxy } from './targets.ts'

/** With nodes each request has a connection of its own to its engine, since one that stood leads to a machine that sleeps; here it is told what that costs. */
const anew = (text: string): string =>
  text.replace('backend inference\n', 'backend inference\n    option http-server-close\n')
const kept = withoutLine(/option http-server-close/)

/** What a request costs with so many nodes, beside one engine without any. */
async function cost(found: Haproxy[], { rounds, seconds }: Rounds): Promise<void> {
  const programs = children()
  const gateways: RunningGateway[] = []
  try {
    const ports = await Promise.all(Array.from({ length: 8 }, () => freePort('127.0.0.1')))
    await haproxy(programs, 'engine', engine(...ports))
    const [first = 0] = ports
    for (const one of found) {
      const targets: Target[] = []
      const start = async (name: string, settings: string, alter?: (text: string) => string) => {
        const gateway = await startGateway({ ...one, enginePort: first, settings, alter, withinMs: 60_000 })
        gateways.push(gateway)
        targets.push(await asTarget(name, gateway))
      }
      await start('one engine', 'inference: { slots: 64 }\n')
      await start('one engine, a connection each', 'inference: { slots: 64 }\n', anew)
      for (const count of [1, 2, 4, 8]) await start(`${count} nodes`, behind(ports.slice(0, count), 64))
      await start('8 nodes, no affinity', behind(ports, 64, "affinity: 'off'\n"))
      await start('8 nodes, connections kept', behind(ports, 64), kept)
      await start('8 nodes, no affinity, connections kept', behind(ports, 64, "affinity: 'off'\n"), kept)
      const results = await interleaved(targets, rounds, { connections: 16, bytes: 2000, seconds })
      const [alone, each] = results.values()
      if (!alone || !each) continue
      say(`\n### Nodes: HAProxy ${one.version}, 16 connections, 2 KB: median of ${rounds} interleaved rounds\n`)
      head('behind it', 'processor time', 'of one engine', 'of one with a connection each', 'requests/s')
      const of = (seen: Seen, other: Seen) => `×${times(seen, other, 'cpu').toFixed(2)}`
      for (const [name, seen] of results)
        row(name, `${seen.cpu.toFixed(1)} µs`, of(seen, alone), of(seen, each), Math.round(seen.perSecond))
      const most = results.get('8 nodes') ?? alone
      for (const [other, what] of [
        [each, 'the choice between 8 nodes, processor time of one engine with a connection each'],
        [alone, '8 nodes, processor time of one engine'],
      ] as const)
        goal(`${one.version}: ${what}`, of(most, other), times(most, other, 'cpu') <= 1.4, 'at most ×1.4')
    }
  } finally {
    for (const one of gateways) await one.stop()
    programs.stop()
  }
}

/** A request that comes at some time and takes so long (both ms), at one of some nodes. */
interface Arrival {
  model: string
  at: number
  takes: number
}

/** Which nodes have which model: sets that overlap, so that no single queue would do. */
const has: Record<string, number[]> = { a: [0, 1], b: [1, 2], c: [0, 1, 2], d: [0], e: [2] }
const slots = 2

/** Chance that is the same in each run (mulberry32). */
function chance(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** So many that come by chance, stretched until what they take is this load in fact. */
function arrivals(count: number, mean: number, load: number): Arrival[] {
  const next = chance(1)
  const models = Object.keys(has)
  let at = 0
  const all = Array.from({ length: count }, () => {
    at += -Math.log(1 - next())
    return { at, takes: mean * (0.25 + 1.5 * next()), model: models[Math.floor(next() * models.length)] ?? 'c' }
  })
  const stretch = all.reduce((sum, { takes }) => sum + takes, 0) / (load * 3 * slots * at)
  return all.map((one) => ({ ...one, at: one.at * stretch }))
}

/** What each would wait with one queue for all: a slot takes the first that its node can answer, and of nodes the freest is taken. Greedy, so not the least that there could be; ms. */
function ideal(all: Arrival[]): number[] {
  const free = [slots, slots, slots]
  const waits = all.map(() => 0)
  let waiting: number[] = []
  const ends: { at: number; node: number }[] = []
  const give = (now: number) => {
    waiting = waiting.filter((one) => {
      const [node] = (has[all[one]?.model ?? ''] ?? [])
        .filter((candidate) => (free[candidate] ?? 0) > 0)
        .sort((left, right) => (free[right] ?? 0) - (free[left] ?? 0))
      if (node === undefined) return true
      free[node] = (free[node] ?? 0) - 1
      waits[one] = now - (all[one]?.at ?? 0)
      ends.push({ at: now + (all[one]?.takes ?? 0), node })
      ends.sort((left, right) => left.at - right.at)
      return false
    })
  }
  const until = (time: number) => {
    while (ends[0] && ends[0].at <= time) {
      const end = ends.shift() as { at: number; node: number }
      free[end.node] = (free[end.node] ?? 0) + 1
      give(end.at)
    }
  }
  for (const [one, { at }] of all.entries()) {
    until(at)
    waiting.push(one)
    give(at)
  }
  until(Number.POSITIVE_INFINITY)
  return waits
}

/** What each waited behind a gateway: from its sending to its beginning at an engine; ms. */
async function waited(one: Haproxy, all: Arrival[]): Promise<number[]> {
  const begun = new Map<number, number>()
  const works: Answer = async (wire, request) => {
    const { id, user } = JSON.parse(`${request.body}`) as { id: number; user: string }
    begun.set(id, performance.now())
    await pause(Number(user))
    await json()(wire, request)
  }
  const engines: Engine[] = []
  for (const node of [0, 1, 2]) {
    const models = Object.keys(has).filter((model) => has[model]?.includes(node))
    engines.push(Object.assign(await startEngine(`n${node}`, 'vllm', models), { answers: works }))
  }
  const settings = behind(
    engines.map(({ port }) => port),
    slots,
    'queue: { max: 1000 }\n',
  )
  const gateway = await startGateway({ ...one, enginePort: engines[0]?.port ?? 0, settings, withinMs: 60_000 })
  const from = performance.now()
  const ask = async ({ at, takes, model }: Arrival): Promise<number> => {
    await pause(Math.max(0, at - (performance.now() - from)))
    const body = chat(model, Math.round(takes))
    const client = await open(gateway, body)
    const sent = performance.now()
    const [reply] = await client.settled(1, 60_000)
    client.hangUp()
    if (reply?.status !== 200) throw new Error(`${model}: ${reply?.status} ${reply?.body}`)
    return (begun.get(body.id) ?? 0) - sent
  }
  try {
    return await Promise.all(all.map(ask))
  } finally {
    await gateway.stop()
    for (const { recorder } of engines) await recorder.stop()
  }
}

const mean = (values: number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length

async function waiting(found: Haproxy[], count: number): Promise<void> {
  const all = arrivals(count, 300, 0.8)
  const best = ideal(all)
  say(`\n### Waiting: ${count} requests at load 0.8 for 3 nodes with ${slots} slots, five models on some of them\n`)
  head('queue', 'mean', 'of ideal', 'p95', 'longest')
  const show = (name: string, waits: number[]) =>
    row(
      ...[name, `${mean(waits).toFixed(0)} ms`, `×${(mean(waits) / mean(best)).toFixed(2)}`],
      ...[`${quantile(waits, 0.95).toFixed(0)} ms`, `${Math.max(...waits).toFixed(0)} ms`],
    )
  show('one for all (computed)', best)
  for (const one of found) {
    const waits = await waited(one, all)
    show(`HAProxy ${one.version}`, waits)
    const of = mean(waits) / mean(best)
    goal(`${one.version} mean wait of the ideal queue’s, load 0.8`, `×${of.toFixed(2)}`, of <= 1.5, 'at most ×1.5')
  }
}

/** Several nodes behind one gateway: what it costs, how long requests wait, what staying where a conversation began saves, and what is noticed of one that is killed. */
export async function nodes(found: Haproxy[], measured: Rounds, quick: boolean): Promise<void> {
  await cost(found, measured)
  await waiting(found, quick ? 60 : 400)
  await affinity(found, quick ? 3 : 8)
  await falls(found, quick ? 200 : 1000)
}

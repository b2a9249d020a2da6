import { setTimeout as pause } from 'node:timers/promises'
import type { Registry } from '../lib/site/limits.ts'
import { chat, open } from '../sandbox/lab/asking.ts'
import { type Engine, startEngine } from '../sandbox/lab/engine.ts'
import { freePort, type RunningGateway, startGateway, withoutLine } from '../sandbox/lab/gateway.ts'
import { type Answer, json } from '../sandbox/lab/recorder.ts'
import { affinity } from './affinity.ts'
import { behind } from './behind.ts'
import { falls } from './fall.ts'
import { firstEvents } from './first-events.ts'
import { fleet } from './fleet.ts'
import type { Haproxy } from './haproxies.ts'
import { interleaved, quantile, type Seen, times } from './load.ts'
import { spreading } from './others.ts'
import { children } from './processes.ts'
import { goal, head, row, say } from './report.ts'
import type { Rounds } from './requests.ts'
import type { Target } from './target.ts'
import { asTarget, engine, haproxy, registryOf } from './targets.ts'
import { type Arrival, arrivals, ideal, mean, modelsOf, type Plan } from './waiting.ts'

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
      const others = await spreading(programs, ports)
      const start = async (name: string, settings: string, alter?: (text: string) => string, registry?: Registry) => {
        const gateway = await startGateway({ ...one, enginePort: first, settings, alter, registry, withinMs: 60_000 })
        gateways.push(gateway)
        targets.push(await asTarget(name, gateway))
      }
      await start('one engine', 'inference: { slots: 64 }\n')
      await start('one engine, a connection each', 'inference: { slots: 64 }\n', anew)
      for (const count of [1, 2, 4, 8]) await start(`${count} nodes`, behind(ports.slice(0, count), 64))
      await start('8 nodes, no affinity', behind(ports, 64, "affinity: 'off'\n"))
      await start('8 nodes, connections kept', behind(ports, 64), kept)
      await start('8 nodes, no affinity, connections kept', behind(ports, 64, "affinity: 'off'\n"), kept)
      await start(
        '8 nodes, all policies',
        behind(ports, 64, 'access: keys\nlog: requests\n'),
        undefined,
        registryOf(1000),
      )
      const results = await interleaved([...targets, ...others], rounds, { connections: 16, bytes: 2000, seconds })
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

/** Three nodes that differ in what they have. */
const plan: Plan = { nodes: 3, slots: 2, has: { a: [0, 1], b: [1, 2], c: [0, 1, 2], d: [0], e: [2] } }

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
    engines.push(Object.assign(await startEngine(`n${node}`, 'vllm', modelsOf(plan, node)), { answers: works }))
  }
  const settings = behind(
    engines.map(({ port }) => port),
    plan.slots,
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

async function waiting(found: Haproxy[], count: number): Promise<void> {
  const all = arrivals(plan, count, 300, 0.8)
  const best = ideal(plan, all)
  say(
    `\n### Waiting: ${count} requests at load 0.8 for 3 nodes with ${plan.slots} slots, five models on some of them\n`,
  )
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
  await firstEvents(found, quick ? 1 : 3)
  await fleet(found, quick ? 100 : 1000)
}

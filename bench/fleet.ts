import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { checkout } from '../sandbox/box/paths.ts'
import { chat, open } from '../sandbox/lab/asking.ts'
import { type RunningGateway, startGateway } from '../sandbox/lab/gateway.ts'
import { behind } from './behind.ts'
import { roomFor } from './fall.ts'
import type { Haproxy } from './haproxies.ts'
import { quantile } from './load.ts'
import { head, row, say } from './report.ts'
import { type Arrival, arrivals, ideal, mean, modelsOf, type Plan } from './waiting.ts'

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, at) => from + at)

/** As many nodes as a gateway takes, and models that some of them have. */
const plan: Plan = {
  nodes: 15,
  slots: 4,
  has: { everywhere: range(0, 14), left: range(0, 5), middle: range(4, 10), right: range(9, 14), few: [0, 7, 14] },
}

interface Working {
  port: number
  child: ChildProcess
}

async function atWork(node: number): Promise<Working> {
  const argv = ['--import', 'tsx', 'bench/engine-at-work.ts', ...modelsOf(plan, node)]
  const child = spawn(process.execPath, argv, { cwd: checkout, stdio: ['pipe', 'pipe', 'inherit'] })
  const [port] = (await once(child.stdout?.setEncoding('utf8') ?? child, 'data')) as [string]
  return { port: Number(port), child }
}

/** What each waited: the time until its answer without what it took; ms. Every request is a client with a connection of its own. */
async function waited(gateway: RunningGateway, all: Arrival[]): Promise<number[]> {
  const from = performance.now()
  const ask = async ({ at, takes, model }: Arrival): Promise<number> => {
    await pause(Math.max(0, at - (performance.now() - from)))
    const client = await open(gateway, chat(model, Math.round(takes)))
    const sent = performance.now()
    const [reply] = await client.settled(1, 300_000)
    const wait = performance.now() - sent - takes
    client.hangUp()
    if (reply?.status !== 200) throw new Error(`${model}: ${reply?.status} ${reply?.body}`)
    return Math.max(0, wait)
  }
  return Promise.all(all.map(ask))
}

/** So many clients of 15 nodes in processes of their own: spread over time at load 0.8, and all at once. */
export async function fleet(found: Haproxy[], clients: number): Promise<void> {
  const takes = 1500
  const cases = {
    'load 0.8': arrivals(plan, clients, takes, 0.8),
    'all at once': arrivals(plan, clients, takes, Number.POSITIVE_INFINITY),
  }
  say(
    `\n### ${clients.toLocaleString('en')} clients of 15 nodes with ${plan.slots} slots, five models on some of them, ${takes} ms each on average\n`,
  )
  // What is there at the median, where nobody has to wait, is the way and the machine.
  head('they come', 'queue', 'mean wait', 'of that', 'median', 'p95', 'longest')
  const show = (when: string, name: string, waits: number[], best: number[]) =>
    row(
      ...[when, name, `${mean(waits).toFixed(0)} ms`, `×${(mean(waits) / mean(best)).toFixed(2)}`],
      ...[
        `${quantile(waits, 0.5).toFixed(0)} ms`,
        `${quantile(waits, 0.95).toFixed(0)} ms`,
        `${Math.max(...waits).toFixed(0)} ms`,
      ],
    )
  const engines = await Promise.all(range(0, plan.nodes - 1).map(atWork))
  const ports = engines.map(({ port }) => port)
  try {
    for (const [when, all] of Object.entries(cases)) {
      const best = ideal(plan, all)
      show(when, 'one for all (computed)', best, best)
      for (const one of found) {
        const settings = behind(ports, plan.slots, `queue: { max: ${clients}, wait: 10m }\n`)
        const alter = roomFor(2 * clients)
        const gateway = await startGateway({ ...one, enginePort: ports[0] ?? 0, settings, alter, withinMs: 60_000 })
        show(when, `HAProxy ${one.version}`, await waited(gateway, all).finally(() => gateway.stop()), best)
      }
    }
  } finally {
    for (const { child } of engines) child.stdin?.end()
  }
}

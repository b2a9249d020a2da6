import { cpus, loadavg, release, totalmem } from 'node:os'
import { program } from '../sandbox/lab/gateway.ts'
import { ablations } from './ablation.ts'
import { fairness } from './fairness.ts'
import { keysCost } from './keys.ts'
import { interleaved, median, type Round } from './load.ts'
import { crowd, eventDelay, streamingEngine } from './streams.ts'
import { type Field, full, openField, ours, registryOf } from './targets.ts'

/** `npm run bench`; `npm run bench -- --quick` looks whether it works. Names choose parts: requests, policies, keys, fairness, streams. */
const quick = process.argv.includes('--quick')
const chosen = process.argv.slice(2).filter((word) => !word.startsWith('--'))
const [rounds, seconds] = quick ? [2, 1] : [5, 2]

const say = (text: string) => process.stdout.write(`${text}\n`)
const row = (...cells: (string | number)[]) => say(`| ${cells.join(' | ')} |`)
function head(...cells: string[]): void {
  row(...cells)
  row(...cells.map(() => '---'))
}
const us = (ms: number): string => `${Math.round(ms * 1000)} µs`
const goal = (what: string, value: string, met: boolean, wanted: string) =>
  say(`${met ? 'met' : 'MISSED'}: ${what}: ${value} (goal ${wanted})`)

async function inField<T>(options: Parameters<typeof openField>[0], use: (field: Field) => Promise<T>): Promise<T> {
  const field = await openField(options)
  try {
    return await use(field)
  } finally {
    await field.stop()
  }
}

function table(results: Map<string, Round>): void {
  const [tcp, bare] = [results.get('HAProxy tcp'), results.get('bare http')]
  head('target', 'requests/s of bare http', 'p50 over HAProxy tcp', 'p50', 'p99', 'requests/s', 'CPU per request')
  for (const [name, { p50, p99, perSecond, cpu }] of results) {
    const ratio = (perSecond / (bare?.perSecond ?? 1)).toFixed(2)
    row(name, ratio, us(p50 - (tcp?.p50 ?? 0)), us(p50), us(p99), Math.round(perSecond), `${cpu.toFixed(1)} µs`)
  }
}

function goalsOf(results: Map<string, Round>, connections: number, bytes: number): void {
  const [tcp, bare, all] = ['HAProxy tcp', 'bare http', 'full, 1,000 keys'].map((name) => results.get(name))
  if (!tcp || !bare || !all || bytes > 1000) return
  const [added, share] = [all.p50 - tcp.p50, all.perSecond / bare.perSecond]
  if (connections === 1) goal('full policy, p50 over HAProxy tcp', us(added), added <= 0.1, 'at most 100 µs')
  goal('full policy, throughput of bare http', share.toFixed(2), share >= 0.85, 'at least 0.85')
}

async function requests(): Promise<void> {
  await inField({ ours, others: true }, async ({ targets, missing }) => {
    for (const why of missing) say(`not here: ${why}`)
    for (const bytes of [80, 50_000])
      for (const connections of [1, 8, 64]) {
        say(
          `\n### ${connections} connection(s), body of ${bytes} bytes: median of ${rounds} interleaved rounds of ${seconds} s\n`,
        )
        const results = await interleaved(targets, rounds, { connections, bytes, seconds })
        table(results)
        goalsOf(results, connections, bytes)
      }
  })
  await inField(
    { ours: { full: ours['full, 10 keys'] ?? {}, judged: ours['full, model list'] ?? {} } },
    async ({ targets }) => {
      const results = await interleaved(targets, rounds, { connections: 1, bytes: 100_000, seconds })
      const added = (results.get('judged')?.p50 ?? 0) - (results.get('full')?.p50 ?? 0)
      goal('judging a body of 100 KB', us(added), added <= 0.2, 'at most 200 µs')
    },
  )
}

/** What each policy costs, by what is saved without it; processor time is steadier than the clock. */
async function costOfPolicies(): Promise<void> {
  await inField({ ours: ablations }, async ({ targets, missing }) => {
    for (const why of missing) say(`not measured: ${why}`)
    say(`\n### What is saved without a policy: 16 connections, 80 bytes, median of ${rounds} interleaved rounds\n`)
    const results = await interleaved(targets, rounds, { connections: 16, bytes: 80, seconds })
    const all = results.get('full')
    head('gateway', 'CPU per request', 'saved', 'requests/s')
    for (const [name, { cpu, perSecond }] of results)
      row(name, `${cpu.toFixed(1)} µs`, `${((all?.cpu ?? 0) - cpu).toFixed(1)} µs`, Math.round(perSecond))
  })
}

async function keys(): Promise<void> {
  await inField({ ours: {} }, async ({ targets }) => {
    say('\n### Keys\n')
    head('keys', 'the worker’s memory', '`haproxy -c`, which loads them', 'a key made or revoked counts after')
    for (const count of [10, 1000, 10_000, 100_000]) {
      const { memory, load, acts } = await keysCost(count, targets[0]?.port ?? 0)
      row(count.toLocaleString('en'), `${memory.toFixed(0)} MB`, `${load.toFixed(0)} ms`, `${acts.toFixed(0)} ms`)
      if (count === 1000) goal('worker with 1,000 keys', `${memory.toFixed(0)} MB`, memory <= 40, 'at most 40 MB')
      if (count === 1000) goal('a changed key counts', `${acts.toFixed(0)} ms`, acts <= 100, 'within 100 ms')
    }
  })
}

async function fairnessOfPeople(): Promise<void> {
  const { alone, fair, unfair } = await fairness(quick ? 10 : 30)
  say('\n### One person’s request beside another’s twenty: two slots, 50 ms of the engine each\n')
  head('beside', 'takes', 'of alone')
  const seen = { nobody: alone, 'twenty, with priorities': fair, 'twenty, without': unfair }
  for (const [name, ms] of Object.entries(seen)) row(name, `${ms.toFixed(0)} ms`, (ms / alone).toFixed(1))
  goal(
    'one request beside twenty',
    `${(fair / alone).toFixed(1)} of alone`,
    fair < unfair / 2,
    'half of what it takes without priorities',
  )
}

async function events(): Promise<void> {
  const engine = await streamingEngine(20)
  try {
    const gateways = { tailnet: ours.tailnet ?? {}, full: { settings: full, registry: registryOf(1000) } }
    await inField({ ours: gateways, others: true, enginePort: engine.port }, async ({ targets }) => {
      say(
        '\n### Streams: the first event, and events of 20 streams every 20 ms from the engine’s write to the client’s read\n',
      )
      const seen = new Map(targets.map(({ name }) => [name, [] as Awaited<ReturnType<typeof eventDelay>>[]]))
      for (let at = 0; at < (quick ? 1 : 3); at += 1)
        for (const target of targets) seen.get(target.name)?.push(await eventDelay(target, engine, 2000))
      head('target', 'first event', 'event p50', 'event p99')
      const middle = (name: string, of: 'first' | 'p50' | 'p99') => median((seen.get(name) ?? []).map((one) => one[of]))
      for (const name of seen.keys())
        row(name, ...(['first', 'p50', 'p99'] as const).map((of) => `${middle(name, of).toFixed(2)} ms`))
      const added = middle('full', 'first') - middle('direct', 'first')
      goal('first event after direct', `${added.toFixed(2)} ms`, added <= 1, 'within 1 ms')
    })
  } finally {
    engine.stop()
  }
}

async function crowds(): Promise<void> {
  say('\n### Memory with open streams, full policy with 1,000 keys, and a reload in their midst\n')
  head('streams', 'worker before', 'worker with them', 'reload until the new worker answers', 'lost')
  for (const count of quick ? [200] : [1000, 5000]) {
    const { before, during, reloadMs, lost } = await crowd(count)
    row(
      count.toLocaleString('en'),
      `${before.toFixed(0)} MB`,
      `${during.toFixed(0)} MB`,
      `${reloadMs.toFixed(0)} ms`,
      lost,
    )
    if (count === 5000) goal('worker with 5,000 streams', `${during.toFixed(0)} MB`, during <= 65, 'at most 65 MB')
    goal('streams lost by a reload', `${lost}`, lost === 0, '0')
  }
}

const parts: Record<string, () => Promise<void>> = {
  requests,
  policies: costOfPolicies,
  keys,
  fairness: fairnessOfPeople,
  streams: async () => {
    await events()
    await crowds()
  },
}
const { version } = await program()
say(
  `Machine: ${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 1024 ** 3)} GB, Linux ${release()}, load ${loadavg()[0]?.toFixed(1)} before; HAProxy ${version.join('.')}; load by wrk`,
)
for (const [name, part] of Object.entries(parts)) if (chosen.length === 0 || chosen.includes(name)) await part()

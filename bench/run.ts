import { cpus, loadavg, release, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { ablations } from './ablation.ts'
import { fairness } from './fairness.ts'
import { haproxies } from './haproxies.ts'
import { keysCost } from './keys.ts'
import { interleaved, median } from './load.ts'
import { nodes } from './nodes.ts'
import { goal, head, row, say, sayGoals } from './report.ts'
import { inField, judged, type Rounds, requests } from './requests.ts'
import { crowd, eventDelay, streamingEngine } from './streams.ts'
import { ours } from './targets.ts'
import { tls } from './tls.ts'
import { vip } from './vip.ts'

const options = { quick: { type: 'boolean', default: false }, help: { type: 'boolean' } } as const
const { values, positionals: chosen } = parseArgs({ allowPositionals: true, options })
const { quick } = values
const measured: Rounds = { rounds: quick ? 2 : 5, seconds: 1 }

const { found } = await haproxies()
const newest = found.at(-1) ?? found[0]

/** What each policy costs, by what is saved without it. */
async function costOfPolicies(): Promise<void> {
  await inField({ haproxies: [newest], ours: ablations }, async ({ targets, missing }) => {
    for (const why of missing) say(`not measured: ${why}`)
    say(`\n### What is saved without a policy: HAProxy ${newest.version}, 16 connections, 80 bytes\n`)
    const results = await interleaved(targets, measured.rounds, {
      connections: 16,
      bytes: 80,
      seconds: measured.seconds,
    })
    const all = results.get(`${newest.version} full`)
    head('gateway', 'processor time', 'saved', 'requests/s')
    for (const [name, { cpu, perSecond }] of results)
      row(name, `${cpu.toFixed(1)} µs`, `${((all?.cpu ?? 0) - cpu).toFixed(1)} µs`, Math.round(perSecond))
  })
}

async function keys(): Promise<void> {
  await inField({ haproxies: [newest], ours: {} }, async ({ targets }) => {
    say(`\n### Keys, HAProxy ${newest.version}\n`)
    head('keys', 'the worker’s memory', '`haproxy -c`, which loads them', 'a key made or revoked counts after')
    for (const count of quick ? [1000] : [10, 1000, 10_000, 100_000]) {
      const { memory, load, acts } = await keysCost(count, targets[0]?.port ?? 0, newest)
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
  const wanted = 'half of what it takes without priorities'
  goal('one request beside twenty', `${(fair / alone).toFixed(1)} of alone`, fair < unfair / 2, wanted)
}

async function events(): Promise<void> {
  const engine = await streamingEngine(20)
  const { tailnet, full } = ours
  const wanted = { haproxies: found, ours: { tailnet, full }, others: true, enginePort: engine.port }
  try {
    await inField(wanted, async ({ targets }) => {
      say(
        '\n### Streams: the first event, and events of 20 streams every 20 ms from the engine’s write to the client’s read\n',
      )
      const seen = new Map(targets.map(({ name }) => [name, [] as Awaited<ReturnType<typeof eventDelay>>[]]))
      for (let at = 0; at < (quick ? 1 : 3); at += 1)
        for (const target of targets) seen.get(target.name)?.push(await eventDelay(target, engine, 1000))
      head('target', 'first event', 'event p50', 'event p99')
      const middle = (name: string, of: 'first' | 'p50' | 'p99') => median((seen.get(name) ?? []).map((one) => one[of]))
      for (const name of seen.keys())
        row(name, ...(['first', 'p50', 'p99'] as const).map((of) => `${middle(name, of).toFixed(2)} ms`))
      for (const { version } of found) {
        const added = middle(`${version} full`, 'first') - middle('direct', 'first')
        goal(`${version} first event after direct`, `${added.toFixed(2)} ms`, added <= 1, 'within 1 ms')
      }
    })
  } finally {
    engine.stop()
  }
}

async function crowds(): Promise<void> {
  say('\n### Memory with open streams, all policies with 1,000 keys, and a reload in their midst\n')
  head('HAProxy', 'streams', 'worker before', 'worker with them', 'reload until the new worker answers', 'lost')
  for (const one of found)
    for (const count of quick ? [200] : [1000, 5000]) {
      const { before, during, reloadMs, lost } = await crowd(count, one)
      const memory = [before, during].map((size) => `${size.toFixed(0)} MB`)
      row(one.version, count.toLocaleString('en'), ...memory, `${reloadMs.toFixed(0)} ms`, lost)
      if (count === 5000)
        goal(`${one.version} worker with 5,000 streams`, `${during.toFixed(0)} MB`, during <= 65, 'at most 65 MB')
      goal(`${one.version} of ${count.toLocaleString('en')} streams lost by a reload`, `${lost}`, lost === 0, '0')
    }
}

const parts: Record<string, () => Promise<void>> = {
  requests: async () => {
    await requests(measured)
    await judged(measured)
  },
  policies: costOfPolicies,
  keys,
  fairness: fairnessOfPeople,
  nodes: () => nodes(found, measured, quick),
  streams: async () => {
    await events()
    await crowds()
  },
  tls: () => tls(found, measured, quick),
  vip: () => vip(quick ? 1 : 5),
}
const names = Object.keys(parts)
const unknown = chosen.find((name) => !names.includes(name))
if (values.help || unknown) {
  if (unknown) console.error(`There is no part ${unknown} of the bench.`)
  say(`npm run bench -- [--quick] [PART …]: what a request costs, by part: ${names.join(', ')}; all unless told.
  --quick   shorter rounds, to see whether it works`)
  process.exit(unknown ? 2 : 0)
}
const machine = `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 1024 ** 3)} GB, Linux ${release()}`
const versions = found.map(({ version }) => version).join(' and ')
say(`Machine: ${machine}, load ${loadavg()[0]?.toFixed(1)} before; HAProxy ${versions}; load by wrk`)
if ((loadavg()[0] ?? 0) > 1)
  say('It has other work as well: processor time a request counts, requests/s and times are noise.')
const began = performance.now()
for (const [name, part] of Object.entries(parts)) if (chosen.length === 0 || chosen.includes(name)) await part()
sayGoals()
say(`\nIt took ${Math.round((performance.now() - began) / 1000)} s; load ${loadavg()[0]?.toFixed(1)} at its end.`)

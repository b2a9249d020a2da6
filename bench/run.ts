import { cpus, release, totalmem } from 'node:os'
import { program } from '../sandbox/gateway.ts'
import { median, type Round, round } from './load.ts'
import { crowd, eventDelay, streamingEngine } from './streams.ts'
import { openField, type Target } from './targets.ts'

const rounds = 5
const seconds = 2

const say = (text: string) => process.stdout.write(`${text}\n`)
const ms = (value: number) => value.toFixed(3)
const us = (value: number) => `${Math.round(value * 1000)} µs`

async function interleaved(targets: Target[], connections: number): Promise<Map<Target['name'], Round>> {
  const all = new Map<Target['name'], Round[]>(targets.map((target) => [target.name, []]))
  for (let at = 0; at < rounds; at += 1) {
    for (const target of targets) all.get(target.name)?.push(await round(target, connections, seconds))
  }
  const middle = (list: Round[], key: keyof Round) => median(list.map((one) => one[key]))
  return new Map(
    [...all].map(([name, list]) => [
      name,
      { p50: middle(list, 'p50'), p99: middle(list, 'p99'), perSecond: middle(list, 'perSecond') },
    ]),
  )
}

async function requests(): Promise<void> {
  const field = await openField()
  try {
    for (const connections of [1, 8, 64]) {
      const results = await interleaved(field.targets, connections)
      const [direct, tcp, bare, ours] = field.targets.map((target) => results.get(target.name))
      if (!direct || !tcp || !bare || !ours) throw new Error('a target is missing')
      say(`\n${connections} connection(s), median of ${rounds} interleaved rounds of ${seconds} s`)
      say('| target | p50 | p99 | requests/s | of bare http |')
      say('| --- | --- | --- | --- | --- |')
      for (const [name, one] of results)
        say(
          `| ${name} | ${us(one.p50)} | ${us(one.p99)} | ${Math.round(one.perSecond)} | ${(one.perSecond / bare.perSecond).toFixed(2)} |`,
        )
      if (connections === 1)
        goal(
          'p50 over HAProxy tcp at one connection',
          `${ms(ours.p50 - tcp.p50)} ms`,
          ours.p50 - tcp.p50 <= 0.05,
          '≤ 0.05 ms',
        )
      goal(
        `throughput of bare http at ${connections}`,
        (ours.perSecond / bare.perSecond).toFixed(2),
        ours.perSecond / bare.perSecond >= 0.9,
        '≥ 0.90',
      )
    }
  } finally {
    await field.stop()
  }
}

function goal(what: string, value: string, met: boolean, wanted: string): void {
  say(`${met ? 'met' : 'MISSED'}: ${what}: ${value} (goal ${wanted})`)
}

async function streams(): Promise<void> {
  const engine = await streamingEngine(20)
  const field = await openField(engine.port)
  try {
    say('\nEvents of 20 streams every 20 ms, from the write at the engine to the read at the client')
    for (const target of [...field.targets, ...field.targets]) {
      const { p50, p99 } = await eventDelay(target, engine, 3000)
      say(`  ${target.name.padEnd(10)} p50 ${ms(p50)} ms, p99 ${ms(p99)} ms`)
    }
  } finally {
    await field.stop()
    engine.stop()
  }
  const many = await crowd(1000)
  say(
    `\n1,000 streams: worker ${many.before.toFixed(0)} MB before, ${many.during.toFixed(0)} MB with them; reload ${many.reloadMs.toFixed(0)} ms until the new worker answered; ${many.lost} lost`,
  )
  goal('worker with 1,000 streams', `${many.during.toFixed(0)} MB`, many.during <= 40, '≤ 40 MB')
  goal('streams lost by a reload', `${many.lost}`, many.lost === 0, '0')
}

const { version } = await program()
say(
  `Machine: ${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 1024 ** 3)} GB, Linux ${release()}; HAProxy ${version.join('.')}; load by wrk`,
)
await requests()
await streams()

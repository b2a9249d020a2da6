import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { checkout } from '../sandbox/box/paths.ts'
import { startGateway } from '../sandbox/lab/gateway.ts'
import { behind } from './behind.ts'
import type { Haproxy } from './haproxies.ts'
import { quantile } from './load.ts'
import { goal, head, row, say } from './report.ts'
import { openStream, type Stream } from './streams.ts'
import type { Target } from './target.ts'
import { asTarget } from './targets.ts'

interface Alone {
  port: number
  child: ChildProcess
}

/** One in a process of its own, which ends with this one. */
async function engineAlone(): Promise<Alone> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'bench/engine-alone.ts'], {
    cwd: checkout,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [port] = (await once(child.stdout?.setEncoding('utf8') ?? child, 'data')) as [string]
  return { port: Number(port), child }
}

async function end({ child }: Alone): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

/** More connections than the gateway takes from an address, and in all. */
export const roomFor = (count: number) => (text: string) =>
  text.replace(/^.*sc0_conn_cur.*$/m, '').replace(/^ {4}maxconn 2000$/m, `    maxconn ${2000 + count}`)

async function opened(target: Target, count: number): Promise<Stream[]> {
  const streams: Stream[] = []
  for (let at = 0; at < count; at += 50)
    streams.push(...(await Promise.all(Array.from({ length: Math.min(50, count - at) }, () => openStream(target)))))
  return streams
}

interface Fall {
  /** ms until the first event of each, with all nodes, and just after one was killed */
  firsts: number[]
  after: number[]
  /** streams at the node that was killed, and of the others those that did not come whole */
  there: number
  lost: number
}

/** Streams over four nodes, of which one is killed: new ones are opened at once, and those of the others run to their end. */
async function fall(one: Haproxy, count: number): Promise<Fall> {
  const engines = await Promise.all(Array.from({ length: 4 }, engineAlone))
  const nodes = behind(
    engines.map(({ port }) => port),
    count / 2,
  )
  const gateway = await startGateway({
    ...{ ...one, enginePort: engines[0]?.port ?? 0, settings: nodes, alter: roomFor(2 * count), withinMs: 60_000 },
  })
  try {
    const target = await asTarget('nodes', gateway)
    const streams = await opened(target, count)
    const [killed] = engines
    if (killed) await end(killed)
    const after = await opened(target, 100)
    for (const { child } of engines.slice(1)) child.stdin?.write('end\n')
    const ended = await Promise.all(
      [...streams, ...after].map(async (stream) => ({ ...stream, whole: await stream.ended })),
    )
    return {
      firsts: streams.map(({ first }) => first),
      after: after.map(({ first }) => first),
      there: streams.filter(({ from }) => from === 'n1').length,
      lost: ended.filter(({ whole }, at) => !whole && (streams[at]?.from ?? '') !== 'n1').length,
    }
  } finally {
    await gateway.stop()
    await Promise.all(engines.map(end))
  }
}

const ms = (values: number[], share: number): string => `${quantile(values, share).toFixed(1)} ms`

/** What people notice of a node that is killed under so many streams. */
export async function falls(found: Haproxy[], count: number): Promise<void> {
  say(`\n### ${count.toLocaleString('en')} streams over 4 nodes, of which one is killed, and 100 new ones at once\n`)
  head('HAProxy', 'first event', 'p99', 'streams at that node', 'others that were cut', 'first event after it', 'p99')
  for (const one of found) {
    const { firsts, after, there, lost } = await fall(one, count)
    row(one.version, ms(firsts, 0.5), ms(firsts, 0.99), there, lost, ms(after, 0.5), ms(after, 0.99))
    goal(`${one.version}: streams at other nodes than the killed one that were cut`, `${lost}`, lost === 0, '0')
  }
}

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { authority, type Certificate, pem } from '../sandbox/lab/certificates.ts'
import { freePort, type RunningGateway, startGateway } from '../sandbox/lab/gateway.ts'
import { agentFor } from './client.ts'
import { agreedBy, type Begin, roundAnew } from './handshakes.ts'
import type { Haproxy } from './haproxies.ts'
import { interleaved, type Load, median, type Round, round, type Seen, times } from './load.ts'
import { nginxLikeUs, othersByTls, type Secured } from './others.ts'
import { type Children, children } from './processes.ts'
import { goal, head, row, say } from './report.ts'
import type { Rounds } from './requests.ts'
import { openStream, type StreamingEngine, streamingEngine } from './streams.ts'
import type { Target } from './target.ts'
import { asTarget, engine, full, haproxy, registryOf, upOnes } from './targets.ts'

const name = 'ai.example.net'

/** The same in clear and over TLS. */
interface Both {
  name: string
  clear: Target
  secured: Target
}

/** Our gateway without a listener for TLS, and another one with it, both with all policies. */
async function ourBoth(one: Haproxy, enginePort: number, { cert, key }: Certificate, started: RunningGateway[]) {
  const common = { ...one, enginePort, registry: registryOf(1000), withinMs: 60_000 }
  const clear = await startGateway({ ...common, settings: full })
  started.push(clear)
  const port = await freePort('127.0.0.1')
  const settings = `${full}tls: { ${name}: own-ca }\nlisteners: { tailnet: { tls_port: ${port} } }\n`
  const secured = await startGateway({ ...common, settings, certificates: { [`${name}.pem`]: pem({ cert, key }) } })
  started.push(secured)
  const target = await asTarget(`${one.version} TLS`, secured)
  return {
    name: `ours on ${one.version}`,
    clear: await asTarget(`${one.version} http`, clear),
    secured: { ...target, port, tls: name, host: `${name}:${port}` },
  }
}

/** nginx and Caddy, where they can be had. */
async function othersBoth(programs: Children, enginePort: number, certificate: Certificate): Promise<Both[]> {
  const tls: Secured = { name, chain: join(programs.folder, 'chain.pem'), key: join(programs.folder, 'key.pem') }
  writeFileSync(tls.chain, certificate.cert)
  writeFileSync(tls.key, certificate.key, { mode: 0o600 })
  const { inClear, secured } = await othersByTls(programs, enginePort, tls)
  const [clear, over] = [await upOnes(inClear.found), await upOnes(secured.found)]
  for (const why of [...inClear.missing, ...clear.down, ...secured.missing, ...over.down]) say(`not here: ${why}`)
  return clear.up.flatMap((target) => {
    const same = over.up.find((other) => other.name === target.name)
    if (!same) return []
    const named = (one: Target, how: string) => ({ ...one, name: `${one.name} ${how}` })
    return [{ name: target.name, clear: named(target, 'http'), secured: named(same, 'TLS') }]
  })
}

/** All of them before one engine, while `use` runs. */
async function inBoth(found: Haproxy[], enginePort: number | undefined, use: (all: Both[]) => Promise<void>) {
  const programs = children()
  const started: RunningGateway[] = []
  const certificate = authority('a bench').server(name)
  try {
    const port = enginePort ?? (await freePort('127.0.0.1'))
    if (enginePort === undefined) await haproxy(programs, 'engine', engine(port))
    const all: Both[] = []
    for (const one of found) all.push(await ourBoth(one, port, certificate, started))
    await use([...all, ...(await othersBoth(programs, port, certificate))])
  } finally {
    for (const gateway of started) await gateway.stop()
    programs.stop()
  }
}

const anew =
  (begin: Begin) =>
  (target: Target, load: Load): Promise<Round> =>
    roundAnew(target, load, begin)

/** How connections are made, and by what: wrk keeps them, we make them anew. */
const ways = {
  'connections kept': round,
  'a connection for each request, its session taken up again': anew('resumed'),
  'a connection for each request, each with a whole handshake': anew('full'),
}

type Results = Map<string, Seen>

function table(all: Both[], results: Results): void {
  head('target', 'http', 'TLS', 'of http', 'more', 'of nginx over TLS', 'requests/s, http', 'requests/s, TLS')
  const nginx = results.get(all.find((both) => both.name === nginxLikeUs)?.secured.name ?? '')
  for (const { name, clear, secured } of all) {
    const [plain, tls] = [results.get(clear.name), results.get(secured.name)]
    if (!plain || !tls) continue
    row(
      ...[name, `${plain.cpu.toFixed(1)} µs`, `${tls.cpu.toFixed(1)} µs`, `×${times(tls, plain, 'cpu').toFixed(2)}`],
      ...[`${(tls.cpu - plain.cpu).toFixed(1)} µs`, nginx ? `×${times(tls, nginx, 'cpu').toFixed(2)}` : '–'],
      ...[Math.round(plain.perSecond), Math.round(tls.perSecond)],
    )
  }
}

async function requestsOf(all: Both[], { rounds, seconds }: Rounds): Promise<void> {
  say('\n### TLS: what a handshake agrees on\n')
  head('target', 'version', 'cipher', 'curve')
  for (const { name, secured } of all) row(name, ...(await agreedBy(secured)))
  const targets = all.flatMap(({ clear, secured }) => [clear, secured])
  for (const [how, by] of Object.entries(ways)) {
    say(`\n### TLS: ${how}; 16 at once, 80 bytes, processor time a request: median of ${rounds} interleaved rounds\n`)
    table(all, await interleaved(targets, rounds, { connections: 16, bytes: 80, seconds }, by))
  }
}

const kinds = { 'a connection that stands': true, 'a new connection': false }

/** Processor time that this process has used, ms. */
function ownCpu(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** A stream's first event, and what this process, which is client and engine, worked for it (ms). */
interface First {
  ms: number
  own: number
}

/** First events of streams, one after the other, each time in clear and then over TLS. */
async function firsts({ clear, secured }: Both, engine: StreamingEngine, count: number, keepAlive: boolean) {
  const agents = [clear, secured].map((target) => ({
    target,
    agent: agentFor(target, { keepAlive, maxSockets: 1, maxCachedSessions: 0 }),
    seen: [] as First[],
  }))
  // One more than counts: a connection that stands must have been made.
  for (let at = 0; at <= count; at += 1)
    for (const { target, agent, seen } of agents) {
      const before = ownCpu()
      const { first, ended } = await openStream(target, agent)
      if (at > 0) seen.push({ ms: first, own: ownCpu() - before })
      engine.finish()
      await ended
    }
  for (const { agent } of agents) agent.destroy()
  const [plain = [], tls = []] = agents.map(({ seen }) => seen)
  const middle = (seen: First[]) => median(seen.map(({ ms }) => ms))
  const later = (figure: keyof First) => median(tls.map((one, at) => one[figure] - (plain[at]?.[figure] ?? Number.NaN)))
  return { plain: middle(plain), tls: middle(tls), later: later('ms'), own: later('own') }
}

async function streamsOf(all: Both[], engine: StreamingEngine, count: number): Promise<void> {
  say(`\n### TLS: the first event of a stream, ${count} one after the other, in clear and over TLS in turn\n`)
  head('target', 'connection', 'http', 'TLS', 'later', 'the client’s own work in that')
  for (const both of all)
    for (const [kind, keepAlive] of Object.entries(kinds)) {
      const seen = await firsts(both, engine, count, keepAlive)
      row(both.name, kind, ...[seen.plain, seen.tls, seen.later, seen.own].map((ms) => `${ms.toFixed(2)} ms`))
      if (!both.name.startsWith('ours')) continue
      const what = `${both.name}, first event over TLS after plain, ${kind}`
      goal(what, `${seen.later.toFixed(2)} ms`, seen.later <= 1, 'within 1 ms')
    }
}

/** What TLS costs: a request with connections kept and with a handshake for each, and how much later a stream's first event is there. */
export async function tls(found: Haproxy[], measured: Rounds, quick: boolean): Promise<void> {
  await inBoth(found, undefined, (all) => requestsOf(all, measured))
  const engine = await streamingEngine(20)
  try {
    await inBoth(found, engine.port, (all) => streamsOf(all, engine, quick ? 20 : 200))
  } finally {
    engine.stop()
  }
}

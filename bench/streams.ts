import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { swap } from '../lib/haproxy/reload.ts'
import { runningFingerprint } from '../lib/haproxy/runtime.ts'
import { places } from '../lib/platform/mac/places.ts'
import { emptyReceipt } from '../lib/site/receipt.ts'
import { eventually, type RunningGateway, startGateway } from '../sandbox/lab/gateway.ts'
import { post } from './client.ts'
import type { Haproxy } from './haproxies.ts'
import { quantile } from './load.ts'
import { residentOf } from './processes.ts'
import type { Target } from './target.ts'
import { asTarget, full, registryOf } from './targets.ts'

export interface StreamingEngine {
  port: number
  finish(): void
  stop(): void
}

/** An engine that sends the time (ms, performance.now()) in an event every `gap` ms until it is told to end. */
export async function streamingEngine(gap: number): Promise<StreamingEngine> {
  const open = new Set<http.ServerResponse>()
  const server = http.createServer((request, response) => {
    request.resume()
    if (request.method === 'GET') return response.end('{"version":"0.0.0","data":[{"id":"qwen3:0.6b"}]}')
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    open.add(response)
    response.on('close', () => open.delete(response))
    return response.write(`data: ${performance.now()}\n\n`)
  })
  server.listen(0, '127.0.0.1', 8000)
  await once(server, 'listening')
  const timer = setInterval(() => {
    for (const response of open) response.write(`data: ${performance.now()}\n\n`)
  }, gap)
  return {
    port: (server.address() as AddressInfo).port,
    finish: () => {
      for (const response of open) response.end('data: [DONE]\n\n')
    },
    stop() {
      clearInterval(timer)
      server.closeAllConnections()
      server.close()
    },
  }
}

export interface Stream {
  /** the node that serves it, where there are some */
  from: string
  /** ms from the request to its first event */
  first: number
  /** ms from the engine's write to the client's read, by event */
  delays: number[]
  /** whether its [DONE] came before the end */
  ended: Promise<boolean>
}

/** Opens one, over a connection of its own unless told, and waits for its first event; throws when the answer is no 200. */
export async function openStream(target: Target, agent?: http.Agent): Promise<Stream> {
  const started = performance.now()
  const [response] = (await once(post(target, '{"model":"qwen3:0.6b"}', agent), 'response')) as [http.IncomingMessage]
  if (response.statusCode !== 200) throw new Error(`${target.name}: a stream got ${response.statusCode}`)
  const delays: number[] = []
  let tail = ''
  response.setEncoding('utf8').on('data', (text: string) => {
    tail = text
    for (const match of text.matchAll(/data: ([\d.]+)/g)) delays.push(performance.now() - Number(match[1]))
  })
  const ended = new Promise<boolean>((resolve) => {
    response.on('end', () => resolve(tail.includes('[DONE]')))
    response.on('error', () => resolve(false))
  })
  if (delays.length === 0) await once(response, 'data')
  const from = `${response.headers['x-served-by'] ?? ''}`
  return { from, first: performance.now() - started, delays, ended }
}

/** First events of 50 streams one after the other, then the events of 20 at once (ms). */
export async function eventDelay(target: Target, engine: StreamingEngine, ms: number) {
  const firsts: number[] = []
  for (let at = 0; at < 50; at += 1) {
    const { first, ended } = await openStream(target)
    firsts.push(first)
    engine.finish()
    await ended
  }
  const streams = await Promise.all(Array.from({ length: 20 }, () => openStream(target)))
  await new Promise((resolve) => setTimeout(resolve, ms))
  engine.finish()
  await Promise.all(streams.map((stream) => stream.ended))
  const delays = streams.flatMap((stream) => stream.delays.slice(1))
  return { first: quantile(firsts, 0.5), p50: quantile(delays, 0.5), p99: quantile(delays, 0.99) }
}

export interface Crowd {
  before: number
  during: number
  reloadMs: number
  lost: number
}

/** More connections than 64 an address, and more than 64 at once, which are the gateway's limits: lifted here. */
const roomFor = (count: number) => (text: string) =>
  text
    .replace(/^.*sc0_conn_cur.*$/m, '')
    .replace(/(server engine .*) maxconn \d+/, `$1 maxconn ${count + 10}`)
    .replace(/^ {4}maxconn 2000$/m, `    maxconn ${2000 + count}`)

/** Memory (MB) of the worker with many streams and 1,000 keys, and a reload in their midst: how long, and how many were lost. */
export async function crowd(count: number, one: Haproxy): Promise<Crowd> {
  const engine = await streamingEngine(1000)
  const wanted = { ...one, enginePort: engine.port, settings: full, registry: registryOf(1000), alter: roomFor(count) }
  const gateway = await startGateway(wanted)
  try {
    const target = await asTarget('crowd', gateway)
    const [pid = 0] = target.pids
    const before = residentOf(pid)
    const streams: Stream[] = []
    for (let at = 0; at < count; at += 50)
      streams.push(...(await Promise.all(Array.from({ length: Math.min(50, count - at) }, () => openStream(target)))))
    const during = residentOf(pid)
    const reloadMs = await reload(gateway)
    engine.finish()
    const ended = await Promise.all(streams.map((stream) => stream.ended))
    return { before, during, reloadMs, lost: ended.filter((whole) => !whole).length }
  } finally {
    await gateway.stop()
    engine.stop()
  }
}

async function reload(gateway: RunningGateway): Promise<number> {
  const started = performance.now()
  const configuration = gateway.rendered(`${full}queue: { max: 63 }\n`)
  const receipt = emptyReceipt()
  receipt.files[places(gateway.home).config] = ''
  await swap(gateway.machine, { receipt, configuration, haproxy: gateway.program })
  await eventually(
    'the new worker answers',
    async () => (await runningFingerprint(gateway.machine)) === configuration.fingerprint,
  )
  return performance.now() - started
}

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { places } from '../lib/places.ts'
import { swap } from '../lib/proxy/reload.ts'
import { runningFingerprint, workerInfo } from '../lib/proxy/runtime.ts'
import { emptyReceipt } from '../lib/state.ts'
import { eventually, type RunningGateway, startGateway } from '../sandbox/gateway.ts'
import { quantile } from './load.ts'
import type { Target } from './targets.ts'

/** An engine that sends the time (ms, performance.now()) in an event every `gap` ms until it is told to end. */
export async function streamingEngine(gap: number) {
  const open = new Set<http.ServerResponse>()
  const server = http.createServer((request, response) => {
    request.resume()
    if (request.method === 'GET') return response.end('{"version":"0.0.0"}')
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
    open: () => open.size,
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
  delays: number[]
  ended: Promise<boolean>
}

/** Opens a stream; `ended` is true when its [DONE] came before the end. */
export async function openStream(target: Pick<Target, 'address' | 'port' | 'host'>): Promise<Stream> {
  const request = http.request({
    host: target.address,
    port: target.port,
    path: '/v1/chat/completions',
    method: 'POST',
    agent: false,
    headers: { host: target.host, 'content-length': 2 },
  })
  request.end('{}')
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
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
  return { delays, ended }
}

/** Delay of an event from the engine's write to the client's read (ms), 20 streams at once. */
export async function eventDelay(
  target: Target,
  engine: Awaited<ReturnType<typeof streamingEngine>>,
  ms: number,
): Promise<{ p50: number; p99: number }> {
  const streams = await Promise.all(Array.from({ length: 20 }, () => openStream(target)))
  await new Promise((resolve) => setTimeout(resolve, ms))
  engine.finish()
  await Promise.all(streams.map((stream) => stream.ended))
  const delays = streams.flatMap((stream) => stream.delays.slice(1))
  return { p50: quantile(delays, 0.5), p99: quantile(delays, 0.99) }
}

/** Resident memory of a process in MB (Linux). */
const resident = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

export interface Crowd {
  streams: number
  before: number
  during: number
  reloadMs: number
  lost: number
}

/** Memory of the worker with many streams, and a reload in their midst: how long, and how many were lost. */
export async function crowd(count: number): Promise<Crowd> {
  const engine = await streamingEngine(1000)
  // 64 connections an address are the gateway's limit, so the crowd comes from many loopback addresses: the rule is lifted here.
  const gateway = await startGateway({
    enginePort: engine.port,
    settings: 'inference: { slots: 64 }\nlog: off\n',
    alter: (text) => text.replace(/^.*sc0_conn_cur.*$/m, '').replace('maxconn 64', `maxconn ${count + 10}`),
  })
  try {
    const pid = await worker(gateway)
    const before = resident(pid)
    const streams: Stream[] = []
    for (let at = 0; at < count; at += 50)
      streams.push(...(await Promise.all(Array.from({ length: Math.min(50, count - at) }, () => openStream(gateway)))))
    const during = resident(pid)
    const reloadMs = await reload(gateway)
    engine.finish()
    const ended = await Promise.all(streams.map((stream) => stream.ended))
    return { streams: count, before, during, reloadMs, lost: ended.filter((whole) => !whole).length }
  } finally {
    await gateway.stop()
    engine.stop()
  }
}

async function worker(gateway: RunningGateway): Promise<number> {
  return (await workerInfo(gateway.machine))?.pid ?? 0
}

async function reload(gateway: RunningGateway): Promise<number> {
  const started = performance.now()
  const configuration = gateway.rendered('inference: { slots: 64 }\nqueue: { max: 63 }\n')
  const receipt = emptyReceipt()
  receipt.files[places(gateway.home).config] = ''
  await swap(gateway.machine, { receipt, configuration, haproxy: gateway.program })
  await eventually(
    'the new worker answers',
    async () => (await runningFingerprint(gateway.machine)) === configuration.fingerprint,
  )
  return performance.now() - started
}

import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { swap } from '../../lib/haproxy/reload.ts'
import { oldWorkers } from '../../lib/haproxy/workers.ts'
import { sha256 } from '../../lib/host/command.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { keep } from '../../lib/people/store.ts'
import { places } from '../../lib/platform/mac/places.ts'
import type { Registry } from '../../lib/site/limits.ts'
import { emptyReceipt } from '../../lib/site/receipt.ts'
import { type RunningGateway, startGateway } from '../lab/gateway.ts'
import { type Client, dial, exchange, request } from '../lab/raw.ts'
import { type Answer, json, startRecorder } from '../lab/recorder.ts'

export interface Storm {
  /** open from the beginning to the end */
  streams: number
  keyChanges: number
  reloads: number
  /** another HAProxy than the usual one */
  haproxy?: string
  /** one of so many sockets that HAProxy's processes hand each other gets lost, as on macOS */
  loses?: number
}

/** What a storm left. */
export interface Aftermath {
  /** requests with a connection of their own, all the time */
  requests: number
  /** what came of those that were not answered with 200 */
  failed: string[]
  /** streams that did not end whole */
  cut: number
  /** requests by changed keys whose answer was not that of the change before */
  wrong: string[]
  /** most workers at once beside the newest */
  oldWorkers: number
  seconds: number
}

const secrets = { asker: generateKey(), streamer: generateKey() }
const made = (key: string) => ({ created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(key) }] })
const registry: Registry = { version: 1, keys: { asker: made(secrets.asker), streamer: made(secrets.streamer) } }

const ask = (gateway: RunningGateway, key: string) =>
  exchange(
    gateway,
    request('POST /v1/chat/completions HTTP/1.1', [`Host: ${gateway.host}`, `Authorization: Bearer ${key}`], '{}'),
  )

/** An engine whose messages are streams until `over` is called, and whose other answers come at once. */
function endless(): { answer: Answer; over(): void } {
  let running = true
  const answer: Answer = async (wire, asked) => {
    if (!asked.target.startsWith('/v1/messages')) return json()(wire, asked)
    wire.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
    while (running) {
      wire.chunk('data: {}\n\n')
      await pause(200)
    }
    wire.chunk('data: last\n\n')
    return wire.end()
  }
  const over = () => {
    running = false
  }
  return { answer, over }
}

/** Streams from many addresses, since one may hold 64 connections. */
async function openStreams(gateway: RunningGateway, count: number): Promise<Client[]> {
  const head = [`Host: ${gateway.host}`, `Authorization: Bearer ${secrets.streamer}`]
  const clients: Client[] = []
  for (let at = 0; at < count; at += 1) {
    const client = await dial({ ...gateway, from: `127.7.0.${1 + (at % 20)}` })
    client.send(request('POST /v1/messages HTTP/1.1', head, '{}'))
    clients.push(client)
  }
  for (const client of clients) if (!(await client.sees('data:'))) throw new Error('a stream did not begin')
  return clients
}

/** Requests one after the other until `over`; each on a connection of its own, as most clients' first one is. */
async function knock(gateway: RunningGateway, over: () => boolean, { failed }: { failed: string[] }): Promise<number> {
  let count = 0
  while (!over()) {
    const { status, body, end } = await ask(gateway, secrets.asker)
    if (status !== 200) failed.push(`${status} ${end} ${body.slice(0, 100)}`)
    count += 1
  }
  return count
}

/** Key number `at` is made, given a limit, or revoked, in turn; tells what it should be answered then. */
async function changeKey(gateway: RunningGateway, at: number): Promise<{ key: string; wanted: number }> {
  const turn = at % 3
  const name = `key-${at - turn}`
  const key = `rop_storm${at - turn}`
  if (turn === 2) delete registry.keys[name]
  else registry.keys[name] = { ...made(key), ...(turn === 1 ? { perMinute: 1000 + at } : {}) }
  await keep(gateway.machine, registry, gateway.gateway.settings)
  return { key, wanted: turn === 2 ? 401 : 200 }
}

async function reload(gateway: RunningGateway, at: number): Promise<void> {
  const { config } = places(gateway.home)
  const receipt = { ...emptyReceipt(), files: { [config]: sha256(readFileSync(config, 'utf8')) } }
  const configuration = gateway.rendered(`access: keys\nqueue: { max: ${at % 2 === 0 ? 63 : 64} }`)
  await swap(gateway.machine, { receipt, configuration, haproxy: gateway.program })
}

/** Changes of keys and reloads, one after the other as the lock has them, under open streams and steady requests. */
export async function storm({ streams, keyChanges, reloads, haproxy, loses }: Storm): Promise<Aftermath> {
  const started = performance.now()
  const { answer, over } = endless()
  const engine = await startRecorder(answer)
  const gateway = await startGateway({
    enginePort: engine.port,
    settings: 'access: keys',
    registry,
    // More than the 64 requests at once that settings allow; what is looked at is whether they live.
    alter: (text) => text.replace(/(server engine .*) maxconn \d+/, `$1 maxconn ${streams + 50}`),
    ...(haproxy ? { haproxy } : {}),
    ...(loses ? { loses } : {}),
  })
  try {
    const clients = await openStreams(gateway, streams)
    const seen = { failed: [] as string[], wrong: [] as string[], oldWorkers: 0 }
    let done = false
    const knocking = Array.from({ length: 4 }, () => knock(gateway, () => done, seen))
    const steps = Math.max(keyChanges, reloads)
    for (let at = 0; at < steps; at += 1) {
      if (Math.floor((at * keyChanges) / steps) < Math.floor(((at + 1) * keyChanges) / steps)) {
        const { key, wanted } = await changeKey(gateway, at)
        const { status } = await ask(gateway, key)
        if (status !== wanted) seen.wrong.push(`change ${at}: ${status} instead of ${wanted}`)
      }
      if (Math.floor((at * reloads) / steps) === Math.floor(((at + 1) * reloads) / steps)) continue
      await reload(gateway, at)
      seen.oldWorkers = Math.max(seen.oldWorkers, await oldWorkers(gateway.machine))
    }
    done = true
    const counts = await Promise.all(knocking)
    over()
    const ends = await Promise.all(clients.map((client) => client.settled()))
    const cut = ends.filter(([reply]) => !reply?.whole || !reply.body.endsWith('data: last\n\n')).length
    const requests = counts.reduce((sum, count) => sum + count, 0)
    return { ...seen, requests, cut, seconds: (performance.now() - started) / 1000 }
  } finally {
    over()
    await gateway.stop()
    await engine.stop()
  }
}

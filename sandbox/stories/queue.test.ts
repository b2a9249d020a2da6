import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { engineLoad, setDraining } from '../../lib/haproxy/runtime.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { type Client, dial, exchange, request } from '../lab/raw.ts'
import { type Answering, json, type Recorder, silent, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway
let clients: Client[] = []

beforeEach(async () => {
  engine = await startRecorder(silent)
  clients = []
})
afterEach(async () => {
  for (const client of clients) client.hangUp()
  await gateway?.stop()
  await engine?.stop()
})

const chat = () => request('POST /v1/chat/completions HTTP/1.1', [`Host: ${gateway.host}`], '{"model":"m"}')
const list = () => request('GET /v1/models HTTP/1.1', [`Host: ${gateway.host}`])

/** One address may hold 64 connections, so many requests come from several. */
async function open(from: string, bytes = chat()): Promise<Client> {
  const client = await dial({ ...gateway, from })
  clients.push(client)
  client.send(bytes)
  return client
}

const load = async () => (await engineLoad(gateway.machine)) ?? { running: -1, waiting: -1 }

describe('the queue', () => {
  test('so many requests run at once as there are slots, 64 wait, the next gets 429 with Retry-After at once', async () => {
    gateway = await startGateway({ enginePort: engine.port })
    for (let index = 0; index < 4; index += 1) await open('127.8.0.1')
    await eventually('four run', () => engine.received.length === 4)
    await Promise.all(Array.from({ length: 64 }, (_, index) => open(`127.8.1.${1 + (index % 4)}`)))
    await eventually('64 wait', async () => (await load()).waiting === 64)
    const one = await exchange({ ...gateway, from: '127.8.2.1' }, chat())
    expect([one.status, one.headers['retry-after']]).toEqual([429, '5'])
    expect(JSON.parse(one.body).error).toMatchObject({
      type: 'rate_limit_error',
      message: expect.stringContaining('64 requests'),
    })
    expect(one.ms).toBeLessThan(1_000)
    expect(engine.received).toHaveLength(4)
  })

  test('lists do not wait behind generations', async () => {
    gateway = await startGateway({ enginePort: engine.port, settings: 'inference: { slots: 1 }' })
    await open('127.8.0.1')
    await open('127.8.0.1')
    await eventually('one runs and one waits', async () => (await load()).waiting === 1)
    engine.answer = json('{"object":"list","data":[]}')
    const answer = await exchange(gateway, list())
    expect([answer.status, answer.ms < 1_000]).toEqual([200, true])
  })

  test('a request that waited too long gets 429, the one that runs goes on', async () => {
    gateway = await startGateway({
      enginePort: engine.port,
      settings: 'inference: { slots: 1 }\nqueue: { wait: 700ms }',
    })
    const wires: Answering[] = []
    engine.answer = (wire) => void wires.push(wire)
    const first = await open('127.8.0.1')
    await eventually('one runs', () => wires.length === 1)
    const second = await exchange(gateway, chat())
    expect([second.status, second.headers['retry-after']]).toEqual([429, '5'])
    expect(JSON.parse(second.body).error.type).toBe('rate_limit_error')
    expect(second.ms).toBeGreaterThan(600)
    wires[0]?.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}')
    expect((await first.settled())[0]).toMatchObject({ status: 200, body: '{}' })
    expect(engine.received).toHaveLength(1)
  })

  test('a queue of none refuses whoever finds the slots taken', async () => {
    gateway = await startGateway({ enginePort: engine.port, settings: 'inference: { slots: 1 }\nqueue: { max: 0 }' })
    await open('127.8.0.1')
    await eventually('one runs', () => engine.received.length === 1)
    expect((await exchange(gateway, chat())).status).toBe(429)
  })

  test('requests that send their bodies late do not overrun the queue', async () => {
    gateway = await startGateway({ enginePort: engine.port, settings: 'inference: { slots: 1 }\nqueue: { max: 4 }' })
    const head = request('POST /v1/chat/completions HTTP/1.1', [`Host: ${gateway.host}`, 'Content-Length: 13'])
    await open('127.8.0.1')
    await eventually('one runs', () => engine.received.length === 1)
    const late = await Promise.all(Array.from({ length: 30 }, () => open('127.8.0.2', head)))
    for (const client of late) client.send('{"model":"m"}')
    const refused = () => late.filter((client) => client.replies()[0]?.status === 429).length
    await eventually('all are judged', async () => refused() + (await load()).waiting === 30)
    // Each of two threads judges for itself: one more may slip in.
    expect((await load()).waiting).toBeLessThanOrEqual(5)
  })

  test('the engine’s own 503 reaches the client as 429 with Retry-After', async () => {
    gateway = await startGateway({ enginePort: engine.port })
    engine.answer = json('{"error":"server busy"}', '503 Service Unavailable')
    const answer = await exchange(gateway, chat())
    expect([answer.status, answer.headers['retry-after'], answer.body]).toEqual([429, '5', '{"error":"server busy"}'])
  })

  test('while the engine is about to be restarted new generations get 429, lists are still answered', async () => {
    gateway = await startGateway({ enginePort: engine.port })
    engine.answer = json()
    await setDraining(gateway.machine, true)
    const answer = await exchange(gateway, chat())
    expect([answer.status, answer.headers['retry-after']]).toEqual([429, '5'])
    expect((await exchange(gateway, list())).status).toBe(200)
    await setDraining(gateway.machine, false)
    expect((await exchange(gateway, chat())).status).toBe(200)
  })
})

describe('an engine that is down', () => {
  test('is 503 at once with Retry-After in the family’s shape, also for healthz, until it is back', async () => {
    gateway = await startGateway({ enginePort: engine.port })
    engine.answer = json()
    await engine.stop()
    const early = await exchange(gateway, chat())
    expect([429, 503]).toContain(early.status)
    expect(early.ms).toBeLessThan(5_000)
    const health = () => exchange(gateway, request('GET /healthz HTTP/1.1', [`Host: ${gateway.host}`]))
    await eventually('the engine is known to be down', async () => (await health()).status === 503)
    for (const [bytes, field] of [
      [chat(), 'error.message'],
      [list(), 'error.message'],
      [request('GET /api/tags HTTP/1.1', [`Host: ${gateway.host}`]), 'error'],
    ] as const) {
      const answer = await exchange(gateway, bytes)
      expect([answer.status, answer.headers['retry-after'], answer.ms < 500]).toEqual([503, '5', true])
      expect(JSON.parse(answer.body)).toHaveProperty(field, 'Gateway: Ollama is down on this server.')
    }
    expect((await health()).headers['retry-after']).toBe('5')
    expect((await exchange(gateway, request('GET / HTTP/1.1', [`Host: ${gateway.host}`]))).status).toBe(200)
    await engine.start()
    await eventually('the engine is back', async () => (await health()).status === 200)
    expect((await exchange(gateway, chat())).status).toBe(200)
  })
})

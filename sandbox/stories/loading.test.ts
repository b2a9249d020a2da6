import { afterEach, beforeEach, expect, test } from 'vitest'
import { detailsOf, streams } from '../../lib/haproxy/streams.ts'
import { loaded } from '../../lib/observer/duties/loaded.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { type Client, dial, exchange, request } from '../lab/raw.ts'
import { type Answering, json, type Recorder, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway
let clients: Client[]
/** what Ollama lists as loaded, and the requests that it has, by model */
let listed: string[]
let has: { model: string; wire: Answering }[]

beforeEach(async () => {
  ;[clients, listed, has] = [[], ['warm:latest'], []]
  engine = await startRecorder((wire, received) => {
    const models = JSON.stringify({ models: listed.map((name) => ({ name, size: 1 })) })
    if (received.target === '/api/ps') return json(models)(wire, received)
    has.push({ model: JSON.parse(received.body.toString()).model, wire })
  })
  gateway = await startGateway({ enginePort: engine.port, settings: 'inference: { slots: 3 }\nqueue: { max: 2 }' })
})
afterEach(async () => {
  for (const client of clients) client.hangUp()
  await gateway?.stop()
  await engine?.stop()
})

/** Opens a request for a model and waits until it is under way. */
async function open(model: string, more: object = {}): Promise<Client> {
  const client = await dial(gateway)
  clients.push(client)
  const under = (await streams(gateway.machine)).length
  client.send(
    request('POST /v1/messages HTTP/1.1', [`Host: ${gateway.host}`], JSON.stringify({ model, stream: true, ...more })),
  )
  await eventually('it is under way', async () => (await streams(gateway.machine)).length > under)
  return client
}
const models = () => has.map(({ model }) => model).sort()
const arrived = (...names: string[]) =>
  eventually(`the engine has ${names}, not ${models()}`, () => models().join() === [...names].sort().join())
const begin = (model: string) =>
  has
    .findLast((one) => one.model === model)
    ?.wire.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n')
const waits = async () =>
  (await Promise.all((await streams(gateway.machine)).map((one) => detailsOf(gateway.machine, one)))).filter(
    ({ waiting }) => waiting,
  ).length

test('one model is loaded at a time, others wait for it in the gateway, and loaded ones go on', async () => {
  const duty = loaded(() => gateway.gateway.settings)
  await duty.run(gateway.machine)
  await open('cold-a')
  await open('cold-b')
  await open('Library/Warm')
  await arrived('cold-a', 'Library/Warm')
  expect(await waits()).toBe(1)
  // While it is loaded Ollama lists it already; another request for it would wait in Ollama.
  listed.push('cold-a:latest')
  await duty.run(gateway.machine)
  await open('cold-a:latest')
  expect([models().length, await waits()]).toEqual([2, 2])
  begin('cold-a')
  await eventually('the answer begins', () => clients[0]?.bytes().includes('200 OK') ?? false)
  await duty.run(gateway.machine)
  await arrived('cold-a', 'cold-b', 'Library/Warm')
  await open('cold-a')
  await arrived('cold-a', 'cold-a', 'cold-b', 'Library/Warm')
})

test('a client that leaves while it waits for the loading slot is never shown to Ollama', async () => {
  await loaded(() => gateway.gateway.settings).run(gateway.machine)
  await open('cold-a')
  const left = await open('cold-b')
  left.hangUp()
  await eventually('it is gone', async () => (await streams(gateway.machine)).length === 1)
  clients[0]?.hangUp()
  await open('cold-c')
  await arrived('cold-a', 'cold-c')
})

test('the queue before the loading slot is bounded, and loaded models still have theirs', async () => {
  await loaded(() => gateway.gateway.settings).run(gateway.machine)
  for (const model of ['cold-a', 'cold-b', 'cold-c']) await open(model)
  const bytes = request('POST /v1/messages HTTP/1.1', [`Host: ${gateway.host}`], '{"model":"cold-d"}')
  const answer = await exchange(gateway, bytes)
  expect([answer.status, answer.headers['retry-after']]).toEqual([429, '5'])
  expect(answer.body).toContain('2 requests are waiting already')
  await open('warm')
  await arrived('cold-a', 'warm')
})

test('a model that is long listed counts as loaded, though its first request wants one whole answer', async () => {
  let now = 0
  const duty = loaded(
    () => gateway.gateway.settings,
    Date.now,
    () => now,
  )
  await duty.run(gateway.machine)
  await open('cold-a')
  listed.push('cold-a:latest')
  await duty.run(gateway.machine)
  now += 61_000
  await duty.run(gateway.machine)
  await open('cold-a')
  await open('cold-b')
  await arrived('cold-a', 'cold-a', 'cold-b')
})

test('without news from the observer, or without a model that can be seen, all go the usual way', async () => {
  await open('cold-a')
  await open('cold-b')
  await arrived('cold-a', 'cold-b')
  await loaded(
    () => gateway.gateway.settings,
    () => Date.now() - 10_000,
  ).run(gateway.machine)
  await open('cold-c')
  await arrived('cold-a', 'cold-b', 'cold-c')
  for (const client of clients) client.hangUp()
  await eventually('nothing is under way', async () => (await streams(gateway.machine)).length === 0)
  // From before somebody set the clock back.
  await loaded(
    () => gateway.gateway.settings,
    () => Date.now() + 3_600_000,
  ).run(gateway.machine)
  has.length = 0
  await open('cold-a')
  await open('cold-b')
  await arrived('cold-a', 'cold-b')
  for (const client of clients) client.hangUp()
  await eventually('nothing is under way', async () => (await streams(gateway.machine)).length === 0)
  await loaded(() => gateway.gateway.settings).run(gateway.machine)
  has.length = 0
  await open('odd name')
  await open('odd|name')
  await arrived('odd name', 'odd|name')
})

test('the model is seen in a body that is larger than the buffer, when it stands in front', async () => {
  await open('large', { prompt: 'x'.repeat(400_000) })
  expect((await streams(gateway.machine)).map(({ model, who }) => [model, who])).toEqual([['large', '']])
})

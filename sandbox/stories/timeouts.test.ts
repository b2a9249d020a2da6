import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { streams } from '../../lib/haproxy/streams.ts'
import { overlong } from '../../lib/observer/duties/overlong.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { keep } from '../../lib/people/store.ts'
import type { Limits } from '../../lib/site/limits.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { type Client, dial, exchange, request } from '../lab/raw.ts'
import { type Answer, events, type Recorder, silent, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway
let clients: Client[] = []
const keys: Record<string, Partial<Limits>> = { plain: {}, hasty: { firstByte: 1, silence: 2, whole: 600 } }
const secrets = Object.fromEntries(Object.keys(keys).map((name) => [name, generateKey()]))

beforeAll(async () => {
  engine = await startRecorder()
  gateway = await startGateway({
    enginePort: engine.port,
    settings:
      'access: keys\nlog: errors\ngroups: [agents, embeddings]\ntimeouts: { groups: { embeddings: { first_byte: 1s }, responses: { first_byte: 1s, silence: 2s }, anthropic: { whole: 30s } } }',
  })
  const created = '2026-01-01T00:00:00.000Z'
  const entries = Object.entries(keys).map(([name, limits]) => [
    name,
    { ...limits, created, hashes: [{ sha256: hashKey(secrets[name] ?? '') }] },
  ])
  await keep(gateway.machine, { version: 1, keys: Object.fromEntries(entries) }, gateway.gateway.settings)
})
afterAll(async () => {
  await gateway?.stop()
  await engine?.stop()
})
beforeEach(() => {
  engine.answer = silent
})
afterEach(async () => {
  for (const client of clients) client.hangUp()
  clients = []
  await eventually('nothing is under way', async () => (await streams(gateway.machine)).length === 0)
})

const bytes = (path: string, who: string) =>
  request(`POST ${path} HTTP/1.1`, [`Host: ${gateway.host}`, `Authorization: Bearer ${secrets[who]}`], '{"model":"M"}')
async function open(who: string, path = '/v1/messages'): Promise<Client> {
  const client = await dial(gateway)
  clients.push(client)
  client.send(bytes(path, who))
  return client
}
const ask = (path: string, who: string) => exchange(gateway, bytes(path, who))
/** Waits until HAProxy's log says of so many after these lines that they ended so; 3.0 says of an answer that it cut itself that the client left. */
async function expectEnds(lines: number, wanted: RegExp, count = 1): Promise<void> {
  const blind = gateway.version.join('.') === '3.0'
  const ends = () =>
    gateway
      .log()
      .slice(lines)
      .map((line) => (JSON.parse(line) as { end: string }).end)
  const such = (end: string) => wanted.test(end) || (blind && end === 'CD--')
  await eventually(`${count} end as ${wanted}`, () => ends().filter(such).length >= count)
}
const begins: Answer = (wire) => {
  wire.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
  wire.chunk('data: one\n\n')
}

test('an answer that does not begin in the time of its group or its key is 504, in the family’s shape', async () => {
  for (const [path, who] of [
    ['/v1/embeddings', 'plain'],
    ['/v1/messages', 'hasty'],
  ] as const) {
    const lines = gateway.log().length
    const answer = await ask(path, who)
    expect([answer.status, JSON.parse(answer.body).error.type]).toEqual([504, 'api_error'])
    await expectEnds(lines, /^sH/)
  }
  const client = await open('plain')
  await eventually('it is there', async () => (await streams(gateway.machine)).length === 1)
  expect((await client.settled(1, 1_500)).length).toBe(0)
})

test('silence within an answer has the time of its group or its key, after which the answer is cut', async () => {
  engine.answer = begins
  const lines = gateway.log().length
  const both = [await open('hasty'), await open('plain', '/v1/responses')]
  for (const client of both) expect(await client.sees('data: one')).toBe(true)
  const begun = performance.now()
  for (const client of both) {
    expect(await client.ended()).not.toBe('open')
    if (gateway.version[0] >= 3) expect(performance.now() - begun).toBeGreaterThan(1_500)
    expect(client.replies()[0]).toMatchObject({ status: 200, whole: false })
  }
  await expectEnds(lines, /^sD/, 2)
})

test('an answer that takes longer than its group or its key may is cut, and no other', async () => {
  engine.answer = events({ count: 3000, gap: 20 })
  const [plain, hasty] = [await open('plain'), await open('hasty')]
  for (const client of [plain, hasty]) expect(await client.sees('"index":2')).toBe(true)
  const found = await streams(gateway.machine)
  expect(found.map(({ who, whole, model }) => [who, whole, model]).sort()).toEqual([
    ['hasty', 600, 'm'],
    ['plain', 30, 'm'],
  ])
  const lines = gateway.log().length
  const began = found.find(({ who }) => who === 'plain')?.started ?? 0
  await overlong(() => began + 29_999).run(gateway.machine)
  expect([plain.end(), hasty.end()]).toEqual(['open', 'open'])
  await overlong(() => began + 30_000).run(gateway.machine)
  expect(await plain.ended()).not.toBe('open')
  await expectEnds(lines, /^K/)
  expect(hasty.end()).toBe('open')
  await overlong(() => Date.now() + 601_000).run(gateway.machine)
  expect(await hasty.ended()).not.toBe('open')
})

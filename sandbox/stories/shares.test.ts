import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { swap } from '../../lib/haproxy/reload.ts'
import { bans } from '../../lib/people/bans.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { keep } from '../../lib/people/store.ts'
import { places } from '../../lib/platform/mac/places.ts'
import type { Entry, Registry } from '../../lib/site/limits.ts'
import { emptyReceipt } from '../../lib/site/receipt.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { type Client, dial, type Exchange, exchange, request } from '../lab/raw.ts'
import { json, type Recorder, silent, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway
let clients: Client[] = []
let keys: Registry['keys'] = {}
const settings = 'access: keys\nqueue: { wait: 300ms, max: 1 }\ninference: { slots: 1 }\nbody_limit: 100KB'

/** A minute is 3 s here, and 10 seconds are one. */
const hurried = (text: string) => text.replaceAll(/\b60000\b/g, '3000').replaceAll(/\b10000\b/g, '1000')

async function newcomer(more: Partial<Entry>): Promise<string> {
  const key = generateKey()
  keys = {
    ...keys,
    [`newcomer${Object.keys(keys).length}`]: {
      created: '2026-01-01T00:00:00.000Z',
      hashes: [{ sha256: hashKey(key) }],
      ...more,
    },
  }
  await keep(gateway.machine, { version: 1, keys }, gateway.gateway.settings)
  return key
}

const bytes = (key: string, line = 'POST /v1/messages', body = '{"model":"m"}', more: string[] = []) =>
  request(
    `${line} HTTP/1.1`,
    [
      ...(more.some((one) => one.startsWith('Host')) ? [] : [`Host: ${gateway.host}`]),
      `Authorization: Bearer ${key}`,
      ...more,
    ],
    body,
  )
const ask = (key: string, ...what: [string?, string?, string[]?]): Promise<Exchange> =>
  exchange(gateway, bytes(key, ...what))

/** Opens a request that stays. */
async function open(key: string): Promise<void> {
  const client = await dial(gateway)
  clients.push(client)
  client.send(bytes(key))
}

beforeAll(async () => {
  engine = await startRecorder()
  // Lists of models are in force from the start: they need other rules.
  const registry: Registry = { version: 1, keys: { first: { created: '', hashes: [], models: ['m'] } } }
  gateway = await startGateway({ enginePort: engine.port, settings, registry, alter: hurried })
})
afterAll(async () => {
  await gateway?.stop()
  await engine?.stop()
})
const lists: Record<string, string> = {
  '/v1/models': '{"object":"list","data":[{"id":"m"}]}',
  '/api/tags': '{"models":[{"name":"m"}]}',
}
const answering: Recorder['answer'] = (wire, received) => json(lists[received.target])(wire, received)
beforeEach(() => {
  engine.answer = answering
  engine.received.length = 0
})
afterEach(async () => {
  for (const client of clients) client.hangUp()
  clients = []
})

describe('Retry-After', () => {
  test.each([
    ['a minute', { perMinute: 2 }, 2],
    ['10 seconds', { burst: 2 }, 2],
    ['a minute, and fewer at a time', { perMinute: 3, burst: 2 }, 2],
  ])('of a limit for %s is the moment from which the next request passes', async (_, more, passing) => {
    const key = await newcomer(more)
    for (let at = 0; at < passing; at += 1) expect((await ask(key)).status).toBe(200)
    const refused = await ask(key)
    expect(refused.status).toBe(429)
    const wait = Number(refused.headers['retry-after'])
    expect(wait).toBe('perMinute' in more && !('burst' in more) ? 3 : 1)
    await pause(wait * 1000)
    expect((await ask(key)).status).toBe(200)
  })

  test('is the same after a reload, which counts on', async () => {
    const key = await newcomer({ perMinute: 2 })
    await eventually('the worker no longer waits for a predecessor', async () => {
      const said = await gateway.machine.ask(places(gateway.home).adminSocket, 'show peers')
      return said?.includes('resync_timeout=<PAST>') ?? false
    })
    expect([(await ask(key)).status, (await ask(key)).status]).toEqual([200, 200])
    const configuration = gateway.rendered(`${settings}\nkeep_alive: 31m\ndrain: 1m\nban_after: 61`)
    await swap(gateway.machine, { receipt: emptyReceipt(), configuration, haproxy: gateway.program })
    const refused = await ask(key)
    expect(refused.status).toBe(429)
    await pause(Number(refused.headers['retry-after']) * 1000)
    expect([(await ask(key)).status, (await ask(key)).status, (await ask(key)).status]).toEqual([200, 200, 429])
  })
})

describe('what is refused costs no share', () => {
  test.each<[string, number, [string?, string?, string[]?]]>([
    ['a model that is not on the list', 403, [undefined, '{"model":"other"}']],
    ['a body that cannot be judged', 403, [undefined, '[]']],
    ['no row', 403, ['POST /api/pull']],
    ['a web page', 403, [undefined, undefined, ['Origin: https://a.example']]],
    ['another name', 421, [undefined, undefined, ['Host: a.example']]],
    ['a compressed body', 415, [undefined, undefined, ['Content-Encoding: gzip']]],
    ['a large body', 413, [undefined, 'x'.repeat(200_000)]],
    [
      'a WebSocket',
      426,
      [
        'GET /v1/responses',
        '',
        [
          'Upgrade: websocket',
          'Connection: upgrade',
          'Sec-WebSocket-Version: 13',
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        ],
      ],
    ],
  ])('%s is %i', async (_, status, what) => {
    const key = await newcomer({ models: ['m'], perMinute: 2, burst: 2 })
    for (let at = 0; at < 4; at += 1) expect((await ask(key, ...what)).status).toBe(status)
    expect([(await ask(key)).status, (await ask(key)).status, (await ask(key)).status]).toEqual([200, 200, 429])
    expect(await bans(gateway.machine)).toEqual([])
  })

  test('a full queue, and a slot that does not come free in time', async () => {
    const [other, another, key] = [await newcomer({}), await newcomer({}), await newcomer({ perMinute: 1, burst: 1 })]
    engine.answer = silent
    engine.received.length = 0
    await open(other)
    await eventually('the slot is taken', () => engine.received.length === 1)
    const late = await ask(key)
    expect([late.status, late.body]).toEqual([429, expect.stringContaining('all slots stayed busy')])
    // Each waits 300 ms alone, which may be over before the next one has come.
    await eventually('the queue is full', async () => {
      await open(another)
      return (await ask(key)).body.includes('1 requests are waiting already')
    })
    for (const client of clients) client.hangUp()
    engine.answer = answering
    await eventually('the slot is free', async () => (await ask(other)).status === 200)
    expect([(await ask(key)).status, (await ask(key)).status]).toEqual([200, 429])
  })

  test('what is over one limit, for another one', async () => {
    const key = await newcomer({ perMinute: 3, burst: 1 })
    expect((await ask(key)).status).toBe(200)
    for (let at = 0; at < 5; at += 1) expect((await ask(key)).status).toBe(429)
    await pause(1000)
    expect([(await ask(key)).status, (await ask(key)).status]).toEqual([200, 429])
    await pause(1000)
    expect((await ask(key)).status).toBe(200)
  })

  test('a key that has ended is no guess, so nobody is banned for it', async () => {
    const key = await newcomer({ expires: '2026-01-02T00:00:00.000Z' })
    for (let at = 0; at < 70; at += 1) expect((await ask(key)).status).toBe(401)
    expect(await bans(gateway.machine)).toEqual([])
    for (let at = 0; at < 61; at += 1) await ask(`rop_${at}`)
    expect((await ask('rop_x')).status).toBe(429)
  })
})

test('requests whose bodies come late are counted when they are whole, and no more of them pass', async () => {
  const key = await newcomer({ perMinute: 2 })
  const many = await Promise.all(Array.from({ length: 8 }, () => dial(gateway)))
  clients.push(...many)
  const whole = bytes(key)
  for (const client of many) client.send(whole.subarray(0, -1))
  for (const client of many) client.send(whole.subarray(-1))
  const statuses = await Promise.all(many.map(async (client) => (await client.settled())[0]?.status))
  expect(statuses.filter((status) => status !== 429)).toEqual([200, 200])
})

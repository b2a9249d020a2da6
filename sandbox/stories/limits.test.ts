import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { swap } from '../../lib/haproxy/reload.ts'
import { engineLoad } from '../../lib/haproxy/runtime.ts'
import { bans, unban } from '../../lib/people/bans.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { probing } from '../../lib/people/records.ts'
import { keep } from '../../lib/people/store.ts'
import { places } from '../../lib/platform/mac/places.ts'
import type { Entry, Registry } from '../../lib/site/limits.ts'
import { emptyReceipt } from '../../lib/site/receipt.ts'
import { haproxyOf } from '../attacks/versions/debian.ts'
import { eventually, type RunningGateway, startGateway, withoutLine } from '../lab/gateway.ts'
import { type Client, dial, type Exchange, exchange, request } from '../lab/raw.ts'
import { json, type Recorder, silent, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway
let clients: Client[] = []
const secrets = { alice: generateKey(), bob: generateKey() }
const entry = (key: string, more: Partial<Entry> = {}): Entry => ({
  created: '2026-01-01T00:00:00.000Z',
  hashes: [{ sha256: hashKey(key) }],
  ...more,
})
const registry = (alice: Partial<Entry> = {}): Registry => ({
  version: 1,
  keys: { alice: entry(secrets.alice, alice), bob: entry(secrets.bob) },
})
const bearer = (key: string) => `Authorization: Bearer ${key}`
const bytes = (line: string, key?: string) =>
  request(
    `${line} HTTP/1.1`,
    [`Host: ${gateway.host}`, ...(key ? [bearer(key)] : [])],
    line.startsWith('POST') ? '{"model":"m"}' : undefined,
  )
const ask = (line: string, key?: string, from?: string): Promise<Exchange> =>
  exchange({ ...gateway, from }, bytes(line, key))
const post = (key?: string) => ask('POST /v1/messages', key)
const message = ({ body }: Exchange): string => JSON.parse(body).error.message
const limited = (alice: Partial<Entry>) => keep(gateway.machine, registry(alice), gateway.gateway.settings)

let people = 0
/** Somebody new, of whom nothing is counted yet. */
async function newcomer(more: Partial<Entry>): Promise<{ name: string; key: string }> {
  people += 1
  const [name, key] = [`newcomer${people}`, generateKey()]
  const { keys } = registry()
  await keep(gateway.machine, { version: 1, keys: { ...keys, [name]: entry(key, more) } }, gateway.gateway.settings)
  return { name, key }
}

/** Has the gateway take on other settings, as apply.ts would. */
const reloaded = (settings: string) =>
  swap(gateway.machine, {
    receipt: emptyReceipt(),
    configuration: gateway.rendered(settings),
    haproxy: gateway.program,
  })

/** A HAProxy that just started waits 5 s for a predecessor, and hands nothing on before. */
const settled = () =>
  eventually('the worker no longer waits for a predecessor', async () => {
    const said = await gateway.machine.ask(places(gateway.home).adminSocket, 'show peers')
    return said?.includes('resync_timeout=<PAST>') ?? false
  })

/** Opens a request that stays. */
async function open(key: string): Promise<Client> {
  const client = await dial(gateway)
  clients.push(client)
  client.send(bytes('POST /v1/messages', key))
  return client
}

beforeAll(async () => {
  engine = await startRecorder()
  gateway = await startGateway({ enginePort: engine.port, settings: 'access: keys', registry: registry() })
})
afterAll(async () => {
  await gateway?.stop()
  await engine?.stop()
})
beforeEach(() => {
  engine.answer = json()
  engine.received.length = 0
})
afterEach(() => {
  for (const client of clients) client.hangUp()
  clients = []
})

describe('an address that guesses keys', () => {
  const guesser = '127.9.1.1'
  const guess = async (from: string, times: number) => {
    let last: Exchange | undefined
    for (let at = 0; at < times; at += 1) last = await ask('GET /v1/models', `rop_${at}`, from)
    return last
  }

  test('is banned over 60 wrong keys a minute, for a minute; denied paths, missing keys and good ones never count', async () => {
    for (let at = 0; at < 70; at += 1) {
      expect((await ask('GET /nothing', secrets.alice, guesser)).status).toBe(403)
      expect((await ask('GET /v1/models', undefined, guesser)).status).toBe(401)
    }
    expect((await guess(guesser, 60))?.status).toBe(401)
    expect(await bans(gateway.machine)).toEqual([])
    const told = await guess(guesser, 1)
    expect([told?.status, told?.headers['x-should-retry']]).toEqual([429, 'false'])
    expect(Number(told?.headers['retry-after'])).toBeGreaterThan(50)
    expect((await ask('GET /v1/models', secrets.alice, guesser)).status).toBe(200)
    expect((await ask('GET /v1/models', undefined, guesser)).status).toBe(401)
    expect((await guess('127.9.1.2', 1))?.status).toBe(401)
  })

  test('is listed with the time that is left, which further wrong keys do not prolong', async () => {
    const [before] = await bans(gateway.machine)
    expect(before).toMatchObject({ address: guesser, wrongAMinute: 61 })
    await eventually('a second is over', async () => {
      expect((await guess(guesser, 1))?.status).toBe(429)
      return ((await bans(gateway.machine))[0]?.secondsLeft ?? 99) < (before?.secondsLeft ?? 0)
    })
  })

  test('is still banned after a reload, until its ban is ended by hand', async () => {
    await settled()
    await reloaded('access: keys\nqueue: { max: 62 }')
    await eventually('the ban was handed over', async () => (await bans(gateway.machine))[0]?.address === guesser)
    expect((await guess(guesser, 1))?.status).toBe(429)
    await expect(unban(gateway.machine, '127.9.1.2')).rejects.toThrow('"127.9.1.2" is no banned address')
    await expect(unban(gateway.machine, 'x; clear table')).rejects.toThrow('is no banned address')
    await unban(gateway.machine, guesser)
    expect(await bans(gateway.machine)).toEqual([])
    expect((await guess(guesser, 60))?.status).toBe(401)
    expect((await guess(guesser, 1))?.status).toBe(429)
    await unban(gateway.machine, guesser)
  })

  test('is banned later where the settings say so', async () => {
    await reloaded('access: keys\nban_after: 70')
    expect((await guess(guesser, 70))?.status).toBe(401)
    const told = await guess(guesser, 1)
    expect([told?.status, told && message(told)]).toEqual([429, expect.stringContaining('over 70 wrong API keys')])
    await reloaded('access: keys')
  })
})

test('requests a minute are counted on over a reload', async () => {
  const { key } = await newcomer({ perMinute: 3 })
  for (let at = 0; at < 3; at += 1) expect((await post(key)).status).toBe(200)
  await reloaded('access: keys\nqueue: { max: 63 }')
  await eventually('the count was handed over', async () => (await post(key)).status === 429)
  expect(engine.received.length).toBeLessThan(6)
  await reloaded('access: keys')
})

test('what runs at once is counted anew after a reload: a stream in the old worker is not in it', async () => {
  const { name, key } = await newcomer({ concurrent: 1 })
  engine.answer = silent
  await open(key)
  await eventually('it runs', () => engine.received.length === 1)
  expect((await post(key)).status).toBe(429)
  await reloaded('access: keys\nqueue: { max: 61 }')
  await open(key)
  await eventually('one more runs beside it', () => engine.received.length === 2)
  expect(message(await post(key))).toBe(`Gateway: ${name} may have 1 requests running at once.`)
  await reloaded('access: keys')
})

test('of many requests that come at the same moment no more run than may', async () => {
  const { key } = await newcomer({ concurrent: 2 })
  engine.answer = silent
  for (let round = 0; round < 30; round += 1) {
    engine.received.length = 0
    const many = await Promise.all(Array.from({ length: 12 }, () => dial(gateway)))
    clients.push(...many)
    for (const client of many) client.send(bytes('POST /v1/messages', key))
    await eventually('most are refused', () => many.filter(({ replies }) => replies().length > 0).length >= 10)
    const refused = many.filter(({ replies }) => replies()[0]?.status === 429).length
    await eventually('the rest runs', () => engine.received.length >= 12 - refused)
    expect(engine.received.length).toBeLessThanOrEqual(2)
    for (const client of many) client.hangUp()
    await eventually('nobody runs', async () => (await engineLoad(gateway.machine))?.running === 0)
  }
})

test('a request that the first look let through, since another thread’s came at that moment, is refused by the second', async (context) => {
  const usual = gateway
  context.onTestFinished(async () => {
    if (gateway !== usual) await gateway.stop()
    gateway = usual
  })
  const options = { enginePort: engine.port, settings: 'access: keys', registry: registry({ concurrent: 1 }) }
  gateway = await startGateway({ ...options, alter: withoutLine(/txn\.beyond/) })
  engine.answer = silent
  await open(secrets.alice)
  await eventually('it runs', () => engine.received.length === 1)
  expect(message(await post(secrets.alice))).toBe('Gateway: alice may have 1 requests running at once.')
})

test('more than its burst in 10 seconds gets 429 with a wait that is short', async () => {
  const { name, key } = await newcomer({ burst: 2 })
  expect([(await post(key)).status, (await post(key)).status]).toEqual([200, 200])
  const refused = await post(key)
  expect([refused.status, message(refused)]).toEqual([429, `Gateway: ${name} may start 2 requests in 10 seconds.`])
  expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1)
  expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(10)
  expect((await post(secrets.bob)).status).toBe(200)
  expect((await ask('GET /v1/models', key)).status).toBe(200)
})

test('while every slot is taken a person has so many requests under way and no more; otherwise as many as there are slots', async () => {
  await limited({ waiting: 2 })
  await reloaded('access: keys\ninference: { slots: 3 }')
  engine.answer = silent
  for (let at = 1; at <= 3; at += 1) {
    await open(secrets.alice)
    await eventually('it runs', () => engine.received.length === at)
  }
  const refused = await post(secrets.alice)
  expect([refused.status, refused.headers['retry-after'], message(refused)]).toEqual([
    429,
    '5',
    'Gateway: every slot is taken, and alice may then have 2 requests under way.',
  ])
  await open(secrets.bob)
  await eventually('another waits', async () => (await engineLoad(gateway.machine))?.waiting === 1)
  for (const client of clients) client.hangUp()
  await eventually('nobody runs', async () => (await engineLoad(gateway.machine))?.running === 0)
  engine.answer = json()
  expect((await post(secrets.alice)).status).toBe(200)
  await reloaded('access: keys')
})

describe('limits that everybody shares', () => {
  const yaml = 'access: keys\ngroups: [agents, embeddings]\nlimits: '
  const together = async (limits: string) => reloaded(`${yaml}${limits}`)
  const both = async (line: string) => [(await ask(line, secrets.alice)).status, (await ask(line, secrets.bob)).status]
  const older = () => gateway.version[0] === 2 && gateway.version[1] < 8

  test('are refused by an older HAProxy in one sentence, and nothing changes', async (context) => {
    if (!older()) return context.skip('this HAProxy is new enough')
    await expect(together('{ groups: { embeddings: { per_minute: 2 } } }')).rejects.toThrow(
      /the old one stays: .*limits\.groups in settings\.yaml need HAProxy 2\.8 or newer/,
    )
    expect((await post(secrets.bob)).status).toBe(200)
  })

  test('hold for all, for a group and for a row, whoever asks; others go on', async (context) => {
    const newer = older() ? await haproxyOf('sid').catch(() => undefined) : gateway.program
    if (!newer) return context.skip('no HAProxy that follows more than three counters is to be had')
    const usual = gateway
    const options = { enginePort: engine.port, settings: 'access: keys', registry: registry() }
    if (older()) gateway = await startGateway({ ...options, haproxy: newer })
    context.onTestFinished(async () => {
      if (gateway !== usual) await gateway.stop()
      gateway = usual
    })
    await limited({})
    await together('{ groups: { embeddings: { per_minute: 2 } }, rows: { "POST /v1/responses": { burst: 2 } } }')
    for (const [line, said] of [
      ['POST /v1/embeddings', 'all people together in the group embeddings may start 2 requests a minute.'],
      ['POST /v1/responses', 'all people together at /v1/responses may start 2 requests in 10 seconds.'],
    ] as const) {
      expect(await both(line)).toEqual([200, 200])
      const refused = await ask(line, secrets.bob)
      expect([refused.status, message(refused)]).toEqual([429, `Gateway: ${said}`])
    }
    expect(await both('POST /v1/messages')).toEqual([200, 200])
    await together('{ all: { concurrent: 1 } }')
    engine.answer = silent
    const before = engine.received.length
    await open(secrets.alice)
    await eventually('it runs', () => engine.received.length > before)
    expect(message(await post(secrets.bob))).toBe('Gateway: all people together may have 1 requests running at once.')
    await reloaded('access: keys')
  })

  test('what test.ts asks is given back to everybody', async (context) => {
    const haproxy = older() ? await haproxyOf('sid').catch(() => undefined) : gateway.program
    if (!haproxy) return context.skip('no HAProxy that follows more than three counters is to be had')
    const key = generateKey()
    const own = await startGateway({
      ...{ enginePort: engine.port, haproxy, settings: `${yaml}{ all: { per_minute: 2 } }` },
      registry: { version: 1, keys: { ...registry().keys, [`${probing}+one`]: entry(key) } },
    })
    context.onTestFinished(() => own.stop())
    const post = async (secret: string) => {
      const head = [`Host: ${own.host}`, bearer(secret)]
      return (await exchange(own, request('POST /v1/messages HTTP/1.1', head, '{"model":"m"}'))).status
    }
    for (let at = 0; at < 5; at += 1) expect(await post(key)).toBe(200)
    expect([await post(secrets.bob), await post(secrets.bob), await post(secrets.bob)]).toEqual([200, 200, 429])
  })
})

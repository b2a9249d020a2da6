import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { swap } from '../../lib/haproxy/reload.ts'
import { streams } from '../../lib/haproxy/streams.ts'
import { budgets } from '../../lib/observer/duties/budgets.ts'
import type { Duty } from '../../lib/observer/duty.ts'
import type { Ended } from '../../lib/observer/ended.ts'
import { type Counter, dayOf, usage } from '../../lib/observer/usage.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { keep } from '../../lib/people/store.ts'
import { places } from '../../lib/platform/mac/places.ts'
import type { Limits } from '../../lib/site/limits.ts'
import { emptyReceipt } from '../../lib/site/receipt.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { type Client, dial, type Exchange, exchange, request } from '../lab/raw.ts'
import { events, json, type Recorder, silent, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway
let counted: Counter
let duty: Duty
let taken = 0
let clients: Client[] = []
let people = 0

beforeAll(async () => {
  engine = await startRecorder()
  gateway = await startGateway({ enginePort: engine.port, settings: 'access: keys' })
})
afterAll(async () => {
  await gateway?.stop()
  await engine?.stop()
})
beforeEach(async () => {
  await begin()
  engine.answer = json()
})
/** A new observer, which knows what the one before it kept. */
async function begin(): Promise<void> {
  counted = await usage(gateway.machine)
  duty = budgets(counted)
}
afterEach(() => {
  for (const client of clients) client.hangUp()
  clients = []
})

/** Makes or changes the only key there is. */
async function person(limits: Partial<Limits>, name = `person${++people}`, key = generateKey()) {
  const entry = { created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(key) }], ...limits }
  await keep(gateway.machine, { version: 1, keys: { [name]: entry } }, gateway.gateway.settings)
  return { name, key }
}

const bytes = (line: string, key: string) =>
  request(
    `${line} HTTP/1.1`,
    [`Host: ${gateway.host}`, `Authorization: Bearer ${key}`],
    line.startsWith('POST') ? '{"model":"m"}' : undefined,
  )
const ask = (key: string, line = 'POST /v1/messages'): Promise<Exchange> => exchange(gateway, bytes(line, key))
/** A request has ended just now. */
function ended(who: string, more: Partial<Ended> = {}): void {
  const nothing = { id: '', address: '', login: '', device: '', agent: '', group: '', model: '', denied: '' }
  const one = { who, method: 'POST', path: '/v1/messages', end: 'done' as const, status: 200 }
  const none = { firstByteMs: 0, totalMs: 0, queueMs: 0, bytes: 0 }
  const time = new Date(Date.now() - (more.totalMs ?? 0)).toISOString()
  counted.take([{ ...nothing, ...one, ...none, time, ...more }], { id: 'a', offset: ++taken })
}
const midnight = () => {
  const now = new Date()
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1).getTime() / 1000
}

/** Has the duty look until it gives this answer. */
const until = (status: number, key: string) =>
  eventually(`it is answered with ${status}`, async () => {
    await duty.run(gateway.machine)
    return (await ask(key)).status === status
  })

describe('a share of the day', () => {
  test('that is spent ends with 429 until midnight, says which it was, and leaves lists alone', async () => {
    const { name, key } = await person({ perDay: { seconds: 7200, bytes: 1000 } })
    ended(name, { totalMs: 7_100_000, queueMs: 20_000, bytes: 999 })
    ended(name, { path: '/v1/models', method: 'GET', bytes: 5000 })
    ended(name, { end: 'denied', bytes: 5000 })
    ended('somebody', { bytes: 5000 })
    await duty.run(gateway.machine)
    expect((await ask(key)).status).toBe(200)
    ended(name, { totalMs: 121_000 })
    await duty.run(gateway.machine)
    const told = await ask(key)
    expect([told.status, told.headers['x-should-retry']]).toEqual([429, 'false'])
    expect(Number(told.headers['retry-after'])).toBeGreaterThan(60)
    expect(Math.abs(Number(told.headers['retry-after']) - (midnight() + 60 - Date.now() / 1000))).toBeLessThan(30)
    expect(JSON.parse(told.body).error.message).toMatch(
      new RegExp(`^Gateway: ${name} has used up its 2h of this day; it begins anew on \\d{4}-\\d\\d-\\d\\d\\.$`),
    )
    expect((await ask(key, 'GET /v1/models')).status).toBe(200)
  })

  test('is still spent after the observer began anew, after a reload, and free at once when it is raised', async () => {
    const { name, key } = await person({ perDay: { bytes: 1024 } })
    ended(name, { bytes: 2048 })
    await until(429, key)
    await counted.run(gateway.machine)
    await begin()
    await duty.run(gateway.machine)
    expect(JSON.parse((await ask(key)).body).error.message).toContain('used up its 1KB of this day')
    const configuration = gateway.rendered('access: keys\nqueue: { max: 62 }')
    await swap(gateway.machine, { receipt: emptyReceipt(), configuration, haproxy: gateway.program })
    expect((await ask(key)).status).toBe(429)
    await person({ perDay: { bytes: 4096 } }, name, key)
    await until(200, key)
    await person({}, name, key)
    await duty.run(gateway.machine)
    expect((await ask(key)).status).toBe(200)
  })

  test('begins anew on the next day', async () => {
    const { name, key } = await person({ perDay: { seconds: 1 } })
    ended(name, { totalMs: 1000 })
    await until(429, key)
    duty = budgets(counted, () => new Date(Date.now() + 86_400_000))
    await duty.run(gateway.machine)
    expect((await ask(key)).status).toBe(200)
  })

  test('is used up by an answer that still runs: by its time, and by its bytes', async () => {
    engine.answer = events({ count: 3000, gap: 20 })
    for (const perDay of [{ seconds: 1 }, { bytes: 3000 }]) {
      const { name, key } = await person({ perDay })
      const client = await dial(gateway)
      clients.push(client)
      client.send(bytes('POST /v1/messages', key))
      await eventually('it runs', async () => (await streams(gateway.machine)).some(({ who }) => who === name))
      await eventually('its share is spent', async () => {
        await duty.run(gateway.machine)
        const lines = await gateway.machine.read(`${gateway.home}/.haproxy/keys/spent.map`)
        return lines?.startsWith(`${name} `) ?? false
      })
      expect((await ask(key)).status).toBe(429)
      expect(client.end()).toBe('open')
      client.hangUp()
    }
  })

  test('is not used up by waiting in the queue', async () => {
    const configuration = gateway.rendered('access: keys\ninference: { slots: 1 }')
    await swap(gateway.machine, { receipt: emptyReceipt(), configuration, haproxy: gateway.program })
    engine.answer = silent
    const { name, key } = await person({ perDay: { seconds: 60 }, concurrent: 2 })
    for (const under of [1, 2]) {
      const client = await dial(gateway)
      clients.push(client)
      client.send(bytes('POST /v1/messages', key))
      await eventually('it is under way', async () => (await streams(gateway.machine)).length === under)
    }
    let now = 0
    duty = budgets(
      counted,
      () => new Date(),
      () => now,
    )
    const spent = async (seconds: number) => {
      now += seconds * 1000
      await duty.run(gateway.machine)
      return (await gateway.machine.read(`${gateway.home}/.haproxy/keys/spent.map`)) !== ''
    }
    // Two would have used 70 s by then, the one that runs has 35 s.
    expect([await spent(0), await spent(35)]).toEqual([false, false])
    expect(await spent(30)).toBe(true)
    expect((await streams(gateway.machine)).map(({ who }) => who)).toEqual([name, name])
  })

  test('counts what ends while the file is being written, and once, though a full disk refused it at first', async () => {
    const { name, key } = await person({ perDay: { bytes: 1024 } })
    const writes = [
      () => ended(name, { bytes: 1000 }),
      () => {
        throw new Error('no space left')
      },
    ]
    const meanwhile = {
      ...gateway.machine,
      async write(file: string, text: string, mode?: number) {
        if (file.startsWith(places(gateway.home).usage)) writes.shift()?.()
        await gateway.machine.write(file, text, mode)
      },
    }
    ended(name, { bytes: 24 })
    await counted.run(meanwhile)
    await expect(counted.run(meanwhile)).rejects.toThrow('no space left')
    await duty.run(gateway.machine)
    expect((await ask(key)).status).toBe(429)
    await counted.run(meanwhile)
    await begin()
    expect((await counted.used(gateway.machine, dayOf(new Date())))[name]).toEqual({ ms: 0, bytes: 1024 })
  })
})

test('without keys every address has the share of the settings', async () => {
  const configuration = gateway.rendered('access: tailnet\nlimits: { per_day: 1h }')
  await swap(gateway.machine, { receipt: emptyReceipt(), configuration, haproxy: gateway.program })
  const settings = { ...gateway.gateway.settings, limits: { per_day: { seconds: 3600 } } }
  await keep(gateway.machine, { version: 1, keys: {} }, settings)
  const post = async () => (await exchange(gateway, bytes('POST /v1/messages', 'none'))).status
  expect(await post()).toBe(200)
  ended(gateway.address, { totalMs: 3_600_000 })
  ended('127.0.0.1', { totalMs: 3_600_000 })
  await duty.run(gateway.machine)
  expect(await post()).toBe(429)
})

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { generateKey, hashKey } from '../../lib/keys/key.ts'
import type { Limits } from '../../lib/keys/registry.ts'
import { keep } from '../../lib/keys/store.ts'
import { type BudgetsDuty, budgets, usedFile } from '../../lib/observer/duties/budgets.ts'
import { streams } from '../../lib/observer/streams.ts'
import { swap } from '../../lib/proxy/reload.ts'
import { emptyReceipt } from '../../lib/state.ts'
import { eventually, type RunningGateway, startGateway } from '../gateway.ts'
import { type Client, dial, type Exchange, exchange, request } from '../raw.ts'
import { events, json, type Recorder, silent, startRecorder } from '../recorder.ts'

let engine: Recorder
let gateway: RunningGateway
let duty: BudgetsDuty
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
beforeEach(() => {
  duty = budgets()
  engine.answer = json()
})
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
const used = (who: string, more: object = {}) => ({
  ...{ who, method: 'POST', path: '/v1/messages', end: 'done' as const, totalMs: 0, queueMs: 0, bytes: 0 },
  ...more,
})
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
    duty.ended(used(name, { totalMs: 7_100_000, queueMs: 20_000, bytes: 999 }))
    duty.ended(used(name, { path: '/v1/models', method: 'GET', bytes: 5000 }))
    duty.ended(used(name, { end: 'denied', bytes: 5000 }))
    duty.ended(used('somebody', { bytes: 5000 }))
    await duty.run(gateway.machine)
    expect((await ask(key)).status).toBe(200)
    duty.ended(used(name, { totalMs: 121_000 }))
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
    duty.ended(used(name, { bytes: 2048 }))
    await until(429, key)
    duty = budgets()
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
    duty.ended(used(name, { totalMs: 1000 }))
    await until(429, key)
    duty = budgets(() => new Date(Date.now() + 86_400_000))
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
    let now = Date.now()
    duty = budgets(() => new Date(now))
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
      () => duty.ended(used(name, { bytes: 1000 })),
      () => {
        throw new Error('no space left')
      },
    ]
    const meanwhile = {
      ...gateway.machine,
      async write(file: string, text: string, mode?: number) {
        if (file === usedFile(gateway.home)) writes.shift()?.()
        await gateway.machine.write(file, text, mode)
      },
    }
    duty.ended(used(name, { bytes: 24 }))
    await duty.run(meanwhile)
    await expect(duty.run(meanwhile)).rejects.toThrow('no space left')
    await duty.run(meanwhile)
    expect((await ask(key)).status).toBe(429)
    const kept = JSON.parse((await gateway.machine.read(usedFile(gateway.home))) ?? '')
    expect(kept.used[name]).toEqual({ ms: 0, bytes: 1024 })
  })

  test('a file of what was used that somebody broke is begun anew', async () => {
    const { name, key } = await person({ perDay: { bytes: 1024 } })
    await gateway.machine.write(usedFile(gateway.home), '{ nonsense')
    await duty.run(gateway.machine)
    duty.ended(used(name, { bytes: 1024 }))
    await until(429, key)
  })
})

test('without keys every address has the share of the settings', async () => {
  const configuration = gateway.rendered('access: tailnet\nlimits: { per_day: 1h }')
  await swap(gateway.machine, { receipt: emptyReceipt(), configuration, haproxy: gateway.program })
  const settings = { ...gateway.gateway.settings, limits: { per_day: { seconds: 3600 } } }
  await keep(gateway.machine, { version: 1, keys: {} }, settings)
  const post = async () => (await exchange(gateway, bytes('POST /v1/messages', 'none'))).status
  expect(await post()).toBe(200)
  duty.ended(used(gateway.address, { totalMs: 3_600_000 }))
  duty.ended(used('127.0.0.1', { totalMs: 3_600_000 }))
  await duty.run(gateway.machine)
  expect(await post()).toBe(429)
})

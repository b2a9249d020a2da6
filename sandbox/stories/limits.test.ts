import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { bans, unban } from '../../lib/keys/bans.ts'
import { generateKey, hashKey } from '../../lib/keys/key.ts'
import type { Entry, Registry } from '../../lib/keys/registry.ts'
import { keep } from '../../lib/keys/store.ts'
import { places } from '../../lib/places.ts'
import { swap } from '../../lib/proxy/reload.ts'
import { emptyReceipt } from '../../lib/state.ts'
import { eventually, type RunningGateway, startGateway } from '../gateway.ts'
import { type Client, dial, type Exchange, exchange, request } from '../raw.ts'
import { json, type Recorder, silent, startRecorder } from '../recorder.ts'

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
    await reloaded('access: keys\nlog: off')
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
  await limited({ perMinute: 3 })
  for (let at = 0; at < 3; at += 1) expect((await post(secrets.alice)).status).toBe(200)
  await reloaded('access: keys\nlog: requests')
  await eventually('the count was handed over', async () => (await post(secrets.alice)).status === 429)
  expect(engine.received.length).toBeLessThan(6)
  await reloaded('access: keys')
})

import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { countedUpTo, dayOf, readUsage } from '../../lib/observer/usage.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { places } from '../../lib/platform/mac/places.ts'
import type { Entry, Registry } from '../../lib/site/limits.ts'
import { eventually, freePort, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { type RunningObserver, startObserver } from '../lab/observer.ts'
import { dial, type Exchange, exchange, request } from '../lab/raw.ts'
import { type Answer, events, json, type Recorder, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway
let observer: RunningObserver
let port: number
const secrets = { alice: generateKey(), prom: generateKey() }
const entry = (key: string, more: Partial<Entry> = {}): Entry => ({
  created: '2026-01-01T00:00:00.000Z',
  hashes: [{ sha256: hashKey(key) }],
  ...more,
})
const registry: Registry = {
  version: 1,
  keys: {
    alice: entry(secrets.alice, { expires: '2099-01-01T00:00:00.000Z' }),
    prom: entry(secrets.prom, { groups: ['metrics'] }),
  },
}

/** How the engine answers what asks a model; the observer asks which are loaded. */
function answers(generate: Answer): void {
  engine.answer = (wire, received) =>
    received.target === '/api/ps'
      ? json('{"models":[{"name":"m","size":7}]}')(wire, received)
      : generate(wire, received)
}

const bearer = (key: string) => [`Authorization: Bearer ${key}`]
const ask = (line: string, headers: string[] = [], body?: string): Promise<Exchange> =>
  exchange(gateway, request(`${line} HTTP/1.1`, [`Host: ${gateway.host}`, ...headers], body))
const chat = () => ask('POST /v1/chat/completions', bearer(secrets.alice), '{"model":"m"}')
const served = async () => (await observer.served())?.text ?? ''
const today = async () => (await readUsage(gateway.machine)).get(dayOf(new Date()))
const requestsOf = async (who: string) =>
  Object.values((await today())?.who[who] ?? {}).reduce((sum, { requests }) => sum + requests, 0)
/** HAProxy writes a line a moment after the answer. */
const allCounted = () =>
  eventually('all that HAProxy wrote is counted', async () => {
    const written = (await gateway.machine.stat(places(gateway.home).access))?.size
    await new Promise((resolve) => setTimeout(resolve, 100))
    const still = (await gateway.machine.stat(places(gateway.home).access))?.size
    return written === still && (await countedUpTo(gateway.machine))?.offset === still
  })
const settle = (log = 'requests') =>
  gateway.machine.write(
    places(gateway.home).settings,
    `engine: { port: ${engine.port} }\naccess: keys\nlog: ${log}\nmetrics: { port: ${port} }\n`,
  )

beforeAll(async () => {
  engine = await startRecorder()
  port = await freePort('127.0.0.1')
  const settings = `access: keys\ngroups: [agents, metrics]\nmetrics: { port: ${port} }`
  gateway = await startGateway({ enginePort: engine.port, settings, registry })
  await settle()
  observer = await startObserver(gateway, port)
})
afterAll(async () => {
  await observer?.stop()
  await gateway?.stop()
  await engine?.stop()
})

describe('the log', () => {
  test('has a line for each request with the id that the client got, and says how it ended', async () => {
    answers(json())
    const done = await chat()
    const denied = await ask('POST /api/pull?secret', bearer(secrets.alice), '{"model":"secret"}')
    const unknown = await ask('GET /v1/models')
    answers(events({ count: 400, gap: 20 }))
    const leaving = await dial(gateway)
    const head = [`Host: ${gateway.host}`, ...bearer(secrets.alice)]
    leaving.send(request('POST /v1/messages HTTP/1.1', head, '{"model":"m","stream":true}'))
    await leaving.sees('data: ')
    leaving.hangUp()
    answers(events({ count: 5, gap: 1, breakAfter: 2, by: 'rst' }))
    const broken = await ask('POST /v1/responses', bearer(secrets.alice), '{"model":"m"}')
    await eventually('all are written', () => observer.log().length === 5)
    const line = ({ headers }: Exchange) => observer.log().find(({ id }) => id === headers['x-request-id'])
    expect(line(done)).toMatchObject({ who: 'alice', group: 'openai', status: 200, end: 'done', denied: '' })
    expect(line(denied)).toMatchObject({ who: 'alice', path: '/api/pull', status: 403, end: 'denied', denied: 'rows' })
    expect(JSON.parse(denied.body).request_id).toBe(denied.headers['x-request-id'])
    expect(line(unknown)).toMatchObject({ who: '', status: 401, end: 'denied', denied: 'keys' })
    expect(line(broken)).toMatchObject({ status: 200, end: 'engine broke' })
    expect(observer.log().find(({ path }) => path === '/v1/messages')?.end).toBe('client left in the stream')
    expect(denied.headers).not.toHaveProperty('x-denied-by')
    expect(JSON.stringify(observer.log())).not.toMatch(/secret|rop_/)
  })

  test('follows a change of its setting without a reload or a restart', async () => {
    answers(json())
    await settle('off')
    const before = observer.log().length
    await eventually('nothing is written any more', async () => {
      const lines = observer.log().length
      const counted = await requestsOf('alice')
      await chat()
      await eventually('it is counted', async () => (await requestsOf('alice')) > counted)
      return observer.log().length === lines
    })
    await settle()
    await eventually('it is written again', async () => {
      await chat()
      return observer.log().length > before + 1
    })
  })
})

describe('the metrics', () => {
  test('count requests by who and how they ended, time them, and have HAProxy’s own beside them', async () => {
    await eventually('counted', async () => /gateway_ends_total\{end="engine broke"\} 1/.test(await served()))
    const text = await served()
    expect(text).toMatch(/^gateway_requests_total\{who="alice",model="[^"]*",group="openai",status="2xx"\} [1-9]/m)
    expect(text).toMatch(/^gateway_refusals_total\{policy="rows"\} 1$/m)
    expect(text).toMatch(/^gateway_first_byte_seconds_bucket\{le="0.05",group="openai"\} [1-9]/m)
    expect(text).toMatch(/^gateway_key_expires_timestamp_seconds\{who="alice"\} 4070908800$/m)
    expect(text).toMatch(/^gateway_loaded_model_bytes\{model="m"\} 7$/m)
    expect(text).toMatch(/^gateway_up 1$/m)
    expect(text).toMatch(/^gateway_engine_up 1$/m)
    expect(text).toMatch(/^haproxy_frontend_http_requests_total\{proxy="tailnet"\} [1-9]/m)
    expect(text).not.toMatch(/rop_/)
  })

  test('tell who runs what now', async () => {
    answers(events({ count: 400, gap: 20 }))
    const client = await dial(gateway)
    const head = [`Host: ${gateway.host}`, ...bearer(secrets.alice)]
    client.send(request('POST /v1/messages HTTP/1.1', head, '{"model":"m","stream":true}'))
    await client.sees('data: ')
    expect(await served()).toMatch(/^gateway_person_running_requests\{who="alice"\} 1$/m)
    expect(await served()).toMatch(/^gateway_running_requests 1$/m)
    client.hangUp()
    await eventually('it has ended', async () => !/^gateway_person_running/m.test(await served()))
  })

  test('are given through the gateway to a key with their group, and to nobody else', async () => {
    const answer = await ask('GET /metrics', bearer(secrets.prom))
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
    expect(answer.body).toContain('gateway_requests_total')
    expect((await ask('GET /metrics', bearer(secrets.alice))).status).toBe(403)
    expect((await ask('GET /metrics')).status).toBe(401)
    expect((await ask('GET /metrics/', bearer(secrets.prom))).status).toBe(403)
    expect((await ask('POST /v1/chat/completions', bearer(secrets.prom), '{}')).status).toBe(403)
  })

  test('are closed unless the settings open them', () => {
    const { text, files } = gateway.rendered('access: keys')
    expect(text).not.toContain('backend metrics')
    expect(Object.entries(files).find(([name]) => name.endsWith('closed.map'))?.[1]).toContain('GET:/metrics metrics\n')
  })

  test('are not read by a web page under another name, and there is nothing else to read', async () => {
    expect((await observer.served('/metrics', 'rebinding.example'))?.status).toBe(404)
    expect((await observer.served('/'))?.status).toBe(404)
  })
})

describe('an observer that fails', () => {
  test('costs no request, and has missed none when it comes back', async () => {
    answers(json())
    await chat()
    await allCounted()
    const before = await requestsOf('alice')
    await observer.stop('SIGKILL')
    for (let at = 0; at < 20; at += 1) expect((await chat()).status).toBe(200)
    const answer = await ask('GET /metrics', bearer(secrets.prom))
    expect([answer.status, answer.body]).toEqual([
      503,
      expect.stringContaining('the observer of this server does not run'),
    ])
    observer = await startObserver(gateway, port)
    await eventually('all are counted', async () => (await requestsOf('alice')) >= before + 20)
    expect(await requestsOf('alice')).toBe(before + 20)
    const ids = observer.log().map(({ id }) => id)
    expect(new Set(ids).size).toBeGreaterThanOrEqual(20)
  })

  test('is killed before it has kept what it counted, and counts it and writes it into the log once', async () => {
    await allCounted()
    const before = await requestsOf('alice')
    const book = `${places(gateway.home).usage}/open.json`
    const kept = readFileSync(book)
    const logged = observer.log().length
    for (let at = 0; at < 20; at += 1) expect((await chat()).status).toBe(200)
    await eventually('all are in the log', () => observer.log().length === logged + 20)
    await observer.stop('SIGKILL')
    writeFileSync(book, kept)
    observer = await startObserver(gateway, port)
    await eventually('all are counted', async () => (await requestsOf('alice')) >= before + 20)
    expect(await requestsOf('alice')).toBe(before + 20)
    expect(observer.log().length).toBe(logged + 20)
  })

  test('is starved, and no request waits for it', async () => {
    await allCounted()
    const before = await requestsOf('alice')
    observer.process.kill('SIGSTOP')
    for (let at = 0; at < 20; at += 1) expect((await chat()).status).toBe(200)
    expect(await requestsOf('alice')).toBe(before)
    observer.process.kill('SIGCONT')
    await eventually('all are counted', async () => (await requestsOf('alice')) === before + 20)
  })

  test('says that its port is taken, and goes on with everything else', async () => {
    await observer.stop()
    const other = createServer().listen(port, '127.0.0.1')
    observer = await startObserver(gateway, port)
    await eventually('it says so', () => observer.said().includes(`another program holds 127.0.0.1:${port}`))
    const before = await requestsOf('alice')
    await chat()
    await eventually('it counts', async () => (await requestsOf('alice')) > before)
    const sign = async () => JSON.parse((await gateway.machine.read(places(gateway.home).observer)) ?? '{}')
    await eventually('its sign tells it', async () => /metrics: another program/.test((await sign()).faults?.join()))
    other.close()
    await eventually('it serves again', async () => (await observer.served())?.status === 200)
    expect(observer.said().match(/another program holds/g)).toHaveLength(1)
  })

  test('lines of a reload’s old worker are counted, too', async () => {
    answers(events({ count: 60, gap: 20 }))
    await allCounted()
    const before = await requestsOf('alice')
    const client = await dial(gateway)
    const head = [`Host: ${gateway.host}`, ...bearer(secrets.alice)]
    client.send(request('POST /v1/messages HTTP/1.1', head, '{"model":"m","stream":true}'))
    await client.sees('data: ')
    await gateway.machine.tell(places(gateway.home).masterSocket, 'reload')
    await client.settled()
    await eventually('it is counted', async () => (await requestsOf('alice')) === before + 1)
  })
})

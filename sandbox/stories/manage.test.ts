import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { engineLoad } from '../../lib/haproxy/runtime.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { adminRows, target } from '../../lib/site/endpoints.ts'
import type { Entry } from '../../lib/site/limits.ts'
import { type RunningGateway, startGateway } from '../lab/gateway.ts'
import { type Exchange, exchange, request } from '../lab/raw.ts'
import { json, type Recorder, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway
const secrets = { root: generateKey(), old: generateKey(), bob: generateKey() }
const entry = (key: string, more: Partial<Entry> = {}): Entry => ({
  created: '2026-01-01T00:00:00.000Z',
  hashes: [{ sha256: hashKey(key) }],
  ...more,
})
const keys = {
  root: entry(secrets.root, { admin: true, groups: ['openai'], concurrent: 1 }),
  old: entry(secrets.old, { admin: true, expires: '2026-01-02T00:00:00.000Z' }),
  bob: entry(secrets.bob),
}
const digest = `sha256:${'0a'.repeat(32)}`
const lines = adminRows().map((row) => `${row.method} ${target(row)}`.replace(/sha256:.*/, digest))

beforeAll(async () => {
  engine = await startRecorder()
  const options = { enginePort: engine.port, registry: { version: 1 as const, keys } }
  gateway = await startGateway({ ...options, settings: 'access: keys\nbody_limit: 1MB\ninference: { slots: 1 }' })
})
afterAll(async () => {
  await gateway?.stop()
  await engine?.stop()
})
beforeEach(() => {
  engine.answer = json()
  engine.received.length = 0
})

function ask(line: string, key?: string, body = '{"model":"m"}'): Promise<Exchange> {
  const own = key === undefined ? [] : [`Authorization: Bearer ${key}`]
  const text = /^(GET|HEAD)/.test(line) ? undefined : body
  return exchange(gateway, request(`${line} HTTP/1.1`, [`Host: ${gateway.host}`, ...own], text))
}

describe('a key made with --admin', () => {
  test.each(lines)('may ask %s; the engine gets it whole, and no key', async (line) => {
    expect((await ask(line, secrets.root)).status).toBe(200)
    expect(engine.received.map(({ method, target }) => `${method} ${target}`)).toEqual([line])
    expect(engine.received[0]?.body.toString()).toBe(line.startsWith('HEAD') ? '' : '{"model":"m"}')
    expect(JSON.stringify(engine.received[0]?.head)).not.toMatch(/rop_|authorization/i)
  })

  test('hears of a download as it goes, takes no slot by it, and nobody waits behind it', async () => {
    let end = () => {}
    engine.answer = (wire, received) => {
      if (!received.target.startsWith('/api/pull')) return json()(wire, received)
      wire.send('HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n')
      wire.chunk('{"status":"pulling manifest"}\n')
      end = () => {
        wire.chunk('{"status":"success"}\n')
        wire.end()
      }
    }
    const pull = ask('POST /api/pull', secrets.root)
    await expect.poll(() => engine.received.length).toBe(1)
    expect(await engineLoad(gateway.machine)).toEqual({ running: 0, waiting: 0 })
    expect((await ask('POST /v1/chat/completions', secrets.root)).status).toBe(200)
    end()
    expect((await pull).body).toContain('success')
  })

  test('has its own groups beside that, and no route more', async () => {
    expect((await ask('POST /v1/messages', secrets.root)).body).toContain('root may not use the group anthropic')
    for (const line of [
      'POST /api/me',
      'GET /api/pull',
      'POST /api/delete',
      'POST /api/pull/',
      'POST /api/blobs/x',
      'GET /api/blobs/..%2Ftags',
      `POST /api/blobs/${digest}/x`,
      `DELETE /api/blobs/${digest}`,
      `POST /api/blobs/${digest}a`,
    ])
      expect((await ask(line, secrets.root)).status, line).toBe(403)
    expect(engine.received).toEqual([])
  })

  test('uploads no more than body_limit', async () => {
    const answer = await ask(`POST /api/blobs/${digest}`, secrets.root, 'x'.repeat(1_100_000))
    expect([answer.status, engine.received]).toEqual([413, []])
  })

  test('that has expired opens nothing', async () => {
    for (const line of lines) expect((await ask(line, secrets.old)).status, line).toBe(401)
    expect(engine.received).toEqual([])
  })
})

test('every other key is refused, in the words that it always was', async () => {
  for (const line of lines) {
    const answer = await ask(line, secrets.bob)
    expect(answer.status, line).toBe(403)
    if (!line.startsWith('HEAD')) expect(answer.body).toContain('(group: manage, only for a key made with --admin)')
  }
  expect((await ask('POST /api/pull')).status).toBe(403)
  expect((await ask('POST /api/pull', 'rop_wrong')).status).toBe(401)
  expect(engine.received).toEqual([])
})

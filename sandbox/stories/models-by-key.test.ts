import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import type { Entry } from '../../lib/site/limits.ts'
import { type RunningGateway, startGateway } from '../lab/gateway.ts'
import { type Exchange, exchange, request } from '../lab/raw.ts'
import { json, type Recorder, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway
const [limited, free] = [generateKey(), generateKey()]
const entry = (key: string, more: Partial<Entry> = {}): Entry => ({
  created: '2026-01-01T00:00:00.000Z',
  hashes: [{ sha256: hashKey(key) }],
  ...more,
})
const installed = ['qwen3:0.6b', 'qwen3:latest', 'deepseek-r1:70b', 'hf.co/unsloth/Q:Q4_K_M', 'qwen3-coder:480b-cloud']
const lists: Record<string, string> = {
  '/api/tags': JSON.stringify({
    models: installed.map((name) => ({ name, size: 1, details: { families: ['a;b', 'x "y" \\'] } })),
  }),
  '/v1/models': JSON.stringify({
    object: 'list',
    data: installed.map((id) => ({ id, object: 'model', owned_by: 'library' })),
  }),
}

beforeAll(async () => {
  engine = await startRecorder()
  engine.answer = (wire, received) => json(lists[received.target])(wire, received)
  const registry = { version: 1 as const, keys: { bob: entry(limited, { models: ['qwen3*'] }), alice: entry(free) } }
  gateway = await startGateway({
    enginePort: engine.port,
    settings: 'access: keys\ngroups: [agents, native]\nobserver: off',
    registry,
  })
})
afterAll(async () => {
  await gateway?.stop()
  await engine?.stop()
})
beforeEach(() => {
  engine.received.length = 0
})

function ask(line: string, body?: string, key = limited, headers: string[] = []): Promise<Exchange> {
  const own = [`Host: ${gateway.host}`, `Authorization: Bearer ${key}`, ...headers]
  return exchange(gateway, request(`${line} HTTP/1.1`, own, body))
}
const chat = (body: string, line = 'POST /v1/chat/completions') => ask(line, body)
const tool = {
  name: 'pick',
  parameters: { properties: { model: { enum: ['model', 'Model'] }, Model: { type: 'string' } } },
}

describe('a key with a list of models', () => {
  test.each([
    ['plainly', '{"model":"qwen3:0.6b"}'],
    ['behind other words', '{"max_tokens":5,"model":"qwen3:0.6b","stream":true}'],
    ['in capitals', '{"model":"QWEN3:0.6B"}'],
    ['without its tag', '{"model":"qwen3"}'],
    ['with its library', '{"model":"library/qwen3:latest"}'],
    ['with its registry', '{"model": "registry.ollama.ai/library/qwen3"}'],
    [
      'pretty-printed',
      JSON.stringify({ model: 'qwen3:0.6b', messages: [{ role: 'user', content: 'x "model": "y"' }] }, null, 2),
    ],
    ['with tools whose schemas speak of models', JSON.stringify({ tools: [tool], model: 'qwen3', messages: [] })],
    ['in 200 KB', JSON.stringify({ model: 'qwen3', messages: [{ content: 'x'.repeat(200_000) }] })],
  ])('may name an allowed one %s', async (_how, body) => {
    for (const line of ['POST /v1/chat/completions', 'POST /v1/messages', 'POST /api/generate', 'POST /api/show'])
      expect((await chat(body, line)).status, line).toBe(200)
    expect(engine.received.at(-1)?.body.toString()).toBe(body)
  })

  test.each([
    ['another', '{"model":"deepseek-r1:70b"}'],
    ['one of the cloud', '{"model":"qwen3-coder:480b-cloud"}'],
    ['two, the allowed first', '{"model":"qwen3","model":"deepseek-r1:70b"}'],
    ['two, the allowed last', '{"model":"deepseek-r1:70b","model":"qwen3"}'],
    ['a second in capitals', '{"model":"qwen3","MODEL":"deepseek-r1:70b"}'],
    ['a second in escapes', '{"model":"qwen3","\\u006dod\\u0065l":"deepseek-r1:70b"}'],
    ['a second behind an escaped quote', '{"model":"qwen3","\\"":"\\\\","mOdel":"deepseek-r1:70b"}'],
    ['it in a second document', '{"model":"qwen3"}{"model":"deepseek-r1:70b"}'],
    ['it with a text behind', '{"model":"qwen3"} x'],
    ['it in escapes', '{"model":"\\u0071wen3"}'],
    ['none', '{"messages":[]}'],
    ['one only inside', '{"x":{"model":"qwen3"}}'],
    ['a number', '{"model":3}'],
    ['a list', '[{"model":"qwen3"}]'],
    ['it behind a byte-order mark', '\ufeff{"model":"qwen3"}'],
    ['nothing at all', ''],
  ])('may not name %s', async (_what, body) => {
    const answer = await chat(body)
    expect([answer.status, JSON.parse(answer.body).error.type]).toEqual([403, 'permission_error'])
    expect(engine.received).toEqual([])
  })

  test('is refused what cannot be judged whole: no length, or over 1 MB', async () => {
    const chunked = request('POST /v1/chat/completions HTTP/1.1', [
      `Host: ${gateway.host}`,
      `Authorization: Bearer ${limited}`,
      'Transfer-Encoding: chunked',
    ])
    const body = '12\r\n{"model":"qwen3:"}\r\n0\r\n\r\n'
    expect((await exchange(gateway, Buffer.concat([chunked, Buffer.from(body)]))).status).toBe(411)
    expect((await chat(JSON.stringify({ model: 'qwen3', x: 'x'.repeat(1_100_000) }))).status).toBe(413)
    expect(engine.received).toEqual([])
  })

  test('is told the reason, and the model', async () => {
    const said = async (body: string) => JSON.parse((await chat(body)).body).error.message
    expect(await said('{"model":"deepseek-r1:70b"}')).toBe('Gateway: bob may not use the model deepseek-r1:70b.')
    const deep = `${'{"a":'.repeat(30)}1${'}'.repeat(30)}`
    expect(await said(`{"x":${deep},"model":"qwen3"}`)).toContain('nests too deep before its model')
    expect(await said('[]')).toContain('must be one JSON object that names its model once')
  })

  test('sees its own models alone in both lists and one by one; others see all', async () => {
    const v1 = JSON.parse((await ask('GET /v1/models')).body) as { data: { id: string }[] }
    const api = JSON.parse((await ask('GET /api/tags')).body) as { models: { name: string; details: unknown }[] }
    expect(v1.data.map(({ id }) => id)).toEqual(['qwen3:0.6b', 'qwen3:latest'])
    expect(api.models.map(({ name }) => name)).toEqual(['qwen3:0.6b', 'qwen3:latest'])
    expect(api.models[0]?.details).toEqual({ families: ['a;b', 'x "y" \\'] })
    expect((await ask('HEAD /api/tags')).status).toBe(200)
    expect(engine.received).toEqual([])
    expect((await ask('GET /v1/models/qwen3:0.6b')).status).toBe(200)
    expect((await ask('GET /v1/models/library%2Fqwen3')).status).toBe(200)
    expect((await ask('GET /v1/models/deepseek-r1:70b')).status).toBe(403)
    expect(JSON.parse((await ask('GET /v1/models', undefined, free)).body).data).toHaveLength(installed.length)
    expect((await ask('POST /v1/chat/completions', '{"model":"deepseek-r1:70b"}', free)).status).toBe(200)
  })
})

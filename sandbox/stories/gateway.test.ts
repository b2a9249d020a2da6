import { spawn } from 'node:child_process'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { passedHeaders } from '../../lib/gateway/policies/rewrite.ts'
import { openRows } from '../../lib/site/endpoints.ts'
import { openGroups } from '../../lib/site/settings.ts'
import { eventually, type RunningGateway, startGateway, watchOver } from '../lab/gateway.ts'
import { illegal } from '../lab/judge.ts'
import { dial, type Exchange, exchange, request } from '../lab/raw.ts'
import { bytes, json, type Recorder, startRecorder } from '../lab/recorder.ts'
import { refusal } from '../lab/refusal.ts'

let engine: Recorder
let gateway: RunningGateway

const origin = 'https://chat.example.net'
const settings = `groups: [agents, native]\norigins: ['${origin}']\nhosts: [ai.example.net]\nlog: requests`
/** Two timeouts are shortened; that the real ones are in the template is a test of its own. */
const hurry = (text: string) =>
  text
    .replace('timeout http-request 30s', 'timeout http-request 2s')
    .replaceAll('wait-for-body time 60s', 'wait-for-body time 2s')
    .replace('timeout server 35m', 'timeout server 1500ms')

beforeAll(async () => {
  engine = await startRecorder()
  gateway = await startGateway({ enginePort: engine.port, settings, alter: hurry })
})
afterAll(async () => {
  await gateway?.stop()
  await engine?.stop()
})
beforeEach(() => {
  engine.answer = json()
  engine.received.length = 0
})

const chatBody = '{"model":"m"}'

/** Sends one request of ours with a Host that is right, unless another is given. */
function ask(line: string, headers: string[] = [], body?: string): Promise<Exchange> {
  const host = headers.some((header) => /^host:/i.test(header)) ? [] : [`Host: ${gateway.host}`]
  const text = body ?? (line.startsWith('POST') ? chatBody : undefined)
  return exchange(gateway, request(`${line} HTTP/1.1`, [...host, 'User-Agent: story', ...headers], text))
}

describe('which row', () => {
  test('every open row passes with its query, as it is', async () => {
    for (const { method, path } of openRows(openGroups(gateway.gateway.settings))) {
      const target = `${path.replace('{model}', 'hf.co%2Funsloth/Q:Q4_K_M')}?beta=true&x=/../`
      expect((await ask(`${method} ${target}`)).status).toBe(200)
      expect(engine.received.at(-1)).toMatchObject({ method, target })
    }
  })

  test('a browser that asks for no page is told in words where the page is, and a program gets its JSON', async () => {
    const told = await ask('GET /conect', ['Accept: text/html,application/xhtml+xml;q=0.9'])
    expect([told.status, told.body]).toEqual([403, 'Gateway: there is no such page; the one for people is /connect.'])
    expect(refusal(await ask('GET /conect', ['Accept: */*']), 'v1')).toContain('is not an endpoint of this server')
    expect(engine.received).toEqual([])
  })

  test('a closed group is named in the refusal, and so is that some are never opened', async () => {
    expect(refusal(await ask('POST /v1/embeddings'), 'v1')).toBe(
      'Gateway: POST /v1/embeddings is not enabled on this server (group: embeddings).',
    )
    expect(refusal(await ask('DELETE /api/delete'), 'api')).toContain(
      '(group: manage, only for a key made with --admin, where keys are asked for)',
    )
    expect(refusal(await ask(`HEAD /api/blobs/sha256:00`.replace('HEAD', 'POST')), 'api')).toContain(
      '(group: manage, only for a key made with --admin, where keys are asked for)',
    )
    expect(refusal(await ask('DELETE /api/user/keys/a'), 'api')).toContain('(group: account, never opened)')
    expect(refusal(await ask('POST /v1/messages/count_tokens?beta=true'), 'v1')).toContain('(group: count-tokens)')
    expect(refusal(await ask('GET /nothing"here'), 'v1')).toContain('GET /nothing"here is not an endpoint')
    expect(engine.received).toEqual([])
  })
})

describe('what the engine is shown', () => {
  const token = fc.string({
    unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz-0123456789'),
    minLength: 1,
    maxLength: 20,
  })
  const value = fc
    .string({ unit: fc.constantFrom(...'abcXYZ0189 ;,=/"\'{}[]%é\t'), maxLength: 60 })
    .map((text) => text.trim())
  const known = fc.constantFrom(
    'Accept',
    'Content-Type',
    'Authorization',
    'x-api-key',
    'Cookie',
    'X-Forwarded-For',
    'Forwarded',
    'Via',
  )
  const reserved = [
    'host',
    'user-agent',
    'content-length',
    'transfer-encoding',
    'connection',
    'upgrade',
    'expect',
    'te',
    'trailer',
  ]
  const named = token.filter(
    (name) => ![...reserved, 'origin', 'content-encoding', 'keep-alive', 'http2-settings'].includes(name),
  )
  const given = fc.array(fc.tuple(fc.oneof(known, named), value), { maxLength: 8 })
  const content = fc.uint8Array({ maxLength: 20_000 }).map((array) => Buffer.from(array))
  const query = fc.string({ unit: fc.constantFrom(...'abc=&/.?%20:;'), maxLength: 40 })

  test('Host is its own address, other headers come from a list, method, target and body are the client’s', async () => {
    const rows = openRows(openGroups(gateway.gateway.settings))
    const run = async (index: number, headers: [string, string][], body: Buffer, search: string, chunked: boolean) => {
      const { method, path } = rows[index % rows.length] ?? { method: 'GET', path: '/api/tags' }
      const target = `${path.replace('{model}', 'a/b:c')}?${search}`
      const lines = [
        `Host: ${gateway.host}`,
        'User-Agent: property',
        ...headers.map(([name, text]) => `${name}: ${text}`),
      ]
      const frame = chunked ? [`${body.length.toString(16)}\r\n`, body, body.length ? '\r\n0\r\n\r\n' : '\r\n'] : []
      const sent = chunked
        ? Buffer.concat([
            request(`${method} ${target} HTTP/1.1`, [...lines, 'Transfer-Encoding: chunked']),
            ...frame.map((part) => Buffer.from(part)),
          ])
        : request(`${method} ${target} HTTP/1.1`, lines, body)
      engine.received.length = 0
      const answer = await exchange(gateway, sent)
      expect([answer.status, answer.body]).toEqual([200, expect.anything()])
      const [got, ...more] = engine.received
      if (!got || more.length > 0) throw new Error(`${engine.received.length} requests reached the engine`)
      expect([got.method, got.target, illegal(gateway, got)]).toEqual([method, target, undefined])
      expect(got.body.equals(body)).toBe(true)
      const allowed = headers.map(([name, text]): [string, string] => [
        name.toLowerCase(),
        Buffer.from(text, 'latin1').toString('latin1'),
      ])
      const wanted = allowed.filter(([name]) => passedHeaders.includes(name))
      const own = ['host', 'user-agent', 'content-length', 'transfer-encoding']
      expect(got.head.headers.filter(([name]) => !own.includes(name))).toEqual(wanted)
    }
    await fc.assert(fc.asyncProperty(fc.nat(50), given, content, query, fc.boolean(), run), {
      numRuns: 200,
      seed: 20_261_121,
    })
  })

  test('a key never gets through, in whichever header', async () => {
    await ask('POST /v1/messages', [
      'Authorization: Bearer sk-secret',
      'x-api-key: sk-secret',
      'Cookie: k=sk-secret',
      'x-goog-api-key: sk-secret',
    ])
    expect(engine.received).toHaveLength(1)
    expect(engine.received[0]?.head.text).not.toContain('sk-secret')
  })
})

describe('sizes and forms', () => {
  test.each(['v1', 'api'] as const)(
    '415, 426 and 413 are JSON in the shape of %s, and none of them reads the body',
    async (family) => {
      const line = family === 'v1' ? '/v1/responses' : '/api/show'
      const packed = await ask(`POST ${line}`, ['Content-Encoding: zstd'])
      expect([packed.status, refusal(packed, family)]).toEqual([415, expect.stringContaining('plain JSON')])
      const key = ['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']
      const upgrade = await ask(`GET ${line}`, ['Connection: Upgrade', 'Upgrade: websocket', ...key])
      expect([upgrade.status, refusal(upgrade, family)]).toEqual([426, expect.stringContaining('WebSocket')])
      expect(upgrade.headers.upgrade).toMatch(/HTTP\/1\.1/i)
      const large = await exchange(
        gateway,
        request(`POST ${line} HTTP/1.1`, [`Host: ${gateway.host}`, 'Content-Length: 33554433']),
      )
      expect([large.status, refusal(large, family)]).toEqual([413, expect.stringContaining('32768 KB')])
      expect(large.ms).toBeLessThan(1_000)
      expect(engine.received).toEqual([])
    },
  )

  test('31 MB with a length pass; 33 MB of chunks are cut off at 100 KB, for a GET as well', async () => {
    const large = await exchange(
      gateway,
      request('POST /v1/messages HTTP/1.1', [`Host: ${gateway.host}`], Buffer.alloc(31 * 2 ** 20, 'x')),
    )
    expect(large.status).toBe(200)
    expect(engine.received[0]?.body.length).toBe(31 * 2 ** 20)
    for (const line of ['POST /v1/messages', 'GET /api/tags']) {
      const head = request(`${line} HTTP/1.1`, [`Host: ${gateway.host}`, 'Transfer-Encoding: chunked'])
      const chunk = Buffer.from(`${(2 ** 20).toString(16)}\r\n${'x'.repeat(2 ** 20)}\r\n`)
      const answer = await exchange(gateway, Buffer.concat([head, ...Array.from({ length: 33 }, () => chunk)]))
      // With so much of the body unread the answer may be lost in a reset.
      expect([413, 0]).toContain(answer.status)
    }
    expect(engine.received).toHaveLength(1)
  })
})

describe('a body without a length', () => {
  const chunks = (size: number) => `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\n\r\n`
  const send = (at: RunningGateway, size: number) =>
    exchange(
      at,
      request('POST /v1/messages HTTP/1.1', [`Host: ${at.host}`, 'Transfer-Encoding: chunked']) + chunks(size),
    )

  test('may have as much as chunked_body says, which its refusal names', async () => {
    const refused = await send(gateway, 150_000)
    expect([refused.status, refusal(refused, 'v1')]).toEqual([
      413,
      expect.stringContaining('100 KB at most (chunked_body in settings.yaml); send Content-Length.'),
    ])
    const larger = await startGateway({ enginePort: engine.port, settings: 'chunked_body: 1MB' })
    try {
      expect((await send(larger, 1_000_000)).status).toBe(200)
      expect(engine.received.at(-1)?.body).toHaveLength(1_000_000)
      expect(refusal(await send(larger, 1_200_000), 'v1')).toContain('1024 KB at most')
    } finally {
      await larger.stop()
    }
  })
})

test('a model’s name is the same in any escape', async () => {
  for (const name of ['qwen3:0.6b', 'qwen3%3A0.6b', 'qwen3%3a0%2E6b', '%71wen3:0.6b', 'a%2Fb%3A1'])
    expect([name, (await ask(`GET /v1/models/${name}`)).status]).toEqual([name, 200])
  for (const name of ['%2e%2e', 'a%2e%2eb', 'a%2F%2e%2e%2Fb', 'a%00', 'a%253Ab', 'a%3Fb', 'a%4', 'm'.repeat(201)])
    expect([name, (await ask(`GET /v1/models/${name}`)).status]).toEqual([name, 403])
  expect((await ask('GET /v1/%6Dodels/a')).status).toBe(403)
})

describe('what the gateway says itself', () => {
  test('probes are answered without the engine', async () => {
    expect(await ask('GET /')).toMatchObject({ status: 200, body: 'Ollama is running' })
    expect(await ask('HEAD /')).toMatchObject({ status: 200, body: '', headers: { 'content-length': '17' } })
    expect(await ask('HEAD /api/hello')).toMatchObject({ status: 200, body: '' })
    expect(await ask('GET /healthz')).toMatchObject({ status: 200, body: 'ok' })
    expect(await ask('HEAD /healthz')).toMatchObject({ status: 200, body: '' })
    expect(engine.received).toEqual([])
  })

  test.each(['v1', 'api'] as const)(
    'an engine that answers nonsense is 502 in the shape of %s, a silent one 504',
    async (family) => {
      const line = family === 'v1' ? 'POST /v1/messages' : 'POST /api/chat'
      engine.answer = bytes('nonsense\r\n\r\n')
      const nonsense = await ask(line)
      expect([nonsense.status, refusal(nonsense, family)]).toEqual([502, expect.stringContaining('no valid answer')])
      engine.answer = (wire) => wire.die()
      const mute = await ask(line)
      expect([mute.status, refusal(mute, family)]).toEqual([502, expect.stringContaining('no valid answer')])
      engine.answer = () => {}
      const late = await ask(line)
      expect([late.status, refusal(late, family)]).toEqual([504, expect.stringContaining('silent')])
    },
  )

  test('what cannot be parsed is refused in JSON from HAProxy 3.2 on, in HTML before', async () => {
    const answer = await exchange(gateway, 'GET /api/\x01version HTTP/1.1\r\n\r\n')
    expect(answer.status).toBe(400)
    const modern = gateway.version[0] * 100 + gateway.version[1] >= 302
    if (modern) expect(refusal(answer, 'v1')).toContain('could not be understood')
    else expect(answer.headers['content-type']).toBe('text/html')
  })
})

describe('slow and many', () => {
  test('a header that dribbles in gets 408, and so does a small body', async () => {
    const slow = await dial(gateway)
    const started = performance.now()
    slow.send('GET /v1/models HTTP/1.1\r\n')
    const drip = setInterval(() => slow.send('X-A: a\r\n'), 250)
    const body = await dial(gateway)
    body.send(request('POST /v1/messages HTTP/1.1', [`Host: ${gateway.host}`, 'Content-Length: 50']))
    const dribble = setInterval(() => body.send('x'), 250)
    const [[header], [rest]] = await Promise.all([slow.settled(), body.settled()])
    clearInterval(drip)
    clearInterval(dribble)
    for (const client of [slow, body]) client.hangUp()
    expect([header?.status, rest?.status]).toEqual([408, 408])
    expect(performance.now() - started).toBeGreaterThan(1_500)
    expect(JSON.parse(rest?.body ?? '').error.message).toContain('did not arrive in time')
    expect(engine.received).toEqual([])
  })

  test('the 65th connection from one address is closed, another address still gets one', async () => {
    const from = '127.9.9.1'
    const clients = await Promise.all(Array.from({ length: 64 }, () => dial({ ...gateway, from })))
    for (const client of clients) client.send(request('GET / HTTP/1.1', [`Host: ${gateway.host}`]))
    for (const client of clients) expect((await client.settled())[0]?.status).toBe(200)
    const extra = await dial({ ...gateway, from })
    extra.send(request('GET / HTTP/1.1', [`Host: ${gateway.host}`]))
    expect(await extra.ended()).not.toBe('open')
    expect(extra.bytes()).toHaveLength(0)
    const other = await exchange(
      { ...gateway, from: '127.9.9.2' },
      request('GET / HTTP/1.1', [`Host: ${gateway.host}`]),
    )
    expect(other.status).toBe(200)
    for (const client of clients) client.hangUp()
    await eventually('a place is free again', async () => {
      const again = await exchange({ ...gateway, from }, request('GET / HTTP/1.1', [`Host: ${gateway.host}`]))
      return again.status === 200
    })
  })
})

test('a gateway’s watch may be dismissed twice: by a test, and by what cleans up after it', async () => {
  const child = spawn('sleep', ['60'])
  const faults: unknown[] = []
  const note = (error: unknown) => faults.push(error)
  process.prependOnceListener('uncaughtException', note)
  const dismiss = watchOver(child.pid ?? 0)
  for (const _ of [1, 2]) dismiss()
  await new Promise((resolve) => setImmediate(resolve))
  process.off('uncaughtException', note)
  child.kill()
  expect(faults).toEqual([])
})

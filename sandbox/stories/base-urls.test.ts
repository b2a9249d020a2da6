import { Ollama } from 'ollama'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningGateway, startGateway } from '../lab/gateway.ts'
import { exchange, request } from '../lab/raw.ts'
import { type Recorder, startRecorder } from '../lab/recorder.ts'
import { refusal } from '../lab/refusal.ts'

let engine: Recorder
let gateway: RunningGateway

beforeAll(async () => {
  engine = await startRecorder()
  gateway = await startGateway({ enginePort: engine.port })
})
afterAll(async () => {
  await gateway?.stop()
  await engine?.stop()
})

const ask = (line: string, headers: string[] = []) =>
  exchange(
    gateway,
    request(line, [`Host: ${gateway.host}`, ...headers], line.startsWith('POST') ? '{"model":"m"}' : undefined),
  )

describe('a wrong base URL is told what would be right, in the shape that its client prints', () => {
  test.each([
    ['POST /v1/api/chat', 'api', 'has /v1 before /api; give this client the base URL http://HOST:PORT'],
    ['GET /v1/api/tags', 'api', 'has /v1 before /api'],
    ['POST /api/api/chat', 'api', 'has /api twice'],
    ['GET //api/tags', 'api', 'two slashes in a row'],
    ['POST //v1/chat/completions', 'v1', 'two slashes in a row; give this client a base URL without a slash'],
    ['POST /v1//chat/completions', 'v1', 'two slashes in a row'],
    ['GET /v1/models/', 'v1', 'ends in a slash'],
    ['GET /api/tags/', 'api', 'ends in a slash'],
    ['POST /v1/chat/completions/', 'v1', 'ends in a slash'],
    ['POST /chat', 'api', 'lacks /api; give this client a base URL that ends in /api'],
    ['GET /tags', 'api', 'lacks /api'],
    ['POST /embed', 'api', 'lacks /api'],
    ['POST /embeddings', 'v1', 'lacks /v1; give this client a base URL that ends in /v1'],
    ['POST /chat/completions', 'v1', 'lacks /v1'],
    ['POST /messages', 'v1', 'lacks /v1'],
    ['GET /models/m', 'v1', 'lacks /v1'],
    ['POST /ollama/api/chat', 'api', 'has something before /api; give this client the base URL http://HOST:PORT'],
    ['POST /openai/v1/chat/completions', 'v1', 'has something before /v1'],
    ['POST /api/chat/completions', 'v1', 'mixes two APIs; the base URL is http://HOST:PORT/v1, without /api'],
    ['POST /api/v1/chat/completions', 'v1', 'mixes two APIs'],
    ['POST /api/messages', 'v1', 'mixes two APIs'],
    ['POST /v1/chat', 'api', 'mixes two APIs; give this client the base URL http://HOST:PORT, without /v1'],
    ['POST /v1/v1/messages', 'v1', 'has /v1 twice'],
    ['GET /v1', 'v1', 'is no more than a base URL'],
    ['GET /v1/', 'v1', 'is no more than a base URL'],
    ['GET /api', 'v1', 'is no more than a base URL'],
    ['GET /v1/chat/completions', 'v1', 'takes POST only.'],
    ['POST /v1/models', 'v1', 'takes GET only.'],
    ['DELETE /v1/models/m', 'v1', 'takes GET only.'],
    ['GET /v1/models/qwen3+', 'v1', 'names no model; such a name has up to 200 letters, digits and . _ - : / alone.'],
    ['GET /v1/models/a%2f..%2fb', 'v1', 'names no model'],
    ['POST /api/tags', 'api', 'takes GET and HEAD only.'],
    ['GET /api/chat', 'api', 'takes POST only (and its group native is not enabled).'],
    ['POST /api/chat', 'api', 'is not enabled on this server (group: native).'],
    ['POST /v1beta/models/m:generateContent', 'v1', 'Gemini'],
    ['GET /nothing', 'v1', 'is not an endpoint of this server.'],
    ['GET /api/nothing', 'api', 'is not an endpoint of this server.'],
    ['GET /api/pull', 'api', 'is not an endpoint of this server.'],
  ] as const)('%s', async (line, family, words) => {
    const answer = await ask(`${line} HTTP/1.1`)
    expect([answer.status, refusal(answer, family)]).toEqual([403, expect.stringContaining(words)])
    expect(engine.received).toEqual([])
  })

  test.each(['/v1', '/api', '/ollama', '/v1/'])('ollama-js with the base URL %s prints it', async (path) => {
    const client = new Ollama({ host: `http://${gateway.host}${path}` })
    await expect(client.list()).rejects.toThrow(/^Gateway: GET \S+ has /)
  })
})

describe('a request in another form than this server takes names what is wrong, in the family’s shape', () => {
  test.each([
    ['HTTP/1.0', (path: string) => [`GET ${path} HTTP/1.0`], 'only HTTP/1.1 is spoken here'],
    ['the absolute form', (path: string) => [`GET http://${gateway.host}${path} HTTP/1.1`], 'not as proxy'],
    ['a target over 4 KB', (path: string) => [`GET ${path}?${'x'.repeat(4096)} HTTP/1.1`], 'over 4 KB'],
    ['a head over 16 KB', (path: string) => [`GET ${path} HTTP/1.1`, `X: ${'x'.repeat(16_384)}`], 'over 16 KB'],
    ['a method of 25 letters', (path: string) => [`${'A'.repeat(25)} ${path} HTTP/1.1`], 'over 24 letters'],
  ])('%s', async (_what, made, words) => {
    for (const [path, family] of [
      ['/v1/models', 'v1'],
      ['/api/tags', 'api'],
    ] as const) {
      const [line = '', ...headers] = made(path)
      const answer = await ask(line, headers)
      // From 3.4 on the buffer of a head ends there, and HAProxy has not read the path when it says so.
      const unread = words === 'over 16 KB' && gateway.version[0] * 100 + gateway.version[1] >= 304
      const says = refusal(answer, unread ? 'v1' : family)
      expect([answer.status, says]).toEqual([unread ? 431 : 400, expect.stringContaining(words)])
    }
    expect(engine.received).toEqual([])
  })

  test('what HAProxy cannot read says so from 3.2 on, with the causes that there are', async () => {
    const answers = [await ask('GET * HTTP/1.1'), await ask('GET http://other.example/api/tags HTTP/1.1')]
    const modern = gateway.version[0] * 100 + gateway.version[1] >= 302
    for (const answer of modern ? answers : answers.slice(0, 1))
      expect([answer.status, refusal(answer, 'v1')]).toEqual([400, expect.stringContaining('contradicts its Host')])
  })
})

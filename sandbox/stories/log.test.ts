import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { places } from '../../lib/platform/mac/places.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { dial, exchange, request } from '../lab/raw.ts'
import { json, type Recorder, silent, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway | undefined

beforeAll(async () => {
  engine = await startRecorder()
})
afterAll(() => engine?.stop())
afterEach(async () => {
  await gateway?.stop()
  gateway = undefined
  engine.received.length = 0
})

const secrets = ['sk-secret-key', 'secret-query', 'secret-words', 'secret-cookie']
const withSecrets = ['Authorization: Bearer sk-secret-key', 'x-api-key: sk-secret-key', 'Cookie: a=secret-cookie']
const words = '{"model":"m","messages":["secret-words"]}'

interface Line {
  model: string
  method: string
  path: string
  status: number
  end: string
  group: string
  agent: string
}

const linesOf = (one: RunningGateway): Line[] => one.log().map((line) => JSON.parse(line))

/** Some of everything: what works, what is refused, what is quiet, what cannot be parsed, what the client leaves. */
async function use(one: RunningGateway): Promise<void> {
  const ask = (line: string, headers: string[] = [], body?: string) =>
    exchange(one, request(`${line} HTTP/1.1`, [`Host: ${one.host}`, 'User-Agent: story/1 "x"', ...headers], body))
  engine.answer = json()
  await ask('POST /v1/chat/completions?key=secret-query', withSecrets, words)
  await ask('POST /api/pull?key=secret-query', withSecrets, words)
  await ask('POST /v1/messages/count_tokens', withSecrets, words)
  await ask('GET /healthz')
  await exchange(one, request('GET /api/version HTTP/1.1', ['Host: evil.example']))
  await exchange(one, 'nonsense sk-secret-key\r\n\r\n')
  engine.answer = json('{"error":"no"}', '500 Internal Server Error')
  await ask('POST /v1/responses?key=secret-query', withSecrets, words)
  engine.answer = silent
  const before = engine.received.length
  const leaving = await dial(one)
  leaving.send(request('POST /v1/messages HTTP/1.1', [`Host: ${one.host}`, ...withSecrets], words))
  await eventually('the engine has it', () => engine.received.length > before)
  leaving.hangUp()
}

describe('the log', () => {
  test('requests: a line for each, as JSON, without key, query, cookie or body', async () => {
    const one = await startGateway({ enginePort: engine.port, settings: 'log: requests\nobserver: off' })
    gateway = one
    await use(one)
    await eventually('all are written', () => one.log().length === 8)
    const said = linesOf(one).map(({ method, path, status }) => `${method} ${path} ${status}`)
    expect(said.sort()).toEqual([
      '- - 400',
      'GET /api/version 421',
      'GET /healthz 200',
      'POST /api/pull 403',
      'POST /v1/chat/completions 200',
      // The client has left before an answer: HAProxy writes 400 or nothing.
      expect.stringMatching(/^POST \/v1\/messages (400|-1)$/),
      'POST /v1/messages/count_tokens 403',
      'POST /v1/responses 500',
    ])
    expect(linesOf(one).find(({ path }) => path === '/v1/chat/completions')).toMatchObject({
      group: 'openai',
      agent: 'story/1 "x"',
    })
    for (const secret of secrets) expect(one.log().join('\n')).not.toContain(secret)
  })

  test('errors: what was refused, failed or left, not what works or is usual', async () => {
    const one = await startGateway({ enginePort: engine.port, settings: 'log: errors\nobserver: off' })
    gateway = one
    await use(one)
    await eventually('all are written', () => one.log().length >= 5)
    const paths = linesOf(one).map(({ path }) => path)
    expect(paths).toEqual(expect.arrayContaining(['/api/pull', '/api/version', '-', '/v1/responses', '/v1/messages']))
    expect(paths).toHaveLength(5)
    for (const secret of secrets) expect(one.log().join('\n')).not.toContain(secret)
  })

  test('names a model only of what asks one: any other body may hold any name', async () => {
    const one = await startGateway({ enginePort: engine.port, settings: 'log: requests\nobserver: off' })
    gateway = one
    const body = '{"model":"junk"}'
    const ask = (line: string) => exchange(one, request(`${line} HTTP/1.1`, [`Host: ${one.host}`], body))
    for (const line of ['GET /api/version', 'POST /api/show', 'POST /v1/messages']) await ask(line)
    await eventually('all are written', () => one.log().length === 3)
    expect(
      linesOf(one)
        .map(({ path, model }) => `${path} ${model}`)
        .sort(),
    ).toEqual(['/api/show -', '/api/version -', '/v1/messages junk'])
  })

  test('off: nothing at all', async () => {
    const one = await startGateway({ enginePort: engine.port, settings: 'log: off\nobserver: off' })
    gateway = one
    await use(one)
    await one.stop()
    expect(one.log()).toEqual([])
  })

  test('every line stays JSON when the engine goes and comes and when the gateway reloads and stops', async () => {
    const one = await startGateway({ enginePort: engine.port, settings: 'log: requests\nobserver: off' })
    gateway = one
    await engine.stop()
    const health = async () => (await exchange(one, request('GET /healthz HTTP/1.1', [`Host: ${one.host}`]))).status
    await eventually('down', async () => (await health()) === 503)
    await engine.start()
    await eventually('up', async () => (await health()) === 200)
    await one.machine.tell(places(one.home).masterSocket, 'reload')
    await eventually(
      'the old worker has gone',
      async () => !/old worker[^s]/.test((await one.machine.ask(places(one.home).masterSocket, 'show proc')) ?? ''),
    )
    await one.stop()
    expect(one.log().length).toBeGreaterThan(1)
    for (const line of one.log()) expect(() => JSON.parse(line), line).not.toThrow()
  })
})

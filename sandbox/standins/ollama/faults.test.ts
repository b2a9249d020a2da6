import { readFileSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { bodyOf, exchange, jsonRequest, type Row, type Running, startServer, statusOf, Wire } from './harness.ts'
import { essence } from './likeness.ts'

const FOLDER = join(import.meta.dirname, '..', '..', 'transcripts', 'ollama', 'v0.24.0-faults')
const MESSAGES = [{ role: 'user', content: 'x' }]

let server: Running

beforeAll(async () => {
  server = await startServer({}, { pullMs: 0 })
  for (const model of ['tiny', 'tiny-loop']) {
    await exchange(server.port, jsonRequest('POST', '/api/pull', { model, stream: false }), 'POST')
  }
})
afterAll(async () => {
  await server.stop()
})
beforeEach(() => server.faults({}))

const post = (path: string, body: unknown, at = server, onChunk?: (n: number) => void) =>
  exchange(at.port, jsonRequest('POST', path, body), 'POST', onChunk ? { onChunk } : {})
const loop = (more: object = {}) => ({ model: 'tiny-loop', messages: MESSAGES, ...more })

const recorded = (name: string): Row[] =>
  readFileSync(join(FOLDER, `${name}.jsonl`), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Row)

/** The recorded request, its answer here. */
const replay = (rows: Row[], at = server) => {
  const request = rows.find((row) => row.ev === 'request')
  return exchange(at.port, Buffer.from(`${request?.head ?? ''}${request?.data ?? ''}`), 'POST')
}

const lastChunk = (rows: Row[]): Row[] => rows.filter((row) => row.ev === 'chunk').slice(-1)
const ending = (rows: Row[]): Row[] => rows.filter((row) => row.ev === 'end' || row.ev === 'after')
const heads = (rows: Row[]): Row[] => rows.filter((row) => row.ev === 'head')

describe('a model process that dies', () => {
  test.each(['apichat', 'generate', 'v1chat', 'v1compl'])(
    'ends a stream of %s cleanly, with its last word',
    async (family) => {
      server.faults({ runnerDies: { afterTokens: 18 } })
      const rows = recorded(`crash-${family}-stream`)
      const answer = await replay(rows)
      const parts = (all: Row[]) => essence(family, [...heads(all), ...lastChunk(all), ...ending(all)])
      expect(parts(answer)).toEqual(parts(rows))
    },
  )

  test.each(['responses', 'messages'])('ends a stream of %s cleanly, without a word', async (family) => {
    server.faults({ runnerDies: { afterTokens: 18 } })
    const rows = recorded(`crash-${family}-stream`)
    const answer = await replay(rows)
    expect(essence(family, [...heads(answer), ...ending(answer)])).toEqual(
      essence(family, [...heads(rows), ...ending(rows)]),
    )
    expect(bodyOf(lastChunk(answer))).toContain(' w17')
  })

  test.each(['apichat', 'generate', 'v1chat', 'v1compl', 'responses', 'messages'])(
    'gives %s without a stream its 500',
    async (family) => {
      server.faults({ runnerDies: { afterTokens: 3 } })
      const rows = recorded(`crash-${family}-nostream`)
      expect(essence(family, await replay(rows))).toEqual(essence(family, rows.slice(2)))
    },
  )

  test('is loaded again for the next request', async () => {
    server.faults({ runnerDies: { afterTokens: 1 } })
    await post('/api/chat', loop())
    server.faults({})
    expect(statusOf(await post('/v1/chat/completions', loop({ max_tokens: 2 })))).toBe(200)
  })
})

describe('other troubles', () => {
  test('a model that cannot be loaded is a 500 that names the path of its blob', async () => {
    await post('/api/generate', { model: 'tiny-loop', keep_alive: 0 })
    server.faults({ loadFails: true })
    const answer = await post('/api/chat', loop({ stream: false }))
    expect(statusOf(answer)).toBe(500)
    expect(bodyOf(answer)).toContain(`unable to load model: ${server.home}/.ollama/models/blobs/sha256-c916`)
  })

  test('without the runner program every load fails', async () => {
    await post('/api/generate', { model: 'tiny-loop', keep_alive: 0 })
    server.faults({ noLlamaServer: true })
    expect(bodyOf(await post('/v1/chat/completions', loop()))).toContain('llama-server binary not found')
  })

  test('a full loader queue refuses with 503 in the shape of each family', async () => {
    const small = await startServer({ OLLAMA_MAX_QUEUE: '2' }, { pullMs: 0, loadDelayMs: 400, tokenDelayMs: 0 })
    await post('/api/pull', { model: 'tiny-loop', stream: false }, small)
    for (const family of ['apichat', 'generate', 'v1chat', 'v1compl', 'responses', 'messages']) {
      const rows = recorded(`queue-overflow-${family}`)
      const answers = await Promise.all(Array.from({ length: 10 }, () => replay(rows, small)))
      const refused = answers.filter((answer) => statusOf(answer) === 503)
      expect(refused).toHaveLength(7)
      expect(essence(family, refused[0] ?? [])).toEqual(essence(family, rows.slice(2)))
      await post('/api/generate', { model: 'tiny-loop', keep_alive: 0 }, small)
    }
    expect(await small.stop()).toBe(0)
  })

  test('a cut leaves a stream without its end', async () => {
    server.faults({ cuts: { afterTokens: 5 } })
    const answer = await post('/v1/chat/completions', loop({ stream: true }))
    expect(answer.at(-1)).toMatchObject({ ev: 'end', where: 'between chunks (no terminating chunk)' })
  })

  test('SIGTERM cuts what runs and ends with 0', async () => {
    const other = await startServer({}, { pullMs: 0 })
    await post('/api/pull', { model: 'tiny-loop', stream: false }, other)
    let ended: Promise<number | null> | undefined
    const answer = await post('/api/chat', loop(), other, (n) => {
      if (n === 10) ended = other.stop()
    })
    expect(answer.at(-1)).toMatchObject({ ev: 'end', where: 'between chunks (no terminating chunk)' })
    expect(await ended).toBe(0)
  })

  test('a pull that broke goes on where it stopped', async () => {
    server.faults({ pullMs: 10, pullFailsAt: 0.5 })
    const broken = bodyOf(await post('/api/pull', { model: 'qwen2.5:0.5b' }))
    expect(broken.trim().split('\n').at(-1)).toBe('{"error":"unexpected EOF"}')
    server.faults({ pullMs: 10 })
    const rows = bodyOf(await post('/api/pull', { model: 'qwen2.5:0.5b' }))
      .trim()
      .split('\n')
    expect(JSON.parse(rows[1] ?? '{}')).toMatchObject({ completed: 198910500, total: 397821000 })
    expect(rows.at(-1)).toBe('{"status":"success"}')
  })
})

describe('clients that leave', () => {
  test('a hang-up stops the answer, frees the slot and is written down', async () => {
    const wire = new Wire(server.port)
    wire.socket.write(jsonRequest('POST', '/v1/chat/completions', loop({ stream: true })))
    await wire.answer('POST', (n) => {
      if (n === 5) wire.socket.destroy()
    })
    expect(statusOf(await post('/v1/chat/completions', loop({ max_tokens: 2 })))).toBe(200)
    const rows = server.received()
    const left = rows.findLast((row) => row.event === 'hung-up')
    expect(rows.find((row) => row.event === 'request' && row.id === left?.id)).toMatchObject({
      target: '/v1/chat/completions',
    })
  })

  test('a request is written down as soon as its body was read', async () => {
    server.faults({ silentMs: 60_000 })
    const wire = new Wire(server.port)
    wire.socket.write(jsonRequest('POST', '/api/chat', loop({ keep_alive: '77s' })))
    const bytes = Buffer.byteLength(JSON.stringify(loop({ keep_alive: '77s' })))
    await expect.poll(() => server.received().some((row) => row.event === 'request' && row.bytes === bytes)).toBe(true)
    wire.socket.destroy()
  })

  test('a half-close counts as a hang-up: the stream ends cleanly and early', async () => {
    const wire = new Wire(server.port)
    wire.socket.end(jsonRequest('POST', '/v1/chat/completions', loop({ stream: true })))
    const answer = await wire.answer('POST')
    expect(answer.find((row) => row.ev === 'end')).toMatchObject({ how: 'terminating chunk' })
    expect(bodyOf(answer)).not.toContain('[DONE]')
  })

  test('clients that leave while they wait for the loader are never let go', async () => {
    await post('/api/generate', { model: 'tiny-loop', keep_alive: 0 })
    server.faults({ loadDelayMs: 300 })
    const first = post('/v1/chat/completions', loop({ max_tokens: 2 }))
    const wire = new Wire(server.port)
    wire.socket.end(jsonRequest('POST', '/v1/chat/completions', loop({ max_tokens: 2 })))
    expect(statusOf(await first)).toBe(200)
    const answer = await Promise.race([
      wire.answer('POST'),
      new Promise((resolve) => setTimeout(() => resolve('silence'), 300)),
    ])
    wire.socket.destroy()
    expect(answer).toBe('silence')
  })
})

test('what the engine received is written down raw: two framings, spelling of names, trailers', async () => {
  const head =
    'POST /api/show HTTP/1.1\r\nhOst: 127.0.0.1:1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\nX-A: 2\r\n\r\n'
  const bytes = Buffer.from(`${head}10\r\n{"model":"tiny"}\r\n0\r\nX-Trailer: yes\r\n\r\n`)
  expect(statusOf(await exchange(server.port, bytes, 'POST'))).toBe(200)
  expect(server.received().findLast((row) => row.event === 'request')).toMatchObject({
    head,
    headers: [
      ['hOst', '127.0.0.1:1'],
      ['Content-Length', '5'],
      ['Transfer-Encoding', 'chunked'],
      ['X-A', '1'],
      ['X-A', '2'],
    ],
    framing: 'chunked',
    bytes: 16,
    complete: true,
    trailers: ['X-Trailer: yes'],
  })
})

test('models whose files are of one second come in another order at each call, each with its own time', async () => {
  const folder = join(server.home, '.ollama/models/manifests/registry.ollama.ai/library')
  for (const name of ['tiny', 'tiny-loop']) utimesSync(join(folder, name, 'latest'), 1_700_000_000, 1_700_000_000.25)
  const list = async () =>
    JSON.parse(bodyOf(await exchange(server.port, jsonRequest('GET', '/api/tags'), 'GET'))).models as {
      name: string
      modified_at: string
    }[]
  const names = async () => (await list()).map(({ name }) => name)
  const settled = await names()
  expect([await names(), await names()]).toEqual([settled, settled])
  server.faults({ anyOrder: true })
  const [first, second] = [await names(), await names()]
  expect([first[0], second[0]]).toEqual([settled[0], settled[0]])
  expect(second.slice(1)).toEqual(first.slice(1).reverse())
  expect((await list()).slice(1).map(({ modified_at }) => modified_at)).toEqual(
    Array(2).fill('2023-11-14T22:13:20.25Z'),
  )
})

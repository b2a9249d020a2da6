import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bodyOf, exchange, freePort, jsonRequest, programOf, type Running, startServer } from './harness.ts'

let server: Running

beforeAll(async () => {
  server = await startServer({ OLLAMA_KEEP_ALIVE: '30m', OLLAMA_CONTEXT_LENGTH: '16384' }, { pullMs: 0 })
  const own = { 'my-model:8b': { bytes: 5_000_000_000, kind: 'tools', parameter_size: '8B', family: 'qwen3' } }
  writeFileSync(join(server.box, 'ollama-registry.json'), JSON.stringify(own))
  for (const model of ['qwen2.5:0.5b', 'my-model:8b', 'deepseek-r1:70b', 'all-minilm'])
    await post('/api/pull', { model })
})
afterAll(async () => {
  await server.stop()
})

const post = (path: string, body: unknown) => exchange(server.port, jsonRequest('POST', path, body), 'POST')
const json = async (path: string, body?: unknown) =>
  JSON.parse(bodyOf(body ? await post(path, body) : await exchange(server.port, jsonRequest('GET', path), 'GET')))
const MESSAGES = [{ role: 'user', content: 'What is the weather in Oslo?' }]
const PARAMETERS = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'integer' } },
  required: ['city'],
}
const TOOLS = [{ type: 'function', function: { name: 'forecast', description: 'd', parameters: PARAMETERS } }]

/** Runs the command line of the stand-in against this server. */
const cli = async (args: string[], env: Record<string, string> = {}) => {
  const child = spawn(process.execPath, [programOf(server.box), ...args], {
    env: { HOME: server.home, BOX: server.box, OLLAMA_HOST: `127.0.0.1:${server.port}`, ...env },
  })
  const said = { out: '', err: '' }
  child.stdout.on('data', (part) => {
    said.out += part
  })
  child.stderr.on('data', (part) => {
    said.err += part
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, ...said }
}

test('a pulled model is listed with its pretended size and lies in the real layout, small', async () => {
  const { models } = await json('/api/tags')
  const mine = models.find((model: { name: string }) => model.name === 'my-model:8b')
  expect(mine.size).toBeGreaterThan(4_999_999_999)
  expect(mine.details).toMatchObject({ family: 'qwen3', parameter_size: '8B' })
  const folder = join(server.home, '.ollama', 'models')
  expect(existsSync(join(folder, 'manifests', 'registry.ollama.ai', 'library', 'my-model', '8b'))).toBe(true)
  expect(readdirSync(join(folder, 'blobs')).every((name) => /^sha256-[0-9a-f]{64}$/.test(name))).toBe(true)
})

test('capabilities follow the kind', async () => {
  const of = async (model: string) => (await json('/api/show', { model })).capabilities
  expect(await of('qwen2.5:0.5b')).toEqual(['completion', 'tools'])
  expect(await of('deepseek-r1:70b')).toEqual(['completion', 'thinking'])
  expect(await of('all-minilm')).toEqual(['embedding'])
})

test('an ordinary model answers a chat', async () => {
  const { choices } = await json('/v1/chat/completions', { model: 'qwen2.5:0.5b', messages: MESSAGES })
  expect(choices[0].message.content).toContain('qwen2.5:0.5b')
})

test('JSON mode gives JSON, a schema gives what it allows', async () => {
  const ask = { model: 'qwen2.5:0.5b', messages: MESSAGES }
  const free = await json('/v1/chat/completions', { ...ask, response_format: { type: 'json_object' } })
  expect(JSON.parse(free.choices[0].message.content)).toBeTypeOf('object')
  const bound = await json('/api/chat', { ...ask, stream: false, format: PARAMETERS })
  expect(JSON.parse(bound.message.content)).toEqual({ city: 'yes', days: 7 })
})

test('an offered tool is called with arguments that its schema allows', async () => {
  const { choices } = await json('/v1/chat/completions', { model: 'my-model:8b', messages: MESSAGES, tools: TOOLS })
  expect(choices[0].finish_reason).toBe('tool_calls')
  expect(choices[0].message.tool_calls[0].function).toEqual({ name: 'forecast', arguments: '{"city":"yes","days":7}' })
})

test('a loaded model stays as long as the environment says, with its context', async () => {
  await post('/api/generate', { model: 'my-model:8b' })
  const { models } = await json('/api/ps')
  const mine = models.find((model: { name: string }) => model.name === 'my-model:8b')
  expect(mine.context_length).toBe(16384)
  expect(Date.parse(mine.expires_at) - Date.now()).toBeGreaterThan(29 * 60_000)
  expect(mine.size_vram).toBe(mine.size)
})

test('slots are shared out one at a time, in order', async () => {
  const ask = { model: 'my-model:8b', messages: MESSAGES, max_tokens: 5 }
  const done: number[] = []
  await Promise.all([0, 1, 2].map((n) => post('/v1/chat/completions', ask).then(() => done.push(n))))
  expect(done).toEqual([0, 1, 2])
})

test('keys fold as Go folds them and the last one wins', async () => {
  const body =
    '{"MODEL":"nope","model":"qwen2.5:0.5b","me\u017f\u017fages":[{"role":"user","content":"hi"}],"\u017ftream":false}'
  const bytes = Buffer.from(
    `POST /api/chat HTTP/1.1\r\nHost: x.local\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
  expect(JSON.parse(bodyOf(await exchange(server.port, bytes, 'POST'))).done).toBe(true)
})

test('the command line lists, runs, pulls and tells versions', async () => {
  expect((await cli(['--version'])).out).toBe('ollama version is 0.24.0\n')
  expect((await cli(['list'])).out).toContain('my-model:8b')
  expect((await cli(['run', 'qwen2.5:0.5b', 'hello'])).out).toContain('Your message had 1 word.')
  expect((await cli(['pull', 'qwen3:0.6b'])).code).toBe(0)
  expect((await cli(['stop', 'my-model:8b'])).code).toBe(0)
  const missing = await cli(['pull', 'nope:1b'])
  expect(missing).toMatchObject({ code: 1, err: 'pulling manifest\nError: pull model manifest: file does not exist\n' })
})

test('the command line without a server says so', async () => {
  const OLLAMA_HOST = `127.0.0.1:${await freePort()}`
  const alone = await cli(['list'], { OLLAMA_HOST })
  expect(alone).toMatchObject({
    code: 1,
    err: "Error: could not connect to ollama server, run 'ollama serve' to start it\n",
  })
  const version = await cli(['--version'], { OLLAMA_HOST })
  expect(version).toMatchObject({
    code: 0,
    out: 'Warning: could not connect to a running Ollama instance\nWarning: client version is 0.24.0\n',
  })
})

test('a taken port ends serve with 1, an origin without scheme with 2', async () => {
  const taken = await cli(['serve'])
  expect(taken.code).toBe(1)
  expect(taken.err).toContain(`Error: listen tcp 127.0.0.1:${server.port}: bind: address already in use`)
  const origin = await cli(['serve'], { OLLAMA_ORIGINS: 'mac.local', OLLAMA_HOST: `127.0.0.1:${await freePort()}` })
  expect(origin.code).toBe(2)
  expect(origin.err).toContain('panic: bad origin')
})

test('the log names the settings, the address and each request', async () => {
  await post('/api/show', { model: 'qwen2.5:0.5b' })
  expect(server.log()).toMatch(/msg="server config" env="map\[.*OLLAMA_KEEP_ALIVE:30m0s.*\]"/)
  expect(server.log()).toContain(`Listening on 127.0.0.1:${server.port} (version 0.24.0)`)
  expect(server.log()).toMatch(/\[GIN\] .* \| 200 \| .* \| +127\.0\.0\.1 \| POST +"\/api\/show"/)
})

test('the box says which version it pretends to be', async () => {
  const box = join(server.box, 'other')
  mkdirSync(box)
  writeFileSync(join(box, 'ollama-version'), '0.33.0\n')
  const { out } = await cli(['--version'], { BOX: box, OLLAMA_HOST: `127.0.0.1:${await freePort()}` })
  expect(out).toContain('client version is 0.33.0')
})

test('a newer version streams chats as OpenAI does and lists capabilities', async () => {
  const newer = await startServer({}, { pullMs: 0 }, '0.33.0')
  const ask = { model: 'qwen2.5:0.5b', messages: MESSAGES, stream: true }
  await exchange(newer.port, jsonRequest('POST', '/api/pull', { model: 'qwen2.5:0.5b' }), 'POST')
  const stream = await exchange(newer.port, jsonRequest('POST', '/v1/chat/completions', ask), 'POST')
  const deltas = [...bodyOf(stream).matchAll(/"delta":(\{.*?\}),"finish_reason":(null|"stop")/g)].map(
    ([, delta]) => delta,
  )
  const tags = JSON.parse(bodyOf(await exchange(newer.port, jsonRequest('GET', '/api/tags'), 'GET')))
  await newer.stop()
  expect(deltas.filter((delta) => delta?.includes('role'))).toEqual([deltas[0]])
  expect(deltas.at(-1)).toBe('{}')
  expect(tags.models[0].capabilities).toEqual(['completion', 'tools'])
})

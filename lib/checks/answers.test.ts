import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { freePort, programOf, type Running, startServer } from '../../sandbox/standins/ollama/harness.ts'
import type { Target } from '../gateway/proofs/target.ts'
import { realLook } from '../host/host.ts'
import { type Check, observe, observeAll, type Result } from '../steps/step.ts'
import { anthropic } from './anthropic.ts'
import { native } from './native.ts'
import { openai } from './openai.ts'
import { performance } from './performance.ts'
import { streaming } from './streaming.ts'

const look = realLook()
const vision = ['completion', 'tools', 'vision']
const probes = (at: Target): Check[] => [
  ...openai(at),
  ...anthropic(at),
  ...native(at),
  ...streaming(at),
  ...performance(at),
]

let engine: Running

beforeAll(async () => {
  engine = await startServer({}, { pullMs: 0 })
  const post = (body: object) =>
    fetch(`http://127.0.0.1:${engine.port}/api/pull`, {
      method: 'POST',
      body: JSON.stringify({ ...body, stream: false }),
    })
  for (const model of ['qwen3:0.6b', 'deepseek-r1:70b', 'tiny-loop']) expect((await post({ model })).status).toBe(200)
})
afterAll(() => engine.stop())
beforeEach(() => engine.faults({}))

const targetAt = (port: number, name: string, capabilities: string[]): Target => ({
  address: '127.0.0.1',
  port,
  host: `127.0.0.1:${port}`,
  engine: { address: '127.0.0.1', port: engine.port },
  groups: ['openai', 'responses', 'anthropic', 'metadata', 'native'],
  model: { name, capabilities },
})

const states = (results: Result[], state: Result['state']) =>
  results.filter((result) => result.state === state).map(({ id, saw }) => `${id}: ${saw}`)

/** The same models under another version, which a server takes on only when it starts. */
async function startedAs(version: string): Promise<{ port: number; stop(): Promise<void> }> {
  writeFileSync(join(engine.box, 'ollama-version'), version)
  const port = await freePort()
  const env = { PATH: process.env.PATH ?? '', HOME: engine.home, BOX: engine.box, OLLAMA_HOST: `127.0.0.1:${port}` }
  const child = spawn(process.execPath, [programOf(engine.box), 'serve'], { env, stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = () => {
    child.kill('SIGTERM')
    return ended
  }
  const asked = { address: '127.0.0.1', port, method: 'GET', target: '/api/version', headers: { host: 'localhost' } }
  const up = await look.until('the server', 20_000, async () => (await look.probe(asked)).body.includes(version))
  if (up) return { port, stop }
  await stop()
  throw new Error(`no server of version ${version}`)
}

const toolIds = [
  'openai.tools',
  'openai.tools-stream',
  'openai.tools-result',
  'anthropic.tools',
  'anthropic.tools-result',
]
const thinkingIds = ['openai.thinking', 'anthropic.thinking']
const reasoner = ['completion', 'thinking', 'vision']

describe('an Ollama that works', () => {
  it.each([
    ['0.24.0', 'qwen3:0.6b', vision, thinkingIds],
    ['0.33.0', 'qwen3:0.6b', vision, thinkingIds],
    ['0.24.0', 'deepseek-r1:70b', reasoner, toolIds],
    ['0.33.0', 'deepseek-r1:70b', reasoner, toolIds],
  ])(
    'of version %s passes with %s, and what the model cannot is skipped',
    async (version, model, capabilities, cannot) => {
      const server = await startedAs(version)
      const target = {
        ...targetAt(server.port, model, capabilities),
        engine: { address: '127.0.0.1', port: server.port },
      }
      const results = await observeAll(probes(target), look).finally(server.stop)
      expect(states(results, 'missed')).toEqual([])
      expect(states(results, 'advice')).toEqual([])
      expect(results.filter(({ state }) => state === 'skipped').map(({ id }) => id)).toEqual(cannot)
    },
  )

  it('is not blamed on the gateway when its model keeps to no format', async () => {
    const results = await observeAll(openai(targetAt(engine.port, 'tiny-loop:latest', ['completion'])), look)
    expect(states(results, 'missed')).toEqual([])
    expect(results.filter(({ state }) => state === 'advice').map(({ id }) => id)).toEqual([
      'openai.json-mode',
      'openai.json-schema',
    ])
  })

  it('shows every bullet of the test plan under its id', async () => {
    const ids = probes(targetAt(engine.port, 'qwen3:0.6b', vision)).map(({ id }) => id)
    expect(ids).toEqual(
      expect.arrayContaining([
        'openai.models',
        'openai.model',
        'openai.chat',
        'openai.chat-stream',
        'openai.json-mode',
        'openai.responses',
        'anthropic.messages',
        'anthropic.messages-stream',
        'anthropic.system-prompt',
        'anthropic.unknown-model',
        'performance.overhead',
        'streaming.no-buffering',
      ]),
    )
  })
})

interface Whole {
  status: number
  headers: http.IncomingHttpHeaders
  body: string
}
type Fault = (answer: Whole, request: { path: string; body: string }) => Whole | 'cut'

/** A gateway that gathers each answer, spoils it, and hands it over. */
async function spoiling(fault: Fault, delayMs = 0): Promise<{ port: number; close(): Promise<void> }> {
  const server = http.createServer((request, response) => {
    void gathered(request, async (body) => {
      const good = await forward(request, body)
      if (delayMs) await new Promise((resolve) => setTimeout(resolve, delayMs))
      const bad = fault(good, { path: request.url ?? '', body })
      if (bad === 'cut') {
        response.writeHead(good.status, { 'content-type': good.headers['content-type'] })
        response.write(good.body.slice(0, 40), () => response.destroy())
        return
      }
      const { 'content-length': _, 'transfer-encoding': __, ...headers } = bad.headers
      response.writeHead(bad.status, headers)
      response.end(bad.body)
    })
  })
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address ? address.port : 0)
    })
  })
  return { port, close: () => new Promise((resolve) => server.close(() => resolve())) }
}

async function gathered(stream: http.IncomingMessage, then: (text: string) => Promise<void>): Promise<void> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part as Buffer)
  await then(Buffer.concat(parts).toString('utf8'))
}

const forward = (request: http.IncomingMessage, body: string): Promise<Whole> =>
  new Promise((resolve, reject) => {
    const { method, url: path, headers } = request
    const options = { host: '127.0.0.1', port: engine.port, method, path, headers, agent: false }
    const outgoing = http.request(options, (answer) =>
      gathered(answer, async (text) =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }),
      ).catch(reject),
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })

const text =
  (change: (body: string) => string): Fault =>
  (answer) => ({ ...answer, body: change(answer.body) })
const replace = (what: string | RegExp, by: string): Fault => text((body) => body.replace(what, by))
const everywhere = (what: string, by: string): Fault => text((body) => body.replaceAll(what, by))
const headers =
  (more: http.IncomingHttpHeaders): Fault =>
  (answer) => ({ ...answer, headers: { ...answer.headers, ...more } })
const events = (change: (all: string[]) => string[]): Fault =>
  text((body) => `${change(body.trimEnd().split('\n\n')).join('\n\n')}\n\n`)
const instead =
  (status: number, body: string): Fault =>
  (answer) => ({ ...answer, status, body })
const without = (some: string): Fault => events((all) => all.filter((event) => !event.includes(some)))
const swapped = (one: number, other: number): Fault =>
  events((all) =>
    all.map((event, at) => (at === one ? (all[other] ?? event) : at === other ? (all[one] ?? event) : event)),
  )
const gatewayRefusal = '{"type":"error","error":{"type":"not_found_error","message":"Gateway: no"},"error2":1}'
const cut: Fault = () => 'cut'

const faults: [string, string, Fault, RegExp][] = [
  ['openai.models', 'a page instead of JSON', instead(200, '<html>'), /no JSON/],
  ['openai.models', 'an empty list', instead(200, '{"object":"list","data":[]}'), /not among them/],
  ['openai.model', 'another model', replace('"id":"qwen3', '"id":"other'), /describes other/],
  ['openai.query-string', 'a refusal', instead(403, '{}'), /403 instead of 200/],
  ['openai.chat', 'a cut answer', cut, /cut/],
  ['openai.chat', 'half an answer', text((body) => body.slice(0, 60)), /no JSON/],
  ['openai.chat', 'another model', replace('"model":"qwen3', '"model":"other'), /names the model/],
  ['openai.chat', 'no choice', replace(/"choices":\[.*\],"usage"/s, '"choices":[],"usage"'), /choices/],
  ['openai.chat', 'a strange finish', replace('"finish_reason":"stop"', '"finish_reason":"eos"'), /finish_reason/],
  ['openai.chat-usage', 'a usage of nothing', replace(/"completion_tokens":\d+/, '"completion_tokens":0'), /usage/],
  ['openai.chat-usage', 'a sum that is none', replace(/"total_tokens":\d+/, '"total_tokens":1'), /add up/],
  [
    'openai.max-tokens',
    'a limit ignored',
    replace(/"completion_tokens":\d+/, '"completion_tokens":9'),
    /9 tokens came, 3 at most/,
  ],
  ['openai.stop', 'a stop ignored', replace('"content":"', '"content":"1 2 3 '), /stop text/],
  ['openai.json-mode', 'prose', replace(/"content":"(\\.|[^"\\])*"/, '"content":"Sure!"'), /no JSON object/],
  ['openai.json-schema', 'another object', replace('\\"a\\"', '\\"b\\"'), /another object/],
  ['openai.unicode', 'broken letters', everywhere('é🙂', '\uFFFD'), /broken/],
  ['openai.tools', 'a tool that was not offered', replace('"name":"now"', '"name":"rm"'), /not offered/],
  ['openai.tools', 'arguments that are an object', replace('"arguments":"{}"', '"arguments":{}'), /arguments/],
  ['openai.tools', 'arguments that are no JSON', replace('"arguments":"{}"', '"arguments":"{"'), /no JSON/],
  ['openai.tools', 'the wrong finish', replace('"finish_reason":"tool_calls"', '"finish_reason":"stop"'), /not with/],
  ['openai.tools-stream', 'no [DONE]', without('[DONE]'), /\[DONE\] is not the last/],
  ['openai.tools-result', 'an error', instead(500, '{}'), /500/],
  ['openai.image', 'an error', instead(413, '{}'), /413/],
  ['openai.chat-stream', 'no [DONE]', without('[DONE]'), /\[DONE\] is not the last/],
  ['openai.chat-stream', 'a cut stream', cut, /cut/],
  ['openai.chat-stream', 'JSON by name', headers({ 'content-type': 'application/json' }), /content type/],
  ['openai.chat-stream', 'an event that is no JSON', replace('data: {', 'data: <'), /event 1 has another shape/],
  ['openai.chat-stream', 'a dead runner', replace(/"model":"[^"]*"/, '"model":""'), /died/],
  ['openai.chat-stream', 'something after [DONE]', events((all) => [...all, ...all.slice(-1)]), /not the last/],
  [
    'openai.stream-order',
    'two finishes',
    events((all) => [...all.slice(0, -3), ...all.slice(-3, -2), ...all.slice(-3)]),
    /finish/,
  ],
  ['openai.stream-order', 'no finish', everywhere('"finish_reason":"stop"', '"finish_reason":null'), /0 events/],
  ['openai.stream-order', 'another id', replace(/"id":"chatcmpl-\d+"/, '"id":"chatcmpl-x"'), /2 ids/],
  ['openai.stream-order', 'no role', everywhere('"role":"assistant",', ''), /no role/],
  ['openai.stream-usage', 'no usage', without('"usage":{'), /no usage/],
  ['openai.unknown-model', 'the refusal of the gateway', instead(404, gatewayRefusal), /gateway refused/],
  ['openai.unknown-model', 'a bare text', instead(404, '{"error":"not found"}'), /error/],
  ['openai.unknown-model', 'an answer', instead(200, '{}'), /200 instead of 404/],
  ['openai.unknown-model-stream', 'a stream', instead(200, 'data: {}\n\n'), /200 instead of 404/],
  ['openai.model-unknown', 'a page', instead(404, '404 page not found'), /no JSON/],
  ['openai.large-body', 'a limit', instead(413, '{}'), /413 instead of 404/],
  ['openai.empty-messages', 'another status', instead(500, '{}'), /500 instead of 400/],
  ['openai.malformed', 'another status', instead(403, '{}'), /403 instead of 400/],
  ['openai.responses', 'another object', replace('"object":"response"', '"object":"list"'), /object/],
  ['openai.responses', 'no output', replace(/"output":\[.*?\],"error"/s, '"output":[],"error"'), /output/],
  ['openai.responses-stream', 'two events swapped', swapped(0, 1), /begins with/],
  ['openai.responses-stream', 'one word lost', events((all) => all.filter((_, at) => at !== 5)), /has the number/],
  ['openai.responses-stream', 'no end', events((all) => all.slice(0, -1)), /ends with/],
  ['openai.responses-stream', 'no names', everywhere('event: ', ': '), /is called nothing/],
  ['openai.responses-instructions', 'another model', replace('"model":"qwen3', '"model":"other'), /names the model/],
  ['openai.responses-unknown-model', 'a refusal', instead(403, '{}'), /403 instead of 404/],
  ['anthropic.messages', 'another type', replace('"type":"message"', '"type":"list"'), /type/],
  ['anthropic.messages', 'a strange reason', replace('"end_turn"', '"stop"'), /stop_reason/],
  ['anthropic.messages', 'no usage', replace(/"input_tokens":\d+/, '"input_tokens":0'), /usage/],
  ['anthropic.messages-stream', 'two events swapped', swapped(0, 1), /the order is/],
  ['anthropic.messages-stream', 'no message_stop', without('message_stop'), /the order is/],
  ['anthropic.messages-stream', 'no content_block_stop', without('content_block_stop'), /the order is/],
  [
    'anthropic.messages-stream',
    'an error in between',
    events((all) => [...all.slice(0, 4), 'event: error\ndata: {"type":"error"}']),
    /error/,
  ],
  ['anthropic.messages-stream', 'no names', everywhere('event: ', ': '), /is called nothing/],
  [
    'anthropic.messages-stream',
    'another block',
    replace('"content_block_delta","index":0', '"content_block_delta","index":1'),
    /block 1 while block 0/,
  ],
  ['anthropic.messages-stream', 'no stop reason', replace(/"stop_reason":"\w+"/, '"x":1'), /no stop reason/],
  ['anthropic.messages-stream', 'an end without the last events', events((all) => all.slice(0, 5)), /the order is/],
  ['anthropic.system-prompt', 'another model', replace('"model":"qwen3', '"model":"other'), /names the model/],
  ['anthropic.multi-turn', 'an error', instead(400, '{}'), /400 instead of 200/],
  ['anthropic.max-tokens', 'a limit ignored', replace(/"output_tokens":\d+/, '"output_tokens":9'), /at most/],
  ['anthropic.tools', 'no id', replace(/"id":"call_\w+",/, ''), /no id/],
  [
    'anthropic.tools',
    'the wrong reason',
    replace('"stop_reason":"tool_use"', '"stop_reason":"end_turn"'),
    /not with tool_use/,
  ],
  ['anthropic.tools-result', 'an error', instead(500, '{}'), /500/],
  ['anthropic.image', 'an error', instead(413, '{}'), /413/],
  [
    'anthropic.unknown-model',
    'the other shape',
    instead(404, '{"error":{"message":"m","type":"not_found_error"}}'),
    /type/,
  ],
  ['anthropic.beta-query', 'a refusal', instead(403, '{}'), /403 instead of 404/],
  ['anthropic.no-max-tokens', 'another error', replace('invalid_request_error', 'api_error'), /called api_error/],
  ['anthropic.malformed', 'another status', instead(403, '{}'), /403 instead of 400/],
  ['native.chat', 'not done', replace('"done":true', '"done":false'), /done/],
  [
    'native.chat-stream',
    'an error in the last line',
    text((body) => `${body.split('\n').slice(0, 3).join('\n')}\n{"error":"died"}\n`),
    /message|model/,
  ],
  ['native.chat-stream', 'a broken line', replace('{"model"', '<'), /line 1/],
  ['native.chat-stream', 'SSE by name', headers({ 'content-type': 'text/event-stream' }), /x-ndjson/],
  ['native.generate', 'no response', replace('"response"', '"answer"'), /response/],
  ['streaming.not-packed', 'a packed stream', headers({ 'content-encoding': 'gzip' }), /gzip/],
]

describe('a gateway that spoils answers', () => {
  let gateway: Awaited<ReturnType<typeof spoiling>> | undefined

  afterEach(async () => {
    await gateway?.close()
    gateway = undefined
  })

  const only = async (id: string, fault: Fault, delayMs?: number, capabilities = vision): Promise<Result> => {
    gateway = await spoiling(fault, delayMs)
    const check = probes(targetAt(gateway.port, 'qwen3:0.6b', capabilities)).find((each) => each.id === id)
    if (!check) throw new Error(`no check is called ${id}`)
    return observe(check, look)
  }

  it.each(faults)('%s notices %s', async (id, _what, fault, saw) => {
    expect(await only(id, fault)).toMatchObject({
      state: 'missed',
      saw: expect.stringMatching(saw),
      remedy: expect.stringMatching(/./),
    })
  })

  it('streaming.no-buffering notices words that come all at once', async () => {
    engine.faults({ tokenDelayMs: 20 })
    const result = await only('streaming.no-buffering', (answer) => answer)
    expect(result).toMatchObject({ state: 'missed', saw: expect.stringContaining('at once') })
  })

  it('streaming.first-event-early notices a first word that waits for the last', async () => {
    engine.faults({ tokenDelayMs: 40 })
    const result = await only('streaming.first-event-early', (answer) => answer)
    expect(result).toMatchObject({ state: 'missed', saw: expect.stringContaining('late') })
  })

  it('performance.overhead notices a slow gateway and prints both sides', async () => {
    const result = await only('performance.overhead', (answer) => answer, 25)
    expect(result).toMatchObject({
      state: 'missed',
      saw: expect.stringMatching(/directly p50 .* p99 .*through the gateway p50/),
    })
  })

  it('passes all other checks when it spoils nothing', async () => {
    gateway = await spoiling((answer) => answer)
    const checks = probes(targetAt(gateway.port, 'qwen3:0.6b', vision))
    const results = await observeAll(
      checks.filter(({ id }) => !/^(streaming|performance)\./.test(id)),
      look,
    )
    expect(states(results, 'missed')).toEqual([])
  })

  it('is noticed by a check for everything that is checked', () => {
    const noticed = new Set(faults.map(([id]) => id))
    const plain = ['openai.parameters', 'openai.system-role', 'openai.content-parts', 'openai.multi-turn']
    const elsewhere = ['openai.thinking', 'anthropic.thinking', 'performance.overhead']
    const ids = probes(targetAt(1, 'qwen3:0.6b', vision)).map(({ id }) => id)
    const rest = ids.filter((id) => !noticed.has(id) && !id.startsWith('streaming.'))
    expect(rest.sort()).toEqual([...plain, ...elsewhere].sort())
  })
})

describe('thinking', () => {
  it.each([
    ['openai.thinking', replace('"content":"', '"content":"<think>x</think>'), /left in the answer/],
    ['anthropic.thinking', replace(/"thinking":"[^"]*"/, '"thinking":""'), /empty/],
  ] as [string, Fault, RegExp][])('%s notices thinking in the wrong place', async (id, fault, saw) => {
    const gateway = await spoiling(fault)
    const target = targetAt(gateway.port, 'deepseek-r1:70b', ['completion', 'thinking'])
    const check = probes(target).find((each) => each.id === id)
    const result = check && (await observe(check, look))
    await gateway.close()
    expect(result).toMatchObject({ state: 'missed', saw: expect.stringMatching(saw) })
  })
})

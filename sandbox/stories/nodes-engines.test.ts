import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { rowOf } from '../../lib/haproxy/runtime.ts'
import { valuesOf } from '../../lib/host/wire.ts'
import { generateKey } from '../../lib/people/key.ts'
import { places } from '../../lib/platform/mac/places.ts'
import { triedVersions } from '../attacks/versions/each.ts'
import { ask, bytesOf, came, chat } from '../lab/asking.ts'
import { authority } from '../lab/certificates.ts'
import { type Engine, startEngine } from '../lab/engine.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { entry } from '../lab/losses.ts'
import { listening, onTo } from '../lab/onward.ts'
import { dial } from '../lab/raw.ts'
import { json } from '../lab/recorder.ts'

const secret = 'sk-engine-0123456789'
const asker = generateKey()

describe.each(triedVersions)('engines of each kind behind $title', ({ program }) => {
  const kinds = ['ollama', 'vllm', 'llamacpp', 'lmstudio', 'mlx'] as const
  let folder: string
  let engines: Record<(typeof kinds)[number], Engine>
  let gateway: RunningGateway
  const servers: Server[] = []
  const bearer = [`Authorization: Bearer ${asker}`]

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'nodes-'))
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text, { mode: 0o600 })
      return join(folder, name)
    }
    const [mine, strange] = [authority('mine'), authority('strange')]
    const started = await Promise.all(kinds.map((kind) => startEngine(kind, kind, [`${kind}-own`])))
    engines = Object.fromEntries(kinds.map((kind, at) => [kind, started[at]])) as typeof engines
    const behind = (name: string) => {
      const place = () => ({ address: '127.0.0.1', port: engines.vllm.port })
      const server = createTlsServer(mine.server(name), onTo(place))
      servers.push(server)
      return listening(server)
    }
    const [port, posing, other] = [await behind('localhost'), await behind('elsewhere'), await behind('localhost')]
    const nodes = kinds
      .filter((kind) => kind !== 'vllm')
      .map((kind) => `  ${kind}: { address: 127.0.0.1, port: ${engines[kind].port}, engine: ${kind} }\n`)
    gateway = await startGateway({
      enginePort: engines.ollama.port,
      haproxy: await program(),
      registry: { version: 1, keys: { ann: entry(asker) } },
      settings: `role: gateway
access: keys
log: requests
groups: [agents, native, completions, embeddings]
nodes:
${nodes.join('')}  vllm: { address: localhost, port: ${port}, engine: vllm, key: 'file:${file('key', `${secret}\n`)}', tls: ${file('ca.pem', mine.cert)} }
  posing: { address: localhost, port: ${posing}, engine: vllm, tls: ${file('ca.pem', mine.cert)} }
  strange: { address: localhost, port: ${other}, engine: vllm, tls: ${file('strange.pem', strange.cert)} }
`,
    })
  })
  afterAll(async () => {
    await gateway?.stop()
    for (const server of servers) server.close()
    for (const engine of Object.values(engines ?? {})) await engine.recorder.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  beforeEach(() => {
    for (const engine of Object.values(engines)) Object.assign(engine, { asked: [], answers: json() })
  })
  const send = (body: object | string, path?: string) => ask(gateway, body, { path, headers: bearer })
  const asked = () => Object.values(engines).reduce((sum, engine) => sum + engine.asked.length, 0)
  const status = async (name: string) =>
    rowOf((await gateway.machine.ask(places(gateway.home).adminSocket, 'show stat')) ?? '', 'inference', name)?.status

  test('each is asked for what it listed, and an engine behind TLS by its authority', async () => {
    for (const kind of kinds) expect(came(await send(chat(`${kind}-own`)))).toEqual([200, kind])
  })

  test('those that answer any name, or would download it, are asked for none but their own', async () => {
    for (const model of ['gpt-4o', 'lmstudio', 'mlx-own2', 'llamacpp-own/x', 'default_model'])
      expect((await send(chat(model)))?.status).toBe(404)
    expect(asked()).toBe(0)
  })

  test('a certificate of another authority, or for another name, brings nobody in', async () => {
    await eventually('they are down', async () => {
      const seen = [await status('posing'), await status('strange')]
      return seen.every((one) => one?.startsWith('DOWN'))
    })
    expect(came(await send(chat('vllm-own')))).toEqual([200, 'vllm'])
  })

  test('rows go to the engines that have them', async () => {
    expect((await send({ model: 'mlx-own', input: 'x' }, '/v1/embeddings'))?.status).toBe(404)
    expect((await send({ model: 'mlx-own', messages: [] }, '/v1/messages'))?.status).toBe(404)
    expect((await send({ model: 'vllm-own', prompt: 'x' }, '/api/generate'))?.status).toBe(404)
    expect((await send({ model: 'vllm-own', input: 'x' }, '/v1/embeddings'))?.status).toBe(200)
    expect(engines.mlx.asked).toEqual([])
  })

  test('the client’s key ends at the gateway; an engine’s goes to that engine alone, and to no client and no log', async () => {
    const replies = []
    for (const kind of kinds) replies.push(await send(chat(`${kind}-own`)))
    for (const kind of kinds) {
      const { received } = engines[kind].recorder
      expect(received.map(({ head }) => head.text).join('')).not.toContain(asker)
      // HAProxy’s checks of those without a key say an empty one.
      const keys = new Set(
        received.flatMap(({ head }) => valuesOf(head, 'authorization').filter((value) => value !== 'Bearer')),
      )
      expect(keys).toEqual(new Set(kind === 'vllm' ? [`Bearer ${secret}`] : []))
    }
    expect(engines.vllm.asked.length).toBe(1)
    expect(replies.map((reply) => reply?.head.text + (reply?.body ?? '')).join('')).not.toContain(secret)
    expect(gateway.log().join('')).not.toMatch(new RegExp(`${secret}|${asker}`))
  })

  test.each([
    '{"model":"vllm-own","n":9}',
    '{"model":"vllm-own","best_of" : 20}',
    '{"model":"vllm-own","n_cmpl":10,"x":1}',
    '{"model":"vllm-own","n":"5000"}',
    '{"model":"vllm-own","n":1,"n":5000}',
    '{"model":"vllm-own","\\u006e":5000}',
    '{"model":"vllm-own","best\\u005Fof" : 5000}',
    '{"model":"vllm-own","n":1e3}',
    '{"model":"vllm-own","tools":[{"n":20}],"n":1,"n":9}',
    `{"model":"vllm-own","x":${'['.repeat(20_000)}${']'.repeat(20_000)},"n":9}`,
    `{"model":"vllm-own","prompt":[${Array.from({ length: 9 }, () => '"a [,] \\" b"').join(', ')}]}`,
    `{"model":"vllm-own","prompt":[${Array.from({ length: 9 }, () => '[1,2]').join()}]}`,
  ])('one request asks for no more than eight answers: %s', async (text) => {
    for (const path of ['/v1/completions', '/v1/chat/completions']) {
      const reply = await send(text, path)
      expect([reply?.status, JSON.parse(reply?.body ?? '').error.message]).toEqual([
        400,
        expect.stringContaining('8 answers'),
      ])
    }
    expect(asked()).toBe(0)
  })

  test('all that HAProxy can hold of a body is waited for before it is looked through', async () => {
    const text = `{"model":"vllm-own","x":"${'x'.repeat(90_000)}","n":9,"y":"${'y'.repeat(110_000)}"}`
    const bytes = bytesOf(gateway, text, { headers: bearer })
    const client = await dial(gateway)
    client.send(bytes.subarray(0, 75_000))
    // What would have been passed on by then is with the engine.
    for (let at = 0; at < 5; at += 1) expect(came(await send(chat('mlx-own')))).toEqual([200, 'mlx'])
    client.send(bytes.subarray(75_000))
    expect((await client.settled(1))[0]?.status).toBe(400)
    client.hangUp()
    expect(engines.vllm.asked).toEqual([])
  })

  test.each([
    '{"model":"vllm-own","n":8}',
    '{"model":"vllm-own","n":null,"best_of": 2 }',
    `{"model":"vllm-own","prompt":[${Array.from({ length: 8 }, () => '"a"').join()}]}`,
    `{"model":"vllm-own","prompt":[${Array.from({ length: 30 }, (_, at) => at).join()}]}`,
    '{"model":"vllm-own","messages":[{"role":"user","content":"{\\"n\\": 5000}"}]}',
    '{"model":"vllm-own","n":2,"tools":[{"example":{"n":20,"prompt":[1]}},{"best_of":9}]}',
    '{"model":"vllm-own","tools":[{"parameters":{"properties":{"n":{"type":"integer"}}}}]}',
  ])('what asks for fewer passes: %s', async (text) => {
    expect(came(await send(text))).toEqual([200, 'vllm'])
  })
})

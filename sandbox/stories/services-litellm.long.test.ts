import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { hostileChecks } from '../../lib/checks/hostile.ts'
import { renewServiceKeys } from '../../lib/parts/services.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { triedVersions } from '../attacks/versions/each.ts'
import { authority, pem } from '../lab/certificates.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { notOk, proofs, reported } from '../lab/proofs.ts'
import { exchange, request } from '../lab/raw.ts'
import { type Answer, json, type Recorder, startRecorder } from '../lab/recorder.ts'
import { startLitellm } from '../services/litellm.ts'
import type { Serving } from '../services/program.ts'

const name = 'openai.example.net'
const port = 12_443
const [secret, master] = [generateKey(), `sk-${generateKey()}`]
const registry = {
  version: 1 as const,
  keys: { ann: { created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(secret) }] } },
}
const choice = (more: object) =>
  JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'm', choices: [more] })

/** An engine behind LiteLLM that speaks OpenAI's way. */
const engine: Answer = (wire, received) => {
  if (!/"stream": ?true/.test(received.body.toString()))
    return json(choice({ index: 0, message: { role: 'assistant', content: 'whole' }, finish_reason: 'stop' }))(
      wire,
      received,
    )
  wire.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
  for (const word of ['one ', 'two ', 'three'])
    wire.chunk(
      `data: ${choice({ index: 0, delta: { content: word } }).replace('completion"', 'completion.chunk"')}\n\n`,
    )
  wire.chunk('data: [DONE]\n\n')
  wire.end()
}

describe.each(triedVersions)('a real LiteLLM behind $title', ({ program }) => {
  const folder = mkdtempSync(join(tmpdir(), 'litellm-'))
  let recorder: Recorder
  let gateway: RunningGateway
  let litellm: Serving
  let why: string | undefined

  beforeAll(async () => {
    const haproxy = await program().catch((error: Error) => {
      why = error.message
      return undefined
    })
    if (why !== undefined) return
    recorder = await startRecorder(engine)
    litellm = await startLitellm({ folder, masterKey: master, models: { lab: `http://127.0.0.1:${recorder.port}/v1` } })
    gateway = await startGateway({
      ...{ enginePort: recorder.port, registry },
      settings: `access: keys
tls: { ${name}: own-ca }
services:
  openai: { kind: litellm, name: ${name}, port: ${port}, backend: 'localhost:${litellm.port}', key: 'file:~/litellm.key' }
`,
      certificates: { [`${name}.pem`]: pem(authority('a test').server(name)) },
      ...(haproxy ? { haproxy } : {}),
    })
    await gateway.machine.write(`${gateway.home}/litellm.key`, `${master}\n`, 0o600)
    await renewServiceKeys(gateway.machine, gateway.gateway.settings)
  })
  beforeEach(({ skip }) => skip(why !== undefined, why))
  afterAll(async () => {
    await gateway?.stop()
    await litellm?.stop()
    await recorder?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const ask = (row: string, key: string | undefined, body?: string) =>
    exchange(
      { address: gateway.address, port, tls: { servername: name } },
      request(
        `${row} HTTP/1.1`,
        [`Host: ${name}:${port}`, ...(key ? [`Authorization: Bearer ${key}`] : []), 'Content-Type: application/json'],
        body,
      ),
      1,
      120_000,
    )
  /** The same; on a busy machine it may be silent for so long that the gateway takes it for down, and says to try again. */
  const answered = async (...asked: Parameters<typeof ask>) => {
    let answer = await ask(...asked)
    await eventually(
      'it answers',
      async () => {
        if (answer.status === 503) answer = await ask(...asked)
        return answer.status !== 503
      },
      60_000,
    )
    return answer
  }
  const chat = (more: object = {}) =>
    JSON.stringify({ model: 'lab', messages: [{ role: 'user', content: 'x' }], ...more })

  test('lists its models and answers, whole and as a stream, to a key of the gateway’s', async () => {
    await eventually('it is up', async () => (await ask('GET /v1/models', secret)).status === 200, 60_000)
    expect((await ask('GET /v1/models', secret)).body).toContain('"lab"')
    const whole = await answered('POST /v1/chat/completions', secret, chat())
    expect([whole.status, whole.body.includes('whole')]).toEqual([200, true])
    expect(Object.keys(whole.headers).filter((header) => /litellm|llm_provider/.test(header))).toEqual([])
    const stream = await answered('POST /v1/chat/completions', secret, chat({ stream: true }))
    expect(stream.body).toMatch(/one [\s\S]*two [\s\S]*three/)
  })

  test('its master key is none of the gateway’s', async () => {
    expect((await ask('GET /v1/models', master)).status).toBe(401)
    expect((await ask('GET /v1/models', undefined)).status).toBe(401)
  })

  test('test.ts finds no fault, and nothing that it would answer to anybody gets through', async () => {
    const all = await reported(gateway, recorder.port, (target) => [
      ...proofs(gateway)(target),
      ...hostileChecks(target, gateway.gateway),
    ])
    const mine = all.filter(({ id }) => /^(hostile\.)?services\./.test(id))
    expect(notOk(mine)).toEqual([])
    expect(mine.length).toBeGreaterThan(25)
  })
})

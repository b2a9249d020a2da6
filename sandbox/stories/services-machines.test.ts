import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { hostileChecks } from '../../lib/checks/hostile.ts'
import { renewServiceKeys } from '../../lib/parts/services.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { places } from '../../lib/platform/mac/places.ts'
import { authority, pem } from '../lab/certificates.ts'
import { eventually, ownAddress, type RunningGateway, startGateway, withoutLine } from '../lab/gateway.ts'
import { answering, notOk, proofs, reported } from '../lab/proofs.ts'
import { exchange, request } from '../lab/raw.ts'
import { bytes, events, json, type Received, type Recorder, startRecorder } from '../lab/recorder.ts'
import { type ApiStandIn, startApi } from '../services/api.ts'

const name = (of: string) => `${of}.example.net`
const names = ['ai', 'chat', 'openai', 'vllm', 'qdrant'].map(name)
const ca = authority('a test')
const certificates = Object.fromEntries(names.map((one) => [`${one}.pem`, pem(ca.server(one))]))
const secrets = { bob: generateKey(), narrow: generateKey(), slow: generateKey(), listed: generateKey() }
const entry = (secret: string, more: object = {}) => ({
  ...{ created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(secret) }] },
  ...more,
})
const registry = {
  version: 1 as const,
  keys: {
    bob: entry(secrets.bob),
    narrow: entry(secrets.narrow, { groups: ['anthropic'] }),
    slow: entry(secrets.slow, { burst: 2 }),
    listed: entry(secrets.listed, { models: ['qwen3*'] }),
  },
}
const bearer = (secret: string) => `Authorization: Bearer ${secret}`

describe('what programs ask', () => {
  const [lan, open] = [ownAddress(), ownAddress()]
  let engine: Recorder
  let litellm: ApiStandIn
  let vllm: ApiStandIn
  let qdrant: ApiStandIn
  let gateway: RunningGateway

  const settings = () => `log: requests
tls: { ${names.map((one) => `${one}: own-ca`).join(', ')} }
listeners:
  lan: { addresses: [${lan}], sources: [192.168.78.0/24], port: 8443 }
  public: { addresses: [${open}], port: 8443 }
services:
  chat: { kind: open-webui, name: chat.example.net, backend: '127.0.0.1:9', listeners: [public] }
  openai: { kind: litellm, name: openai.example.net, backend: '127.0.0.1:${litellm.port}', listeners: [public], key: 'file:~/litellm.key', sign_in: chat }
  gpu: { kind: vllm, name: vllm.example.net, port: 8000, backend: '127.0.0.1:${vllm.port}', listeners: [lan], key: 'file:~/vllm.key' }
  vectors: { kind: qdrant, name: qdrant.example.net, port: 6333, backend: '127.0.0.1:${qdrant.port}', listeners: [lan], key: 'file:~/qdrant.key' }
`
  beforeAll(async () => {
    engine = await startRecorder(answering)
    litellm = await startApi('litellm', '/health/readiness')
    vllm = await startApi('vllm', '/health')
    qdrant = await startApi('qdrant', '/readyz')
    gateway = await startGateway({
      ...{ enginePort: engine.port, settings: settings(), certificates, registry },
    })
    for (const of of ['litellm', 'vllm', 'qdrant'])
      await gateway.machine.write(`${gateway.home}/${of}.key`, `key-of-${of}\n`, 0o600)
    await renewServiceKeys(gateway.machine, gateway.gateway.settings)
  })
  afterAll(async () => {
    await gateway?.stop()
    for (const one of [engine, litellm, vllm, qdrant]) await one?.stop()
  })
  beforeEach(() => {
    for (const one of [litellm, vllm, qdrant]) {
      one.asked.length = 0
      one.answers = json(`{"from":"${one.name}"}`)
    }
  })

  const doors = { openai: [open, 8443], vllm: [lan, 8000], qdrant: [lan, 6333] } as const
  type Api = keyof typeof doors
  const ask = (api: Api, row: string, headers: string[] = [bearer(secrets.bob)], body?: string) => {
    const [address, port] = doors[api]
    return exchange(
      { address, port, tls: { servername: name(api) } },
      request(`${row} HTTP/1.1`, [`Host: ${name(api)}:${port}`, ...headers], body),
    )
  }
  const header = (received: Received | undefined, wanted: string): string[] =>
    (received?.head.headers ?? []).flatMap(([one, value]) => (one === wanted ? [value] : []))

  test('a caller shows a key of the gateway’s, and the service gets its own in its place', async () => {
    const given = [
      ['openai', litellm, 'POST /v1/chat/completions', 'authorization', 'Bearer key-of-litellm'],
      ['vllm', vllm, 'POST /v1/completions', 'authorization', 'Bearer key-of-vllm'],
      ['qdrant', qdrant, 'POST /collections/notes/points/search', 'api-key', 'key-of-qdrant'],
    ] as const
    for (const [api, standIn, row, where, key] of given) {
      const { status, body } = await ask(
        api,
        row,
        [bearer(secrets.bob), 'Cookie: a=b', 'X-Auth-User: root'],
        '{"model":"m"}',
      )
      expect([status, body], row).toEqual([200, `{"from":"${standIn.name}"}`])
      expect(standIn.asked.length).toBe(1)
      expect(header(standIn.asked[0], where)).toEqual([key])
      expect(JSON.stringify(standIn.asked[0]?.head)).not.toMatch(/rop_|root|cookie/)
    }
    const own = await ask('qdrant', 'GET /collections', [`api-key: ${secrets.bob}`])
    expect(own.status).toBe(200)
    expect(header(qdrant.asked[1], 'api-key')).toEqual(['key-of-qdrant'])
  })

  test('nobody gets in without a key, and one opens its own groups only', async () => {
    for (const [api, row] of [
      ['openai', 'GET /v1/models'],
      ['vllm', 'GET /v1/models'],
      ['qdrant', 'GET /collections'],
    ] as const) {
      expect((await ask(api, row, [])).status, api).toBe(401)
      expect((await ask(api, row, [bearer('rop_wrong')])).status, api).toBe(401)
    }
    expect((await ask('openai', 'POST /v1/chat/completions', [bearer(secrets.narrow)], '{"model":"m"}')).status).toBe(
      403,
    )
    expect((await ask('openai', 'POST /v1/messages', [bearer(secrets.narrow)], '{"model":"m"}')).status).toBe(200)
    expect(litellm.asked.length).toBe(1)
  })

  test('limits and lists of models hold for a service as for an engine', async () => {
    const two = [
      await ask('vllm', 'POST /v1/completions', [bearer(secrets.slow)], '{"model":"m"}'),
      await ask('vllm', 'POST /v1/completions', [bearer(secrets.slow)], '{"model":"m"}'),
    ]
    expect(two.map(({ status }) => status)).toEqual([200, 200])
    const third = await ask('openai', 'POST /v1/chat/completions', [bearer(secrets.slow)], '{"model":"m"}')
    expect([third.status, Number(third.headers['retry-after']) > 0]).toEqual([429, true])
    expect((await ask('vllm', 'POST /v1/completions', [bearer(secrets.listed)], '{"model":"other"}')).status).toBe(403)
    const line = () =>
      gateway
        .log()
        .map((one) => JSON.parse(one) as Record<string, string>)
        .find(({ who, status }) => who === 'slow' && `${status}` === '429')
    await eventually('it is in the log', () => line() !== undefined)
    expect(line()).toMatchObject({ denied: 'limits', group: 'openai' })
  })

  test('what is no row never reaches it, however it is written', async () => {
    for (const row of [
      'GET /collections/.hidden',
      'GET /collections/a%2fb',
      'PUT /collections/a/b/points',
      'GET /collections/a?x=/../telemetry',
    ])
      expect((await ask('qdrant', row)).status, row).toBe(row.includes('?') ? 200 : 403)
    expect((await ask('vllm', 'POST /invocations', undefined, '{}')).status).toBe(403)
    expect((await ask('openai', 'POST /v1/chat/completions/', undefined, '{}')).status).toBe(403)
    expect((await ask('openai', 'get /v1/models')).status).toBe(403)
    expect([litellm, vllm].flatMap(({ asked }) => asked)).toEqual([])
  })

  test('a stream passes word by word, and headers that tell of the inside do not', async () => {
    litellm.answers = (wire, received) => events({ count: 3, gap: 30 })(wire, received)
    const { body, status } = await ask('openai', 'POST /v1/chat/completions', undefined, '{"model":"m","stream":true}')
    expect(status).toBe(200)
    expect(body.match(/data: /g)?.length).toBe(3)
    litellm.answers = bytes(
      'HTTP/1.1 200 OK\r\nx-litellm-model-id: secret\r\nllm_provider-server: inside\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}',
    )
    const { headers } = await ask('openai', 'GET /v1/models')
    expect(Object.keys(headers).filter((one) => /litellm|llm_provider/.test(one))).toEqual([])
  })

  test('a browser without a key is sent to sign in, whoever only looks too, and a program is told what it needs', async () => {
    const to = 'https://chat.example.net:8443/oauth/oidc/login'
    const browser = await ask('openai', 'GET /v1/models', ['Accept: text/html,*/*'])
    expect([browser.status, browser.headers.location]).toEqual([302, to])
    const looked = await ask('openai', 'HEAD /v1/models', ['Accept: */*'])
    expect([looked.status, looked.headers.location]).toEqual([302, to])
    expect((await ask('openai', 'GET /v1/models', ['Accept: */*'])).status).toBe(401)
  })

  test('one that is down is told as JSON of its family, and a web page is no answer of it', async () => {
    litellm.answers = bytes(
      'HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 6\r\n\r\n<html>',
    )
    const html = await ask('openai', 'GET /v1/models')
    expect([html.status, html.headers['content-type']]).toEqual([502, 'application/json'])
    expect(html.body).toContain('a web page came instead of an answer of LiteLLM')
    const found = notOk(await reported(gateway, engine.port, proofs(gateway))).find(
      ({ id }) => id === 'services.openai-answers',
    )
    expect(found?.remedy).toContain('kind: page')
    await vllm.stop()
    await eventually('it is down', async () => (await ask('vllm', 'GET /v1/models')).status === 503)
    const { body, headers } = await ask('vllm', 'GET /v1/models')
    expect(headers['retry-after']).toBe('5')
    expect(JSON.parse(body)).toMatchObject({ error: { message: expect.stringContaining('vLLM does not answer') } })
    await vllm.start()
    await eventually('it is back', async () => (await ask('vllm', 'GET /v1/models')).status === 200)
  })

  test('a key that its owner has changed counts at once', async () => {
    await gateway.machine.write(`${gateway.home}/vllm.key`, 'another\n', 0o600)
    await renewServiceKeys(gateway.machine, gateway.gateway.settings)
    await ask('vllm', 'GET /v1/models')
    expect(header(vllm.asked[0], 'authorization')).toEqual(['Bearer another'])
    expect((await gateway.machine.stat(`${places(gateway.home).keyMaps}/services-keys.map`))?.mode).toBe(0o600)
  })

  test('test.ts --hostile asks every row that is closed, and finds no fault; without the rule that closes them it does', async () => {
    const hostile = (one: RunningGateway) =>
      reported(one, engine.port, (target) =>
        hostileChecks(target, one.gateway).filter(({ id }) => id.startsWith('hostile.services.')),
      )
    const checks = await hostile(gateway)
    expect(notOk(checks)).toEqual([])
    expect(checks.length).toBeGreaterThan(60)
    expect([litellm, vllm, qdrant].flatMap(({ asked }) => asked)).toEqual([])
    const open = await startGateway({
      ...{ enginePort: engine.port, settings: settings(), certificates, registry },
      alter: withoutLine(/is no endpoint of (LiteLLM|vLLM|Qdrant) here/),
    })
    try {
      expect(notOk(await hostile(open)).length).toBeGreaterThan(50)
    } finally {
      await open.stop()
    }
  })
})

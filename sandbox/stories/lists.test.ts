import { rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { swap } from '../../lib/haproxy/reload.ts'
import { parseEnded } from '../../lib/observer/ended.ts'
import { listing } from '../../lib/observer/serving.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { keep } from '../../lib/people/store.ts'
import { places } from '../../lib/platform/mac/places.ts'
import type { Entry } from '../../lib/site/limits.ts'
import { emptyReceipt } from '../../lib/site/receipt.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { type Exchange, exchange, request } from '../lab/raw.ts'
import { json, type Recorder, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway
const [limited, other, free] = [generateKey(), generateKey(), generateKey()]
const entry = (key: string, more: Partial<Entry> = {}): Entry => ({
  created: '2026-01-01T00:00:00.000Z',
  hashes: [{ sha256: hashKey(key) }],
  ...more,
})
const settings = 'access: keys\ngroups: [agents, native]\nlog: requests'
const registry = {
  version: 1 as const,
  keys: { bob: entry(limited, { models: ['team/*'] }), eve: entry(other, { models: ['qwen3'] }), ann: entry(free) },
}

/** So many models that a list of them is far longer than a line of a map, and one of another name. */
const installed = [...Array.from({ length: 500 }, (_, at) => `team/model-${at}:latest`), 'qwen3:latest']
const modified_at = '2026-11-01T10:00:00.123456789Z'
const details = {
  format: 'gguf',
  family: 'qwen3',
  families: ['qwen3'],
  parameter_size: '0.6B',
  quantization_level: 'Q4',
}
const answers: Record<string, string> = {
  '/api/tags': JSON.stringify({
    models: installed.map((name) => ({ name, model: name, modified_at, size: 1, digest: 'a'.repeat(64), details })),
  }),
  '/v1/models': JSON.stringify({
    object: 'list',
    data: installed.map((id) => ({ id, object: 'model', created: 1, owned_by: 'library' })),
  }),
}
const answering: Recorder['answer'] = (wire, received) => json(answers[received.target])(wire, received)

const ask = (line: string, key = limited): Promise<Exchange> =>
  exchange(gateway, request(`${line} HTTP/1.1`, [`Host: ${gateway.host}`, `Authorization: Bearer ${key}`]))
const socket = () => places(gateway.home).listsSocket
const names = (text: string): string[] => {
  const { data, models } = JSON.parse(text) as { data?: { id: string }[]; models?: { name: string }[] }
  return (data ?? models ?? []).map((one) => ('id' in one ? one.id : one.name))
}
const observe = () =>
  listing(() => ({ ...gateway.gateway.settings, engine: { port: engine.port } })).run(gateway.machine)

beforeAll(async () => {
  engine = await startRecorder()
  engine.answer = answering
  gateway = await startGateway({ enginePort: engine.port, settings, registry })
})
afterAll(async () => {
  await gateway?.stop()
  await engine?.stop()
})

describe('a list of 500 models', () => {
  let stranger: Server | undefined

  beforeEach(async () => {
    engine.answer = answering
    engine.received.length = 0
  })
  afterEach(async () => {
    stranger?.close()
    stranger = undefined
    await rm(socket(), { force: true })
  })

  test('is whole and right in both families, and so is a short one', async () => {
    await observe()
    const [v1, api] = [await ask('GET /v1/models'), await ask('GET /api/tags')]
    const mine = installed.filter((name) => name.startsWith('team/')).sort()
    expect([v1.status, api.status]).toEqual([200, 200])
    expect(names(v1.body).sort()).toEqual(mine)
    expect(names(api.body).sort()).toEqual(mine)
    expect(JSON.parse(api.body).models[7]).toMatchObject({ modified_at, details })
    expect(names((await ask('GET /v1/models', other)).body)).toEqual(['qwen3:latest'])
    expect(names((await ask('GET /api/tags?x=/v1/models/ann', other)).body)).toEqual(['qwen3:latest'])
    expect(names((await ask('GET /v1/models', free)).body)).toHaveLength(installed.length)
    expect((await ask('HEAD /api/tags')).status).toBe(200)
  })

  /** Somebody who takes connections in the observer's place. */
  const inItsPlace = async (answer: string) => {
    stranger = createServer((connection) =>
      connection.on('error', () => {}).end(answer, () => connection.destroy()),
    ).listen(socket())
    await eventually('it listens', () => stranger?.listening === true)
  }

  test.each([
    ['nobody', undefined],
    ['one who hangs up', ''],
    ['one who talks nonsense', 'nonsense\r\n\r\n'],
  ])('is refused with the reason where %s is there to tell it, and is never the list of all', async (_, answer) => {
    if (answer !== undefined) await inItsPlace(answer)
    const [v1, api] = [await ask('GET /v1/models'), await ask('GET /api/tags')]
    const reason = /^Gateway: the observer of this server does not answer, and it tells which models bob may see/
    expect([v1.status, JSON.parse(v1.body).error.message]).toEqual([503, expect.stringMatching(reason)])
    expect([api.status, JSON.parse(api.body).error]).toEqual([503, expect.stringMatching(reason)])
    expect(v1.headers).toMatchObject({ 'retry-after': '5' })
    expect(Object.keys(v1.headers)).not.toContain('x-denied-by')
    expect(engine.received).toEqual([])
    const written = () =>
      gateway
        .log()
        .map(parseEnded)
        .filter((ended) => ended?.status === 503)
    await eventually('both are written down', () => new Set(written().map((ended) => ended?.path)).size === 2)
    for (const ended of written()) expect(ended).toMatchObject({ end: 'denied', denied: 'lists' })
    expect((await ask('GET /v1/models', free)).status).toBe(200)
  })

  test('is refused with the reason while Ollama gives none that can be read', async () => {
    await observe()
    engine.answer = json('{"models":[{"id":"qw')
    const answer = await ask('GET /api/tags')
    expect([answer.status, JSON.parse(answer.body).error]).toEqual([
      503,
      expect.stringContaining('Ollama does not tell'),
    ])
  })

  test('is heard of nobody but whom the settings in force name', async () => {
    await observe()
    const late = generateKey()
    const known = `${gateway.home}/.haproxy/keys/lists.json`
    const keys = { ...registry.keys, late: entry(late, { models: ['qwen3'] }) }
    await keep(gateway.machine, { version: 1, keys }, gateway.gateway.settings)
    expect(names((await ask('GET /v1/models', late)).body)).toEqual(['qwen3:latest'])
    await gateway.machine.write(known, '[]')
    const answer = await ask('GET /v1/models', late)
    expect([answer.status, JSON.parse(answer.body).error.message]).toEqual([
      503,
      expect.stringContaining('not in force'),
    ])
    await keep(gateway.machine, registry, gateway.gateway.settings)
  })

  test('comes again by itself when the socket was removed', async () => {
    await observe()
    await rm(socket())
    expect((await ask('GET /v1/models')).status).toBe(503)
    await observe()
    expect((await ask('GET /v1/models')).status).toBe(200)
  })

  test('without the observer is refused where it is too long for a map, while a short one is told', async () => {
    const configuration = gateway.rendered(`${settings}\nobserver: off`)
    await keep(gateway.machine, registry, {
      ...gateway.gateway.settings,
      observer: 'off',
      engine: { port: engine.port },
    })
    await swap(gateway.machine, { receipt: emptyReceipt(), configuration, haproxy: gateway.program })
    const answer = await ask('GET /v1/models')
    expect([answer.status, JSON.parse(answer.body).error.message]).toEqual([
      503,
      expect.stringContaining('the models of bob are not known to this gateway'),
    ])
    expect((await ask('GET /api/tags')).status).toBe(503)
    expect(names((await ask('GET /api/tags', other)).body)).toEqual(['qwen3:latest'])
    expect(engine.received.filter(({ head }) => head.text.includes(gateway.host))).toEqual([])
  })
})

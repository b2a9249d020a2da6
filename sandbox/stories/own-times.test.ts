import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { streams } from '../../lib/haproxy/streams.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { openRows } from '../../lib/site/endpoints.ts'
import type { Limits, Registry } from '../../lib/site/limits.ts'
import { haproxyOf } from '../attacks/versions/debian.ts'
import { eventually, program, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { type Client, dial } from '../lab/raw.ts'
import { type Answer, type Answering, json, type Received, type Recorder, startRecorder } from '../lab/recorder.ts'

/** Each asks on its own way through the rules: without more limits, with the others that few have, with a list of models, by the other header. */
const ways: Record<string, Partial<Limits>> = {
  simple: {},
  limited: { perMinute: 1000, concurrent: 60, burst: 1000, waiting: 60 },
  listed: { models: ['qwen3:0.6b'] },
  'listed-limited': { models: ['qwen3:0.6b'], perMinute: 1000, concurrent: 60 },
}
const rows = openRows(['openai', 'responses', 'anthropic', 'embeddings', 'native', 'completions']).filter(
  ({ backend }) => backend === 'inference',
)
const model = '"model":"qwen3:0.6b"'

/** How a request may be written; a list of models takes none without a length. */
const forms: Record<string, { path?: string; key?: (secret: string) => string; body: string; chunked?: boolean }> = {
  plain: { body: `{${model}}` },
  'with a query': { path: '?beta=true', body: `{${model}}` },
  'by x-api-key': { key: (secret) => `x-api-key: ${secret}`, body: `{${model}}` },
  'of 150 KB': { body: `{${model},"x":"${'x'.repeat(150_000)}"}` },
  'without a length': { body: `{${model}}`, chunked: true },
}

const secrets = new Map<string, string>()
function registryOf(keys: Record<string, Partial<Limits>>): Registry {
  const entries = Object.entries(keys).map(([name, limits]) => {
    const secret = generateKey()
    secrets.set(name, secret)
    return [name, { ...limits, created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(secret) }] }]
  })
  return { version: 1, keys: Object.fromEntries(entries) }
}

const lists: Record<string, string> = {
  '/v1/models': '{"object":"list","data":[{"id":"qwen3:0.6b"}]}',
  '/api/tags': '{"models":[{"name":"qwen3:0.6b"}]}',
}
/** Lists are answered, as the gateway asks for them itself; whatever else as told. */
let answer: Answer = () => {}
const answers = (wire: Answering, request: Received) =>
  lists[request.target] === undefined ? answer(wire, request) : json(lists[request.target])(wire, request)
const begins: Answer = (wire) => {
  wire.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
  wire.chunk('data: one\n\n')
}

let engine: Recorder
let gateway: RunningGateway | undefined
let clients: Client[] = []
beforeAll(async () => {
  engine = await startRecorder(answers)
})
afterEach(async () => {
  for (const client of clients) client.hangUp()
  clients = []
})
afterAll(() => engine?.stop())

const chunked = (body: string) => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`

async function open(at: RunningGateway, who: string, path: string, form = 'plain'): Promise<Client> {
  const { body, key, path: query = '', chunked: without } = forms[form] ?? { body: '' }
  const secret = secrets.get(who) ?? ''
  const client = await dial(at)
  clients.push(client)
  const head = [
    `POST ${path}${query} HTTP/1.1`,
    `Host: ${at.host}`,
    key?.(secret) ?? `Authorization: Bearer ${secret}`,
    without ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`,
  ]
  client.send(`${head.join('\r\n')}\r\n\r\n${without ? chunked(body) : body}`)
  return client
}

/** Every row in every form for this key, 25 at a time: what came, and after how many ms. */
async function everyWay(at: RunningGateway, who: string, seen: (client: Client) => Promise<string>): Promise<string[]> {
  const listed = ways[who]?.models !== undefined
  const all = rows.flatMap(({ path }) =>
    Object.keys(forms)
      .filter((form) => !(listed && forms[form]?.chunked))
      .map((form) => ({ path, form })),
  )
  const wrong: string[] = []
  for (let from = 0; from < all.length; from += 25) {
    const found = all.slice(from, from + 25).map(async ({ path, form }) => {
      const said = await seen(await open(at, who, path, form))
      if (said !== 'right') wrong.push(`${path} ${form}: ${said}`)
    })
    await Promise.all(found)
  }
  return wrong
}

/** What is wrong with an end that was to come of this status. */
async function ends(client: Client, status: number): Promise<string> {
  const [reply] = await client.settled(1, 15_000)
  return reply?.status === status ? 'right' : `${reply?.status ?? 'no answer'} ${reply?.body.slice(0, 100)}`
}

describe('a key’s own times hold on every path, in every form of a request', () => {
  const own = { firstByte: 1, silence: 1 }
  beforeAll(async () => {
    // The group's are longer, so that they show where the key's own were lost; those of embeddings are not.
    const settings =
      'access: keys\nlog: errors\ngroups: [agents, native, embeddings, completions]\ninference: { slots: 64 }\ntimeouts: { first_byte: 40s, silence: 40s, groups: { embeddings: { first_byte: 1s, silence: 1s } } }'
    const keys = Object.entries(ways).map(([name, more]) => [name, { ...more, ...own }])
    const registry = registryOf({
      ...Object.fromEntries(keys),
      untimed: {},
      bursty: { burst: 1000 },
    })
    gateway = await startGateway({ enginePort: engine.port, settings, registry })
  })
  afterAll(async () => {
    await gateway?.stop()
    gateway = undefined
  })
  const running = () => gateway as RunningGateway

  test.each(Object.keys(ways))('the first byte, of the key %s: 504', async (who) => {
    answer = () => {}
    expect(await everyWay(running(), who, (client) => ends(client, 504))).toEqual([])
  })

  test.each(Object.keys(ways))('silence, of the key %s: the answer is cut', async (who) => {
    answer = begins
    const cut = async (client: Client) => {
      if (!(await client.sees('data: one'))) return `no answer: ${client.bytes().toString().slice(0, 200)}`
      return (await client.ended(15_000)) === 'open' ? 'it goes on' : 'right'
    }
    expect(await everyWay(running(), who, cut)).toEqual([])
  })

  test.each(['untimed', 'bursty'])('of a key without times, %s, those of the group hold, and no other', async (who) => {
    answer = () => {}
    expect(await ends(await open(running(), who, '/v1/embeddings'), 504)).toBe('right')
    const longer = await open(running(), who, '/v1/messages')
    await eventually('it runs', async () => (await streams(running().machine)).length === 1)
    expect(await longer.settled(1, 2_000)).toEqual([])
  })
})

describe('a key’s own time in the queue', () => {
  test.for(Object.keys(ways))('holds on every path, of the key %s: 429', async (who, context) => {
    const { version } = await program()
    const older = version[0] < 3 || (version[0] === 3 && version[1] < 4)
    const haproxy = older ? await haproxyOf('experimental').catch(() => undefined) : undefined
    if (older && !haproxy) return context.skip('no HAProxy that has it is to be had')
    answer = () => {}
    const registry = registryOf({ [who]: { ...ways[who], queue: 1 }, first: {} })
    const settings =
      'access: keys\nlog: errors\ngroups: [agents, native, embeddings, completions]\ninference: { slots: 1 }\nqueue: { wait: 40s }\ntimeouts: { queue: 40s }'
    const at = await startGateway({ enginePort: engine.port, settings, registry, ...(haproxy ? { haproxy } : {}) })
    try {
      const before = engine.received.length
      await open(at, 'first', '/v1/messages')
      await eventually('the slot is taken', () => engine.received.slice(before).some(({ method }) => method === 'POST'))
      expect(await everyWay(at, who, (client) => ends(client, 429))).toEqual([])
    } finally {
      await at.stop()
    }
  })
})

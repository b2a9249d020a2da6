import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { swap } from '../../lib/haproxy/reload.ts'
import { engineLoad, runningMap } from '../../lib/haproxy/runtime.ts'
import { streams } from '../../lib/haproxy/streams.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { keep } from '../../lib/people/store.ts'
import { places } from '../../lib/platform/mac/places.ts'
import type { Entry, Registry } from '../../lib/site/limits.ts'
import { emptyReceipt } from '../../lib/site/receipt.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { dial, type Exchange, exchange, request } from '../lab/raw.ts'
import { json, type Recorder, silent, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway
const secrets = { alice: generateKey(), bob: generateKey(), old: generateKey(), chatty: generateKey() }
const soon = (ms: number) => new Date(Date.now() + ms).toISOString()
const entry = (key: string, more: Partial<Entry> = {}): Entry => ({
  created: '2026-01-01T00:00:00.000Z',
  hashes: [{ sha256: hashKey(key) }],
  ...more,
})
const registry = (): Registry => ({
  version: 1,
  keys: {
    alice: entry(secrets.alice),
    bob: entry(secrets.bob, { groups: ['anthropic'], perMinute: 3, concurrent: 1 }),
    old: entry(secrets.old, { expires: soon(-1000) }),
  },
})
const chat = '{"model":"m"}'

/** One request with these headers; a POST carries a chat body. */
function ask(line: string, headers: string[] = []): Promise<Exchange> {
  const body = line.startsWith('POST') ? chat : undefined
  return exchange(gateway, request(`${line} HTTP/1.1`, [`Host: ${gateway.host}`, ...headers], body))
}
const bearer = (key: string) => [`Authorization: Bearer ${key}`]
const message = (answer: Exchange): string => {
  const body = JSON.parse(answer.body)
  return body.error.message ?? body.error
}

beforeAll(async () => {
  engine = await startRecorder()
  gateway = await startGateway({ enginePort: engine.port, settings: 'access: keys', registry: registry() })
})
afterAll(async () => {
  await gateway?.stop()
  await engine?.stop()
})
beforeEach(() => {
  engine.answer = json()
  engine.received.length = 0
})

describe('a key', () => {
  test.each([
    ['as a bearer', (key: string) => [`Authorization: Bearer ${key}`]],
    ['in any case and with blanks', (key: string) => [`authorization: bEaReR  ${key}  `]],
    ['in the header of Anthropic’s clients', (key: string) => [`X-Api-Key: ${key}`]],
    [
      'as a bearer beside a wrong other one',
      (key: string) => [`Authorization: Bearer ${key}`, 'x-api-key: sk-ant-nonsense'],
    ],
    ['beside the bearer ollama', (key: string) => ['Authorization: Bearer ollama', `x-api-key: ${key}`]],
    ['beside an empty bearer', (key: string) => ['Authorization: Bearer ', `x-api-key: ${key}`]],
    ['beside an empty Authorization', (key: string) => ['Authorization:', `x-api-key: ${key}`]],
    ['beside Basic', (key: string) => ['Authorization: Basic YTpi', `x-api-key: ${key}`]],
  ])('opens the gateway %s, and the engine never sees it', async (_how, headers) => {
    for (const line of [
      'POST /v1/chat/completions',
      'GET /v1/models',
      'POST /v1/messages?beta=true',
      'GET /api/tags',
    ]) {
      expect((await ask(line, headers(secrets.alice))).status, line).toBe(200)
      const head = engine.received.at(-1)?.head
      expect(JSON.stringify(head)).not.toMatch(/rop_|authorization|api-key|nonsense/i)
    }
  })

  test('that is missing, empty or the word ollama is asked for: 401 with its challenge, 403 under /api/', async () => {
    for (const headers of [
      [],
      bearer('ollama'),
      bearer(''),
      ['x-api-key: '],
      ['x-api-key: ollama'],
      ['Authorization: Bearer ollama', 'x-api-key: ollama'],
      ['Authorization: Basic YTpi', 'x-api-key: '],
      ['Authorization: Basic YTpi'],
    ]) {
      const answer = await ask('POST /v1/chat/completions', headers)
      expect([answer.status, answer.headers['www-authenticate'], answer.headers['x-should-retry']]).toEqual([
        401,
        'Bearer realm="gateway"',
        'false',
      ])
      expect(message(answer)).toMatch(/^Gateway: an API key is needed; send it as Authorization: Bearer KEY/)
      expect((await ask('GET /api/tags', headers)).status).toBe(403)
    }
    expect(engine.received).toEqual([])
  })

  test('that is asked for where none was made yet: the refusals say so, and no longer once there is one', async () => {
    const empty = await startGateway({ enginePort: engine.port, settings: 'access: keys' })
    const says = async (line: string, headers: string[] = []) => {
      const answer = await exchange(empty, request(`${line} HTTP/1.1`, [`Host: ${empty.host}`, ...headers]))
      return [answer.status, message(answer)]
    }
    try {
      const none = expect.stringMatching(
        /^Gateway: no API key was made yet; send it as .* makes one with rop keys add\.$/,
      )
      expect(await says('GET /v1/models')).toEqual([401, none])
      expect(await says('GET /v1/models', bearer('rop_wrong'))).toEqual([401, none])
      expect(await says('GET /api/tags')).toEqual([403, none])
      await keep(empty.machine, registry(), empty.gateway.settings)
      expect(await says('GET /v1/models')).toEqual([401, expect.stringContaining('an API key is needed')])
    } finally {
      await empty.stop()
    }
  })

  test('that is wrong, expired, its own hash, or overruled by a wrong bearer gets 401 in every family', async () => {
    const wrong = [
      bearer('rop_wrong'),
      bearer(secrets.old),
      bearer(hashKey(secrets.alice)),
      [...bearer('wrong'), `x-api-key: ${secrets.alice}`],
    ]
    for (const headers of wrong)
      for (const line of ['POST /v1/messages', 'GET /api/tags', 'POST /nonsense'])
        expect((await ask(line, headers)).status, `${line} ${headers}`).toBe(401)
    expect(message(await ask('GET /v1/models', bearer(secrets.old)))).toBe('Gateway: this API key has expired.')
    expect(engine.received).toEqual([])
  })

  test('given twice is 400, in either header', async () => {
    for (const headers of [
      [...bearer(secrets.alice), ...bearer(secrets.alice)],
      [`x-api-key: ${secrets.alice}`, 'X-API-KEY: x'],
    ])
      expect((await ask('GET /v1/models', headers)).status).toBe(400)
    expect(engine.received).toEqual([])
  })

  test('is not asked for by probes', async () => {
    for (const line of ['GET /', 'HEAD /api/hello', 'GET /healthz']) expect((await ask(line)).status, line).toBe(200)
  })

  test('opens its own groups only, and the refusal names both', async () => {
    expect((await ask('POST /v1/messages', bearer(secrets.bob))).status).toBe(200)
    const refused = await ask('GET /v1/models', bearer(secrets.bob))
    expect([refused.status, message(refused)]).toEqual([403, 'Gateway: bob may not use the group openai.'])
  })
})

describe('limits of a key', () => {
  test('requests a minute: the one too many gets 429 with a wait, others go on, and lists cost nothing', async () => {
    await change({ chatty: entry(secrets.chatty, { perMinute: 3 }) })
    for (let at = 0; at < 5; at += 1) expect((await ask('GET /v1/models', bearer(secrets.chatty))).status).toBe(200)
    for (let at = 0; at < 3; at += 1) expect((await ask('POST /v1/messages', bearer(secrets.chatty))).status).toBe(200)
    const refused = await ask('POST /v1/messages', bearer(secrets.chatty))
    expect([refused.status, message(refused)]).toEqual([429, 'Gateway: chatty may start 3 requests a minute.'])
    expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1)
    expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(60)
    expect((await ask('POST /v1/messages', bearer(secrets.alice))).status).toBe(200)
  })

  test('requests at once: the second waits for nobody, and a hang-up frees the place', async () => {
    await change({ bob: entry(secrets.bob, { concurrent: 1 }) })
    engine.answer = () => {}
    const first = await dial(gateway)
    first.send(request('POST /v1/messages HTTP/1.1', [`Host: ${gateway.host}`, ...bearer(secrets.bob)], chat))
    await engineHas(1)
    const refused = await ask('POST /v1/messages', bearer(secrets.bob))
    expect([refused.status, message(refused)]).toEqual([429, 'Gateway: bob may have 1 requests running at once.'])
    first.hangUp()
    engine.answer = json()
    await eventually(
      'the place is free',
      async () => (await ask('POST /v1/messages', bearer(secrets.bob))).status === 200,
    )
  })
})

describe('changes while it runs', () => {
  test('a key that is made, changed or revoked is so at the next request; a running stream goes on', async () => {
    const key = generateKey()
    expect((await ask('GET /v1/models', bearer(key))).status).toBe(401)
    await change({ carol: entry(key) })
    let finish = () => {}
    engine.answer = (wire) => {
      wire.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
      wire.chunk('data: one\n\n')
      finish = () => {
        wire.chunk('data: [DONE]\n\n')
        wire.end()
      }
    }
    const stream = ask('POST /v1/chat/completions', bearer(key))
    await engineHas(1)
    await change({ carol: entry(key, { groups: ['anthropic'] }) })
    expect((await ask('GET /v1/models', bearer(key))).status).toBe(403)
    await change({})
    expect((await ask('GET /v1/models', bearer(key))).status).toBe(401)
    finish()
    expect((await stream).body).toContain('[DONE]')
  })

  test('a key that is revoked while its request still sends the body is refused, and the engine is not asked', async () => {
    const key = generateKey()
    await change({ carol: entry(key) })
    const slow = await dial(gateway)
    const head = [`Host: ${gateway.host}`, ...bearer(key), `Content-Length: ${chat.length}`]
    slow.send(request('POST /v1/messages HTTP/1.1', head))
    slow.send(chat.slice(0, 5))
    await eventually('it is counted', async () => {
      const rows = await gateway.machine.ask(places(gateway.home).adminSocket, 'show table people')
      return /key=carol .*conn_cur=1/.test(rows ?? '')
    })
    await change({})
    slow.send(chat.slice(5))
    expect(await slow.sees('this API key was revoked while the request was being sent.')).toBe(true)
    expect(slow.replies()[0]?.status).toBe(401)
    expect(engine.received).toEqual([])
    slow.hangUp()
  })

  test('hundreds of keys come and go at once, and no request of another key notices', async () => {
    const made = Array.from({ length: 600 }, (_, at): [string, string] => [`many-${at}`, generateKey()])
    const many = Object.fromEntries(made.map(([name, key]) => [name, entry(key)]))
    let changing = true
    const statuses: number[] = []
    const knocking = (async () => {
      while (changing) statuses.push((await ask('GET /v1/models', bearer(secrets.alice))).status)
    })()
    await change(many)
    for (const [, key] of made.slice(-3)) expect((await ask('GET /v1/models', bearer(key))).status).toBe(200)
    await change({ 'many-0': { ...many['many-0'], perMinute: 1 } as Entry })
    changing = false
    await knocking
    const answers = made.slice(0, 3).map(async ([, key]) => (await ask('GET /v1/models', bearer(key))).status)
    expect(await Promise.all(answers)).toEqual([200, 401, 401])
    expect(new Set(statuses)).toEqual(new Set([200]))
    expect((await runningMap(gateway.machine, 'keys/keys.map'))?.size).toBe(2)
    await change({})
  })

  test('keys hold after a reload, too', async () => {
    await change({ carol: entry(secrets.chatty) })
    await reloaded('access: keys\nqueue: { max: 63 }')
    expect((await ask('GET /v1/models', bearer(secrets.chatty))).status).toBe(200)
    expect((await ask('GET /v1/models')).status).toBe(401)
  })

  test('a group can be made keyless, and with access: tailnet none is asked for', async () => {
    await reloaded('access: keys\nkeyless: [metadata]')
    expect([(await ask('GET /api/version')).status, (await ask('GET /v1/models')).status]).toEqual([200, 401])
    await reloaded('access: tailnet')
    expect((await ask('GET /v1/models')).status).toBe(200)
    await reloaded('access: keys')
  })

  test('the quiet refusal of count_tokens needs no key where the settings say so', async () => {
    const count = 'POST /v1/messages/count_tokens?beta=true'
    expect((await ask(count)).status).toBe(401)
    await reloaded('access: keys\nkeyless: [count-tokens]')
    for (const headers of [[], bearer('sk-dummy')]) {
      const answer = await ask(count, headers)
      expect([answer.status, answer.body]).toEqual([403, expect.stringContaining('clients then estimate')])
    }
    for (const line of ['GET /v1/messages/count_tokens', 'POST /v1/messages', 'POST /nothing'])
      expect((await ask(line)).status).toBe(401)
    await reloaded('access: keys')
  })

  test('a group without keys takes any word as one: nobody is banned for it, and its streams are seen', async () => {
    await reloaded('access: keys\nkeyless: [anthropic]\nban_after: 40')
    const statuses = new Set<number | undefined>()
    for (let at = 0; at < 45; at += 1) statuses.add((await ask('POST /v1/messages', bearer('sk-dummy'))).status)
    expect([...statuses]).toEqual([200])
    engine.answer = silent
    const client = await dial(gateway)
    client.send(request('POST /v1/messages HTTP/1.1', [`Host: ${gateway.host}`, ...bearer('sk-dummy')], chat))
    await eventually('it is seen', async () => (await streams(gateway.machine)).length === 1)
    client.hangUp()
    await reloaded('access: keys')
  })
})

test('one person’s many requests do not starve another’s one', async () => {
  const [greedy, polite] = [generateKey(), generateKey()]
  await reloaded('access: keys\ninference: { slots: 1 }')
  await change({ greedy: entry(greedy), polite: entry(polite) })
  const waiting: (() => void)[] = []
  engine.answer = (wire, received) => void waiting.push(() => json()(wire, received))
  const body = (who: string, at: number) => JSON.stringify({ model: 'm', user: `${who} ${at}` })
  const post = (who: string, key: string, at: number) =>
    exchange(gateway, request('POST /v1/messages HTTP/1.1', [`Host: ${gateway.host}`, ...bearer(key)], body(who, at)))
  const answers = [post('greedy', greedy, 0)]
  await engineHas(1)
  for (let at = 1; at <= 6; at += 1) {
    answers.push(post('greedy', greedy, at))
    await queued(at)
  }
  answers.push(post('polite', polite, 0))
  await queued(7)
  for (let served = 1; served <= 8; served += 1) {
    await engineHas(served)
    waiting.shift()?.()
  }
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(8).fill(200))
  const order = engine.received.map(({ body }) => (JSON.parse(body.toString()) as { user: string }).user)
  expect(order.indexOf('polite 0')).toBeLessThanOrEqual(2)
  await reloaded('access: keys')
})

test('a key with a model list is refused while the running configuration cannot judge models', async () => {
  const key = generateKey()
  await change({ limited: entry(key, { models: ['nothing*'] }) })
  for (const line of ['POST /v1/messages', 'GET /v1/models']) {
    const answer = await ask(line, bearer(key))
    expect([answer.status, message(answer)]).toEqual([
      503,
      expect.stringContaining('model list of limited is not in force yet'),
    ])
  }
  expect(engine.received.filter(({ method }) => method === 'POST')).toEqual([])
  await change({})
})

test('without keys the limits of the settings hold for each address', async () => {
  await reloaded('access: tailnet\nlimits: { per_minute: 2 }')
  const post = async () => await ask('POST /v1/messages')
  expect([(await post()).status, (await post()).status]).toEqual([200, 200])
  const refused = await post()
  expect([refused.status, message(refused)]).toEqual([
    429,
    expect.stringMatching(/^Gateway: 127\.\S+ may start 2 requests a minute\.$/),
  ])
  expect((await ask('GET /v1/models')).status).toBe(200)
  await reloaded('access: keys')
})

/** Waits until so many requests wait for a slot. */
const queued = (count: number) =>
  eventually(`${count} wait`, async () => (await engineLoad(gateway.machine))?.waiting === count)

/** The registry with these keys beside alice, kept and published. */
const change = (more: Registry['keys']) =>
  keep(gateway.machine, { version: 1, keys: { alice: entry(secrets.alice), ...more } }, gateway.gateway.settings)

const engineHas = (count: number) => eventually('the engine has it', () => engine.received.length >= count)

async function reloaded(settings: string): Promise<void> {
  const configuration = gateway.rendered(settings)
  await swap(gateway.machine, { receipt: emptyReceipt(), configuration, haproxy: gateway.program })
}

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { rowOf } from '../../lib/haproxy/runtime.ts'
import { places } from '../../lib/platform/mac/places.ts'
import { ask, bytesOf, came, chat, header, open, usualAlone } from '../lab/asking.ts'
import { after, type Engine, startEngine } from '../lab/engine.ts'
import { type EngineProcess, startEngineProcess } from '../lab/engine-process.ts'
import { eventually, type RunningGateway, startGateway, watchOver } from '../lab/gateway.ts'
import { type Client, dial } from '../lab/raw.ts'
import { bytes, events, json, type Recorder, silent, startRecorder } from '../lab/recorder.ts'

const cutOff = [502, undefined]

describe.each(usualAlone)('a node that fails behind $title', ({ program }) => {
  /** the faster one, in this process and in one of its own */
  let near: Engine
  let far: EngineProcess
  let other: Engine
  let gateway: RunningGateway
  let clients: Client[]

  const settings = () => `role: gateway
groups: [agents, native]
nodes:
  near: { address: 127.0.0.1, port: ${near.port}, engine: vllm, slots: 2, speed: 2 }
  far: { address: 127.0.0.1, port: ${far.port}, engine: vllm, slots: 2, speed: 2 }
  other: { address: 127.0.0.1, port: ${other.port}, slots: 4 }
`
  beforeAll(async () => {
    near = await startEngine('near', 'vllm', ['near-both', 'near-only'])
    far = await startEngineProcess('far', 'vllm', ['far-both', 'far-only'])
    other = await startEngine('other', 'ollama', ['near-both', 'far-both', 'other-only'])
    gateway = await startGateway({ enginePort: other.port, settings: settings(), haproxy: await program() })
  })
  afterAll(async () => {
    await gateway?.stop()
    await far?.stop()
    for (const one of [near, other]) await one?.recorder.stop()
  })
  beforeEach(async () => {
    clients = []
    for (const [name, one] of Object.entries({ near, other }))
      Object.assign(one, { asked: [], other: [], healthy: true, answers: json(`{"from":"${name}"}`) })
    await eventually('all are up', async () => (await states()).join() === 'UP,UP,UP')
  })
  afterEach(async () => {
    for (const client of clients) client.hangUp()
    far.wake()
    await far.start()
    await near.recorder.start()
  })

  const stat = async () => (await gateway.machine.ask(places(gateway.home).adminSocket, 'show stat')) ?? ''
  const states = async (): Promise<string[]> => {
    const text = await stat()
    return ['near', 'far', 'other'].map((name) => rowOf(text, 'inference', name)?.status?.split(' ')[0] ?? '')
  }
  const count = async (name: string, column: 'scur' | 'qcur') =>
    Number(rowOf(await stat(), 'inference', name)?.[column])
  const begin = async (body: object): Promise<Client> => {
    const client = await open(gateway, body)
    clients.push(client)
    return client
  }
  /** Ids that engines were asked for. */
  const ran = (...engines: Engine[]): number[] =>
    engines.flatMap(({ asked }) => asked.map(({ request }) => (JSON.parse(`${request.body}`) as { id: number }).id))
  const onlyOnce = (ids: number[]) => expect(ids.length).toBe(new Set(ids).size)

  test('refuses: what was never handed over is answered by another that has the model, and by none that has not', async () => {
    await near.recorder.stop()
    const all = await Promise.all(Array.from({ length: 20 }, () => ask(gateway, chat('near-both'))))
    expect(all.map(came)).toEqual(all.map(() => [200, 'other']))
    const routes = all.map((reply) => header(reply, 'x-route'))
    expect(routes).toContain('elsewhere')
    // Those that came when it was known to be down, and when all slots of the other were taken.
    expect(routes.filter((route) => !['elsewhere', 'loaded', 'waited'].includes(route ?? ''))).toEqual([])
    onlyOnce(ran(other))
    const alone = await ask(gateway, chat('near-only'))
    expect([alone?.status, header(alone, 'retry-after'), ran(other).length]).toEqual([503, '5', 20])
  })

  test('refuses: a long body goes to the other one whole', async () => {
    await near.recorder.stop()
    const body = chat('near-both', 0, { more: 'x'.repeat(1_500_000) })
    expect(came(await ask(gateway, body))).toEqual([200, 'other'])
    expect(`${other.asked[0]?.request.body}`).toBe(JSON.stringify(body))
  })

  test('is killed: who waits there is answered by another one, or gets 503; nothing runs twice', async () => {
    other.answers = silent
    const cut = await Promise.all([1, 2].map(() => begin(chat('far-only', 60_000))))
    await eventually('its slots are taken', async () => (await count('far', 'scur')) === 2)
    const kept = await Promise.all([1, 2, 3, 4].map(() => begin(chat('other-only'))))
    await eventually('so are those of the other', () => other.asked.length === 4)
    const lonely = await Promise.all([1, 2, 3, 4].map(() => begin(chat('far-only'))))
    const moving = await Promise.all([1, 2, 3, 4, 5, 6].map(() => begin(chat('far-both'))))
    await eventually('all wait', async () => (await count('far', 'qcur')) + (await count('other', 'qcur')) === 10)
    expect(await count('far', 'qcur')).toBeGreaterThan(2)
    await far.kill()
    for (const client of cut) expect((await client.settled())[0]?.status).toBe(502)
    const alone = await Promise.all(lonely.map(async (client) => (await client.settled())[0]))
    other.answers = json()
    for (const { wire, request } of other.asked) void json()(wire, request)
    for (const client of kept) expect((await client.settled())[0]?.status).toBe(200)
    const moved = await Promise.all(moving.map(async (client) => (await client.settled())[0]))
    expect(moved.map(came)).toEqual(moved.map((reply) => (reply?.status === 502 ? cutOff : [200, 'other'])))
    const told = alone.map((reply) => [reply?.status, header(reply, 'retry-after')])
    expect(told).toEqual(told.map(([status]) => (status === 502 ? cutOff : [503, '5'])))
    // A dying process is connected to by its system for a moment, as many at once as it has slots.
    expect([...alone, ...moved].filter((reply) => reply?.status === 502).length).toBeLessThanOrEqual(2)
    onlyOnce([...far.began(), ...ran(other)])
  })

  test('resets or closes after it got the request: 502, and it is asked of nobody else', async () => {
    for (const end of ['reset', 'die'] as const) {
      near.answers = (wire) => wire[end]()
      const reply = await ask(gateway, chat('near-both'))
      expect([reply?.status, JSON.parse(reply?.body ?? '').error.type]).toEqual([502, 'api_error'])
    }
    expect([near.asked.length, other.asked.length]).toEqual([2, 0])
    near.answers = json()
    expect(came(await ask(gateway, chat('near-both')))).toEqual([200, 'near'])
  })

  test('resets while a request is sent to it: an error, and it is asked of nobody else', async () => {
    const raw = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', (data) => {
        if (!`${data}`.startsWith('GET ')) return void socket.resetAndDestroy()
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}')
      })
    })
    await near.recorder.stop()
    await once(raw.listen(near.port, '127.0.0.1'), 'listening')
    try {
      await eventually('it is up', async () => (await states())[0] === 'UP')
      const reply = await ask(gateway, chat('near-both', 0, { more: 'x'.repeat(1_500_000) }))
      // Whoever still sends when the connection ends may not come to read why.
      expect([502, undefined]).toContain(reply?.status)
      expect(other.asked).toEqual([])
    } finally {
      raw.close()
      await once(raw, 'close')
    }
  })

  test('resets or closes in the middle of an answer: the client sees that it is not whole, and nobody else is asked', async () => {
    for (const by of ['rst', 'fin'] as const) {
      near.answers = events({ count: 9, gap: 10, breakAfter: 3, by })
      const client = await begin(chat('near-both'))
      expect(await client.ended()).toMatch(/closed|reset/)
      expect(client.bytes().toString()).toContain('"index":2')
      expect(client.bytes().toString().endsWith('0\r\n\r\n')).toBe(false)
    }
    expect([near.asked.length, other.asked.length]).toEqual([2, 0])
  })

  test('is silent: 504 after its time, or a cut in the middle of an answer, and nobody else is asked', async () => {
    const hasty = await startGateway({
      ...{ enginePort: other.port, haproxy: await program() },
      settings: `${settings()}timeouts: { first_byte: 1s, silence: 1s }`,
    })
    try {
      near.answers = silent
      const reply = await ask(hasty, chat('near-both'))
      expect([reply?.status, JSON.parse(reply?.body ?? '').error.type]).toEqual([504, 'api_error'])
      near.answers = events({ count: 2, gap: 60_000 })
      const client = await open(hasty, chat('near-both'))
      expect(await client.ended()).toMatch(/closed|reset/)
      expect(client.bytes().toString()).toContain('"index":0')
      expect(client.bytes().toString().endsWith('0\r\n\r\n')).toBe(false)
      expect([near.asked.length, other.asked.length]).toEqual([2, 0])
    } finally {
      await hasty.stop()
    }
  })

  test.skipIf(process.platform !== 'linux')(
    'sleeps (packets are dropped): the first waits as long as a connection may take, the next are elsewhere at once; awake it is asked again',
    async () => {
      const kept = await begin(chat('far-both'))
      expect(came((await kept.settled())[0])).toEqual([200, 'far'])
      await far.sleep()
      const started = performance.now()
      kept.send(bytesOf(gateway, chat('far-both')))
      const [, first] = await kept.settled(2)
      expect([came(first), header(first, 'x-route')]).toEqual([[200, 'other'], 'elsewhere'])
      expect(performance.now() - started).toBeGreaterThan(1900)
      expect((await states())[1]).toBe('DOWN')
      const next = await ask(gateway, chat('far-both'))
      expect([came(next), header(next, 'x-route')]).toEqual([[200, 'other'], 'loaded'])
      expect((await ask(gateway, chat('far-only')))?.status).toBe(503)
      far.wake()
      await eventually('it is asked again', async () => came(await ask(gateway, chat('far-both')))[1] === 'far')
      onlyOnce([...far.began(), ...ran(other)])
    },
  )

  test.each([
    ['answers 503 to its check', () => Object.assign(near, { healthy: false })],
    ['does not answer its check', () => Object.assign(near, { healthy: 'silent' })],
  ])('%s: it gets nothing new, what runs there goes on, and it comes back', async (_, sicken) => {
    near.answers = events({ count: 400, gap: 25 })
    const client = await begin(chat('near-both'))
    expect(await client.sees('"index":2')).toBe(true)
    sicken()
    await eventually('it is down', async () => (await states())[0] === 'DOWN')
    expect(came(await ask(gateway, chat('near-both')))).toEqual([200, 'other'])
    expect((await client.settled())[0]).toMatchObject({ status: 200, whole: true })
    Object.assign(near, { healthy: true, answers: json() })
    await eventually('it is back', async () => came(await ask(gateway, chat('near-both')))[1] === 'near')
  })
})

describe.each(usualAlone)('nodes of which some are gone, behind $title', ({ program }) => {
  let one: Engine
  let two: Engine
  let gateway: RunningGateway
  const settings = () => `role: gateway
groups: [agents, native]
nodes:
  one: { address: 127.0.0.1, port: ${one.port}, slots: 2 }
  two: { address: 127.0.0.1, port: ${two.port}, slots: 2 }
  page: { address: 127.0.0.1, port: ${page}, engine: vllm, slots: 2, speed: 2 }
  ghost: { address: no-such-machine.invalid, slots: 2, speed: 2 }
`
  let page = 0
  let html: Recorder
  beforeAll(async () => {
    html = await startRecorder((wire) =>
      bytes('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<h1>Router</h1>')(
        wire,
        {} as never,
      ),
    )
    page = html.port
    one = await startEngine('one', 'ollama', ['both'])
    two = await startEngine('two', 'ollama', ['both', 'two-only'])
    gateway = await startGateway({ enginePort: one.port, settings: settings(), haproxy: await program() })
  })
  afterAll(async () => {
    await gateway?.stop()
    await html?.stop()
    for (const engine of [one, two]) await engine?.recorder.stop()
  })
  beforeEach(() => {
    for (const engine of [one, two]) Object.assign(engine, { asked: [], answers: json() })
  })
  const status = async (name: string) =>
    rowOf((await gateway.machine.ask(places(gateway.home).adminSocket, 'show stat')) ?? '', 'inference', name)?.status

  test('a name that nobody knows keeps no other from serving', async () => {
    expect(await status('ghost')).toBe('MAINT (resolution)')
    expect((await ask(gateway, chat('both')))?.status).toBe(200)
  })

  test('a machine that answers everything with a page is asked for no model', async () => {
    await eventually('its check is content', async () => (await status('page')) === 'UP')
    const all = await Promise.all(Array.from({ length: 8 }, () => ask(gateway, chat('both'))))
    expect(all.map((reply) => reply?.status)).toEqual(all.map(() => 200))
    expect(html.received.filter(({ method }) => method === 'POST')).toEqual([])
  })

  test('one is left, and full: the others wait', async () => {
    await one.recorder.stop()
    two.answers = after(50, 'two')
    const all = await Promise.all(Array.from({ length: 30 }, () => ask(gateway, chat('both'))))
    expect(all.map(came)).toEqual(all.map(() => [200, 'two']))
    await one.recorder.start()
  })

  test('a table that is behind: the engine itself says that it has the model no more', async () => {
    two.answers = json('{"error":"model not found"}', '404 Not Found')
    const reply = await ask(gateway, chat('two-only'))
    expect([reply?.status, reply?.body]).toEqual([404, '{"error":"model not found"}'])
  })

  test('all are gone: 503 that says when to ask again, in the words of each family, and no address', async () => {
    for (const engine of [one, two]) await engine.recorder.stop()
    await html.stop()
    const addresses = /127\.0\.0\.1|\b\d{4,5}\b|invalid/
    const shapes = {
      '/api/chat': ['error'],
      '/v1/chat/completions': ['type', 'error'],
      '/v1/messages': ['type', 'error'],
    }
    const all = async () => {
      for (const [path, keys] of Object.entries(shapes)) {
        const reply = await ask(gateway, chat('both'), { path })
        expect([path, reply?.status, header(reply, 'retry-after')]).toEqual([path, 503, '5'])
        expect(Object.keys(JSON.parse(reply?.body ?? ''))).toEqual(expect.arrayContaining(keys))
        expect((reply?.body ?? '').replace(/req_\w+/, '')).not.toMatch(addresses)
      }
    }
    await all()
    await eventually('it knows', async () => !/^UP/.test((await status('page')) ?? ''))
    await all()
    for (const engine of [one, two]) await engine.recorder.start()
    await html.start()
    await eventually('they are back', async () => (await ask(gateway, chat('both')))?.status === 200)
  })

  test('a gateway that starts anew serves at once, with no observer, and goes by what was last known', async () => {
    const at = places(gateway.home)
    gateway.master.kill('SIGKILL')
    await once(gateway.master, 'exit')
    await eventually('nobody listens', async () => (await dial(gateway)).end() !== 'open')
    const again = spawn(gateway.program, ['-W', '-db', '-S', `${at.masterSocket},mode,600`, '-f', at.config], {
      stdio: 'ignore',
    })
    const dismiss = watchOver(again.pid ?? 0)
    try {
      await eventually('it listens', async () => {
        const client = await dial(gateway)
        client.hangUp()
        return client.end() === 'open'
      })
      expect(came(await ask(gateway, chat('two-only')))).toEqual([200, 'two'])
      expect((await ask(gateway, chat('nobody-has-it')))?.status).toBe(404)
    } finally {
      dismiss()
      again.kill('SIGTERM')
      await once(again, 'exit')
    }
  })
})

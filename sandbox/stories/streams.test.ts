import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { engineLoad } from '../../lib/haproxy/runtime.ts'
import { eventually, type RunningGateway, startGateway, withoutLine } from '../lab/gateway.ts'
import { type Client, dial, request } from '../lab/raw.ts'
import { type Answering, events, type Recorder, silent, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway
let clients: Client[] = []

beforeAll(async () => {
  engine = await startRecorder()
  gateway = await startGateway({
    enginePort: engine.port,
    settings: 'groups: [agents, native]\ninference: { slots: 2 }',
  })
})
afterAll(async () => {
  await gateway?.stop()
  await engine?.stop()
})
afterEach(async () => {
  for (const client of clients) client.hangUp()
  clients = []
  await eventually('nothing runs any more', async () => (await engineLoad(gateway.machine))?.running === 0)
  engine.received.length = 0
})

async function ask(path = '/v1/chat/completions', through = gateway): Promise<Client> {
  const client = await dial(through)
  clients.push(client)
  client.send(request(`POST ${path} HTTP/1.1`, [`Host: ${through.host}`], '{"model":"m","stream":true}'))
  return client
}

/** For each event: ms from the engine's write to the client's read. */
function delays(client: Client): number[] {
  return client.pieces.flatMap(({ at, text }) =>
    [...text.matchAll(/\{"index":\d+,"at":([\d.]+)/g)].map(([, written]) => at - Number(written)),
  )
}

const median = (numbers: number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN

/** Answers by hand: the wires in the order of their requests. */
function byHand(): Answering[] {
  const wires: Answering[] = []
  engine.answer = (wire) => void wires.push(wire)
  return wires
}

const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'

describe('events', () => {
  test.each(['text/event-stream', 'application/x-ndjson'])(
    'of type %s arrive one by one, as they are written',
    async (type) => {
      engine.answer = events({ count: 60, gap: 20, type })
      const client = await ask(type === 'text/event-stream' ? '/v1/messages' : '/api/chat')
      const [reply] = await client.settled()
      expect(reply).toMatchObject({ status: 200, whole: true })
      const measured = delays(client)
      expect(measured).toHaveLength(60)
      // HAProxy before 3.4 holds them for about 100 ms on Linux without `option http-no-delay`.
      expect(median(measured)).toBeLessThan(40)
      expect(client.pieces.length).toBeGreaterThan(40)
    },
  )

  test('a stream that ends is relayed as ended, byte for byte', async () => {
    const wires = byHand()
    const client = await ask()
    await eventually('the engine has it', () => wires.length === 1)
    wires[0]?.send(`${head}5\r\nfirst\r\n`)
    expect(await client.sees('first')).toBe(true)
    wires[0]?.chunk(' last')
    wires[0]?.end()
    const [reply] = await client.settled()
    expect(reply).toMatchObject({ status: 200, whole: true, body: 'first last' })
    expect(reply?.wire.endsWith('0\r\n\r\n')).toBe(true)
  })
})

describe('an engine that breaks in mid-stream', () => {
  test.each(['fin', 'rst'] as const)('by %s is a hard close without the final chunk', async (by) => {
    for (const path of ['/v1/chat/completions', '/v1/responses', '/v1/messages', '/api/chat']) {
      engine.answer = events({ count: 20, gap: 5, breakAfter: 5, by })
      const client = await ask(path)
      expect(await client.ended()).not.toBe('open')
      const [reply] = client.replies()
      expect(reply).toMatchObject({ status: 200, whole: false })
      expect(client.bytes().toString()).not.toContain('\r\n0\r\n\r\n')
      expect(client.bytes().toString()).toContain('"index":4')
    }
  })
})

describe('a client that hangs up', () => {
  /** ms until the engine saw its connection close. */
  async function closing(wire: Answering | undefined, from: number): Promise<number> {
    return ((await wire?.closed) ?? Number.NaN) - from
  }

  test('before the first byte reaches the engine within a second', async () => {
    const wires = byHand()
    const client = await ask()
    await eventually('the engine has it', () => wires.length === 1)
    const at = performance.now()
    client.hangUp()
    expect(await closing(wires[0], at)).toBeLessThan(1_000)
  })

  test('in mid-stream reaches the engine within a second, flowing or silent', async () => {
    for (const flowing of [true, false]) {
      const wires = byHand()
      const client = await ask()
      await eventually('the engine has it', () => wires.length === 1)
      wires[0]?.send(`${head}5\r\nfirst\r\n`)
      expect(await client.sees('first')).toBe(true)
      const timer = flowing ? setInterval(() => wires[0]?.chunk('more'), 20) : undefined
      const at = performance.now()
      client.hangUp()
      expect(await closing(wires[0], at)).toBeLessThan(1_000)
      clearInterval(timer)
    }
  })

  test('in the queue never reaches the engine', async () => {
    engine.answer = silent
    const running = [await ask(), await ask()]
    await eventually('both slots are taken', () => engine.received.length === 2)
    const queued = await ask()
    const waiting = async () => (await engineLoad(gateway.machine))?.waiting
    await eventually('one waits', async () => (await waiting()) === 1)
    const at = performance.now()
    queued.hangUp()
    await eventually('none waits', async () => (await waiting()) === 0)
    expect(performance.now() - at).toBeLessThan(1_000)
    for (const client of running) client.hangUp()
    await eventually('both have ended', async () => (await engineLoad(gateway.machine))?.running === 0)
    expect(engine.received).toHaveLength(2)
  })

  test('frees its slot for the next one', async () => {
    engine.answer = silent
    const [first] = [await ask(), await ask()]
    await eventually('both slots are taken', () => engine.received.length === 2)
    const next = await ask()
    engine.answer = events({ count: 1, gap: 1 })
    first?.hangUp()
    expect((await next.settled())[0]).toMatchObject({ status: 200, whole: true })
  })
})

test('many streams at once all complete, each with its own events', async () => {
  engine.answer = events({ count: 10, gap: 5 })
  const many = await Promise.all(Array.from({ length: 40 }, () => ask()))
  for (const client of many) {
    const [reply] = await client.settled()
    expect(reply).toMatchObject({ status: 200, whole: true })
    expect(delays(client)).toHaveLength(10)
  }
})

describe('the measures notice', () => {
  /** A gateway without one option; newer versions of HAProxy do without it. */
  async function without(pattern: RegExp, measure: (other: RunningGateway) => Promise<void>): Promise<void> {
    const other = await startGateway({ enginePort: engine.port, alter: withoutLine(pattern) })
    try {
      await measure(other)
    } finally {
      await other.stop()
    }
  }
  const modern = () => gateway.version[0] * 100 + gateway.version[1] >= 304

  test('that events are held back without `option http-no-delay`', async ({ skip }) => {
    if (modern()) skip('HAProxy 3.4 and newer hold nothing back')
    await without(/http-no-delay/, async (other) => {
      engine.answer = events({ count: 60, gap: 20 })
      const client = await ask('/v1/messages', other)
      expect((await client.settled())[0]).toMatchObject({ status: 200, whole: true })
      expect(median(delays(client))).toBeGreaterThan(40)
    })
  })

  test('that a hang-up is not passed on without `option abortonclose`', async ({ skip }) => {
    if (modern()) skip('HAProxy 3.4 and newer pass it on')
    await without(/abortonclose/, async (other) => {
      const wires = byHand()
      const client = await ask('/v1/messages', other)
      await eventually('the engine has it', () => wires.length === 1)
      client.hangUp()
      const late = new Promise((resolve) => setTimeout(resolve, 1_000, 'late'))
      expect(await Promise.race([wires[0]?.closed, late])).toBe('late')
    })
  })
})

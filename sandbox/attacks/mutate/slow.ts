import { setTimeout as pause } from 'node:timers/promises'
import { addRunning, engineLoad, setDraining } from '../../../lib/haproxy/runtime.ts'
import { places } from '../../../lib/platform/mac/places.ts'
import { eventually, soon } from '../../lab/gateway.ts'
import { illegal } from '../../lab/judge.ts'
import { type Client, dial, request } from '../../lab/raw.ts'
import { arrived, ask, closes, must, type Patient, refusal } from './asking.ts'
import type { Expectation } from './quick.ts'

const post = ({ gateway }: Patient, target: string, headers: string[] = [], body?: string) =>
  request(`POST ${target} HTTP/1.1`, [`Host: ${gateway.host}`, ...headers], body)

/** A connection that is closed whatever comes of it. */
async function held<T>(patient: Patient, use: (client: Client) => Promise<T>, from = '127.0.0.9'): Promise<T> {
  const client = await dial({ ...patient.gateway, from })
  try {
    return await use(client)
  } finally {
    client.hangUp()
  }
}

/** Bytes that dribble in must end in this status within the time (ms). */
async function dribbles(patient: Patient, head: string | Buffer, drop: string, withinMs: number): Promise<string> {
  return held(patient, async (client) => {
    client.send(head)
    const drip = setInterval(() => client.send(drop), 100)
    const [reply] = await client.settled(1, withinMs).finally(() => clearInterval(drip))
    must(reply?.status === 408, `${reply?.status ?? client.end()} instead of 408`)
    return reply.body
  })
}

const slowHead: Expectation = [
  'a slow head gets 408',
  async (patient) => void (await dribbles(patient, 'GET / HTTP/1.1\r\n', 'X: a\r\n', 1_500)),
]
const slowBody: Expectation = [
  'a slow body gets 408 that can be read',
  async (patient) => {
    const said = await dribbles(patient, post(patient, '/v1/messages', ['Content-Length: 90000']), 'x', 1_500)
    must(said.includes('Gateway: the request did not arrive in time'), `says ${said}`)
  },
]

const stalledBody: Expectation = [
  'a large body that stalls is left',
  (patient) =>
    held(patient, async (client) => {
      client.send(post(patient, '/v1/messages', ['Content-Length: 300000']))
      const [reply] = await client.settled(1, 2_500)
      // From 3.0 on it is the client whose time ran out.
      const statuses = patient.gateway.version[0] < 3 ? [408, 504] : [400, 408]
      must(statuses.includes(reply?.status ?? 0), `${reply?.status ?? client.end()} after 2.5 s`)
    }),
]

const stalledReader: Expectation = [
  'a client that does not read is left',
  (patient) =>
    held(patient, async (client) => {
      client.socket.pause()
      client.send(post(patient, '/v1/messages?e=large', [], '{}'))
      await eventually('the engine has it', () => arrived(patient, 'e=large').length === 1, 2_000)
      must(await closes(patient, 'e=large', 2_500), 'the engine still waits after 2.5 s')
    }),
]

const idle: Expectation = [
  'an idle connection is kept for a second one, and closed after a while',
  (patient) =>
    held(patient, async (client) => {
      for (const count of [1, 2]) {
        client.send(request('GET / HTTP/1.1', [`Host: ${patient.gateway.host}`]))
        must((await client.settled(count, 2_000)).length === count, `no answer to request ${count}`)
        must((await client.ended(700)) === 'open', 'closed after 0.7 s')
      }
      must((await client.ended(1_000)) !== 'open', 'still open after 1.7 s')
    }),
]

const lateErrors: Expectation = [
  'an engine that fails is told in both families',
  async (patient) => {
    const fails = async (path: string) => {
      const family = path.startsWith('/api') ? 'api' : 'v1'
      for (const how of ['nonsense', 'die'])
        refusal(await ask(patient, `POST ${path}?e=${how}`), 502, 'no valid answer', family)
      refusal(await ask(patient, `POST ${path}?e=silent`), 504, 'silent for too long', family)
    }
    await Promise.all(['/v1/messages', '/api/chat', '/api/show'].map(fails))
    const busy = await ask(patient, 'POST /v1/messages?e=busy')
    must(busy.status === 429 && busy.headers['retry-after'] === '5', `the engine's 503 is ${busy.status}`)
    const missing = await ask(patient, 'POST /v1/messages?e=missing')
    must(missing.status === 404 && !('retry-after' in missing.headers), `the engine's 404 is ${missing.status}`)
  },
]

const median = (numbers: number[]): number => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 1e9

const streaming: Expectation = [
  'events arrive as they are written',
  (patient) =>
    held(patient, async (client) => {
      client.send(post(patient, '/v1/messages?e=stream', [], '{}'))
      must((await client.settled(1, 5_000))[0]?.whole === true, 'the stream is not whole')
      const late = client.pieces.flatMap(({ at, text }) =>
        [...text.matchAll(/"at":([\d.]+)/g)].map(([, written]) => at - Number(written)),
      )
      must(median(late) < 45, `events are ${median(late).toFixed(0)} ms late`)
    }),
]

const hangUps: Expectation = [
  'a hang-up reaches the engine',
  async (patient) => {
    await held(patient, async (client) => {
      client.send(post(patient, '/v1/messages?e=silent&hang', [], '{}'))
      await eventually('the engine has it', () => arrived(patient, '&hang').length === 1, 2_000)
    })
    // Shorter than the server's timeout here, which would close it as well.
    must(await closes(patient, '&hang', 450), 'the engine runs on')
  },
]

const manyConnections: Expectation = [
  'one address has 64 connections',
  async (patient) => {
    const from = '127.0.0.10'
    const clients = await Promise.all(Array.from({ length: 64 }, () => dial({ ...patient.gateway, from })))
    const text = request('GET / HTTP/1.1', [`Host: ${patient.gateway.host}`])
    try {
      for (const client of clients) client.send(text)
      for (const client of clients) must((await client.settled(1, 3_000))[0]?.status === 200, 'one of 64 is refused')
      await held(
        patient,
        async (extra) => {
          extra.send(text)
          must((await extra.ended(1_000)) !== 'open' && extra.bytes().length === 0, 'the 65th is answered')
        },
        from,
      )
    } finally {
      for (const client of clients) client.hangUp()
    }
  },
]

/** Those that wait, at the same time. */
export const slow: Expectation[] = [
  slowHead,
  slowBody,
  stalledBody,
  stalledReader,
  idle,
  lateErrors,
  streaming,
  hangUps,
  manyConnections,
]

const busy: Expectation = [
  'the slots and the queue are bounded, and lists do not wait',
  async (patient) => {
    const { inference, queue } = patient.gateway.gateway.settings
    const clients: Client[] = []
    const open = async (index: number) => {
      const client = await dial({ ...patient.gateway, from: `127.0.0.${20 + (index % 4)}` })
      clients.push(client)
      client.send(post(patient, '/v1/messages?e=silent&full', [], '{}'))
      return client
    }
    const load = async () => (await engineLoad(patient.gateway.machine)) ?? { running: -1, waiting: -1 }
    try {
      await Promise.all(Array.from({ length: inference.slots }, (_, index) => open(index)))
      await eventually('the slots are taken', () => arrived(patient, '&full').length === inference.slots, 1_000)
      const from = performance.now()
      const waiting = await Promise.all(Array.from({ length: queue.max }, (_, index) => open(index)))
      await eventually('the queue is full', async () => (await load()).waiting === queue.max, 400)
      const more = await ask(patient, 'POST /v1/messages?e=silent')
      refusal(more, 429, 'are waiting already')
      must(more.headers['retry-after'] === '5', 'no retry-after')
      must((await ask(patient, 'GET /v1/models')).status === 200, 'a list waits')
      const [late] = (await waiting[0]?.settled(1, 2_000)) ?? []
      must(late?.status === 429, `waited too long: ${late?.status}`)
      must(performance.now() - from > 300, `waited ${(performance.now() - from).toFixed(0)} ms`)
      must(/"error":\{"type":"rate_limit_error","message":"Gateway: all slots/.test(late.body), `says ${late.body}`)
      must(
        late.head.headers.some(([name]) => name === 'retry-after'),
        'no retry-after after waiting',
      )
      must(arrived(patient, '&full').length === inference.slots, 'more than the slots arrived')
    } finally {
      for (const client of clients) client.hangUp()
    }
  },
]

const draining: Expectation = [
  'a restart that is under way is told',
  async (patient) => {
    await setDraining(patient.gateway.machine, true)
    for (const [path, family] of [
      ['/v1/messages', 'v1'],
      ['/api/chat', 'api'],
    ] as const) {
      const answer = await ask(patient, `POST ${path}`)
      refusal(answer, 429, 'about to restart', family)
      must(answer.headers['retry-after'] === '5', 'no retry-after')
    }
    must((await ask(patient, 'GET /v1/models')).status === 200, 'a list is refused')
    await setDraining(patient.gateway.machine, false)
    must((await ask(patient, 'POST /v1/messages')).status === 200, 'still draining')
  },
]

const down: Expectation = [
  'an engine that is down is told',
  async (patient) => {
    const { machine } = patient.gateway
    await machine.tell(places(machine.home).adminSocket, 'disable server inference/engine')
    for (const [line, family] of [
      ['POST /v1/messages', 'v1'],
      ['GET /v1/models', 'v1'],
      ['GET /api/tags', 'api'],
    ] as const) {
      const answer = await ask(patient, line)
      refusal(answer, 503, 'Ollama is down', family)
      must(answer.headers['retry-after'] === '5', 'no retry-after')
    }
    must((await ask(patient, 'GET /nothing')).status === 403, 'what is no row is not refused as such')
    for (const line of ['GET /healthz', 'HEAD /healthz']) {
      const health = await ask(patient, line)
      must(health.status === 503 && health.headers['retry-after'] === '5', `${line} is ${health.status}`)
      must(health.body === (line.startsWith('GET') ? 'Ollama is down' : ''), `${line} says ${health.body}`)
    }
    for (const line of ['POST /healthz', 'GET /other']) must((await ask(patient, line)).status === 403, line)
  },
]

const shut: Expectation = [
  'an engine that takes no connection is told at once',
  async (patient) => {
    const { machine } = patient.gateway
    const { port } = patient.engine
    const aim = async (to: number) => {
      for (const name of ['inference', 'metadata'])
        await machine.tell(places(machine.home).adminSocket, `set server ${name}/engine addr 127.0.0.1 port ${to}`)
    }
    await aim(1)
    const lines = ['GET /v1/models', 'POST /v1/messages', 'GET /api/tags', 'POST /api/chat']
    const answers = () => Promise.all(lines.map((line) => ask(patient, line)))
    // HAProxy closes connections to the earlier address a moment after it was told of another one.
    await soon(async () => (await answers()).every(({ status }) => status !== 200), 5000)
    const [list, chat, tags, native] = await answers()
    await aim(port)
    must(list !== undefined && chat !== undefined && tags !== undefined, 'no answer')
    refusal(list, 503, 'does not answer')
    refusal(tags, 503, 'does not answer', 'api')
    refusal(chat, 429, 'all slots')
    must(native !== undefined, 'no answer')
    refusal(native, 429, 'all slots', 'api')
    for (const { headers } of [list, chat, tags]) must(headers['retry-after'] === '5', 'no retry-after')
    must(Math.max(list.ms, chat.ms, tags.ms) < 1_000, `told after ${Math.max(list.ms, chat.ms, tags.ms).toFixed(0)} ms`)
  },
]

/** What was said in the log: refusals and failures, each a JSON object with what it needs; nothing of what works. */
const logged: Expectation = [
  'the log tells what went wrong, and only that',
  async (patient) => {
    const { gateway } = patient
    const agent = ['User-Agent: log "x"']
    await addRunning(gateway.machine, 'keys/devices.map', new Map([['127.0.0.1', 'ann@example.com|laptop']]))
    await ask(patient, 'POST /api/pull?secret', agent)
    await ask(patient, 'POST /v1/messages?e=nonsense', agent)
    await ask(patient, 'GET /api/version', ['User-Agent: works'])
    await ask(patient, 'POST /v1/messages/count_tokens', ['User-Agent: quiet'])
    await ask(patient, 'GET /api/version', ['User-Agent: works', 'Host: evil.example', `X: ${'é'.repeat(10)}`])
    const line = (words: RegExp) => gateway.log().find((text) => words.test(text))
    await eventually(
      'it is written',
      () => Boolean(line(/"works".*"status":421/) && line(/"log .*"status":502/)),
      1_000,
    )
    for (const text of gateway.log()) {
      const keys = Object.keys(JSON.parse(text))
      must(keys.length === 18 && keys[0] === 'time', `a line has ${keys.join()}`)
      must(text.length < 4_000, `a line of ${text.length}`)
    }
    must(
      /"agent":"log \\"x\\"".*"method":"POST","path":"\\?\/api\\?\/pull",.*"status":403.*"denied":"rows"/.test(
        line(/log \\"x.*pull/) ?? '',
      ),
      'no pull',
    )
    must(
      /"group":"anthropic".*"end":"[PS]H/.test(line(/"log .*"status":502/) ?? ''),
      `no group in ${line(/"log .*"status":502/)}`,
    )
    must(
      /"address":"127\.0\.0\.1",.*"login":"ann@example.com","device":"laptop"/.test(line(/"log .*pull/) ?? ''),
      'nobody is named',
    )
    must(
      !line(/"agent":"quiet"/) && !line(/"works".*"status":200/) && !line(/secret/),
      'the log says more than it should',
    )
    const before = gateway.log().length
    ;(await dial(gateway)).hangUp()
    await pause(100)
    must(gateway.log().length === before, `an empty connection is logged: ${gateway.log().at(-1)}`)
  },
]

/** After everything that happened: an engine that went down is no line of HAProxy's own words. */
const clean: Expectation = [
  'the log stays JSON, and nothing else reached the engine',
  async ({ gateway, engine }) => {
    await pause(50)
    for (const line of gateway.log()) JSON.parse(line)
    const bad = engine.received.map((request) => illegal(gateway, request)).find(Boolean)
    must(bad === undefined, `reached the engine: ${bad}`)
  },
]

/** Those that change the gateway's state, one after the other at the end. */
export const last: Expectation[] = [logged, busy, draining, shut, down, clean]

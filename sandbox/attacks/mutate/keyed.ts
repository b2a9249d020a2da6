import { addRunning, removeRunning } from '../../../lib/haproxy/runtime.ts'
import { generateKey, hashKey } from '../../../lib/people/key.ts'
import { recordOf } from '../../../lib/people/records.ts'
import { places } from '../../../lib/platform/mac/places.ts'
import type { Entry, Registry } from '../../../lib/site/limits.ts'
import { eventually } from '../../lab/gateway.ts'
import { illegal } from '../../lab/judge.ts'
import { dial, type Exchange, exchange, request } from '../../lab/raw.ts'
import { type Answer, json } from '../../lab/recorder.ts'
import { arrived, ask, byQuery, must, type Patient, refusal } from './asking.ts'
import { type Expectation, pageHasAReason } from './quick.ts'

export const secrets = {
  alice: generateKey(),
  bob: generateKey(),
  busy: generateKey(),
  old: generateKey(),
  slow: generateKey(),
  listed: generateKey(),
  bursty: generateKey(),
  spent: generateKey(),
  waiter: generateKey(),
  patient: generateKey(),
  begun: generateKey(),
  hushed: generateKey(),
  calm: generateKey(),
  brief: generateKey(),
  paced: generateKey(),
}
const entry = (key: string, more: Partial<Entry> = {}): Entry => ({
  created: '2026-01-01T00:00:00.000Z',
  hashes: [{ sha256: hashKey(key) }],
  ...more,
})

/** One key for everything, and one for each kind of limit. */
export const registry: Registry = {
  version: 1,
  keys: {
    alice: entry(secrets.alice),
    bob: entry(secrets.bob, { groups: ['anthropic'], perMinute: 2 }),
    busy: entry(secrets.busy, { concurrent: 1 }),
    slow: entry(secrets.slow, { perMinute: 1 }),
    old: entry(secrets.old, { expires: '2026-01-02T00:00:00.000Z' }),
    listed: entry(secrets.listed, { models: ['qwen3*'] }),
    bursty: entry(secrets.bursty, { burst: 1 }),
    spent: entry(secrets.spent),
    waiter: entry(secrets.waiter, { waiting: 1 }),
    patient: entry(secrets.patient, { firstByte: 1, silence: 2, whole: 77 }),
    begun: entry(secrets.begun, { firstByte: 1 }),
    hushed: entry(secrets.hushed, { silence: 1 }),
    calm: entry(secrets.calm, { firstByte: 2, silence: 1 }),
    brief: entry(secrets.brief, { queue: 1 }),
    paced: entry(secrets.paced, { perSecond: 1024 }),
  },
}

const installed = ['qwen3:0.6b', 'other:7b']
const lists: Record<string, string> = {
  '/api/tags': JSON.stringify({ models: installed.map((name) => ({ name })) }),
  '/v1/models': JSON.stringify({ object: 'list', data: installed.map((id) => ({ id })) }),
}

/** Lists of two models, and otherwise what the query says. */
export const withLists: Answer = (wire, received) =>
  (lists[received.target] ? json(lists[received.target]) : byQuery)(wire, received)

export const bearer = (key: string) => [`Authorization: Bearer ${key}`]
const messages = 'POST /v1/messages'

function passes(answer: Exchange, what: string): void {
  must(answer.status === 200, `${what}: ${answer.status} ${answer.body.slice(0, 120)}`)
}

async function opens(patient: Patient): Promise<void> {
  const ways = [
    bearer(secrets.alice),
    [`X-Api-Key: ${secrets.alice}`],
    [...bearer(secrets.alice), 'x-api-key: nonsense'],
  ]
  for (const headers of ways)
    for (const line of [messages, 'GET /v1/models', 'GET /api/tags', 'POST /api/chat']) {
      passes(await ask(patient, line, headers), `${line} ${headers.join()}`)
      const last = patient.engine.received.at(-1)
      must(last !== undefined && illegal(patient.gateway, last) === undefined, 'the key went on')
    }
  for (const line of ['GET /', 'GET /healthz', 'GET /api/tags']) passes(await ask(patient, line), line)
  for (const key of ['rop_wrong', secrets.old, secrets.bob])
    passes(await ask(patient, 'GET /api/tags', bearer(key)), 'a keyless group with a key that opens nothing')
  refusal(await ask(patient, 'POST /v1/messages/count_tokens'), 403, 'clients then estimate')
}

const needed = 'an API key is needed'

async function isNeeded(patient: Patient): Promise<void> {
  for (const headers of [[], bearer('ollama'), bearer(''), ['x-api-key: '], ['x-api-key: ollama']]) {
    const answer = await ask(patient, messages, headers)
    refusal(answer, 401, needed)
    must(answer.headers['www-authenticate'] === 'Bearer realm="gateway"', 'no challenge')
    refusal(await ask(patient, 'POST /api/chat', headers), 403, needed, 'api')
    must((await ask(patient, 'POST /nothing', headers)).status === 401, 'what is no row tells more')
  }
}

async function mustBeRight(patient: Patient): Promise<void> {
  const known = 'is not known here'
  for (const line of [messages, 'POST /nothing'])
    for (const key of ['rop_wrong', hashKey(secrets.alice)]) refusal(await ask(patient, line, bearer(key)), 401, known)
  refusal(await ask(patient, 'POST /api/chat', bearer('rop_wrong')), 401, known, 'api')
  refusal(await ask(patient, messages, ['x-api-key: rop_wrong']), 401, known)
  refusal(await ask(patient, messages, [...bearer('wrong'), `x-api-key: ${secrets.alice}`]), 401, known)
  refusal(await ask(patient, messages, bearer(secrets.old)), 401, 'has expired')
  for (const name of ['Authorization: Bearer', 'x-api-key:'])
    must((await ask(patient, messages, [`${name} ${secrets.alice}`, `${name} x`])).status === 400, `two of ${name}`)
}

async function hasGroupsAndRates(patient: Patient): Promise<void> {
  refusal(await ask(patient, 'GET /v1/models', bearer(secrets.bob)), 403, 'bob may not use the group openai')
  must((await ask(patient, 'GET /nothing', bearer(secrets.bob))).body.includes('not an endpoint'), 'no row is a group')
  passes(await ask(patient, 'GET /', bearer(secrets.bob)), 'a probe with a key')
  for (let at = 0; at < 5; at += 1) passes(await ask(patient, 'GET /api/tags', bearer(secrets.bob)), 'a list')
  for (const count of [1, 2])
    passes(await ask(patient, messages, bearer(secrets.bob)), `request ${count} of 2 a minute`)
  const over = await ask(patient, messages, bearer(secrets.bob))
  refusal(over, 429, 'bob may start 2 requests a minute')
  const wait = Number(over.headers['retry-after'])
  must(wait >= 1 && wait <= 60, `wait ${over.headers['retry-after']}`)
  passes(await ask(patient, 'GET /api/tags', bearer(secrets.bob)), 'a list after too many')
  for (let at = 0; at < 5; at += 1) passes(await ask(patient, messages, bearer(secrets.alice)), 'a key without limits')
  passes(await ask(patient, messages, bearer(secrets.slow)), 'one a minute')
  const long = (await ask(patient, messages, bearer(secrets.slow))).headers['retry-after']
  must(long === '60', `told to wait ${long} s`)
}

async function runsOneAtOnce(patient: Patient): Promise<void> {
  const client = await dial(patient.gateway)
  const head = [`Host: ${patient.gateway.host}`, ...bearer(secrets.busy)]
  try {
    client.send(request('POST /v1/messages?e=silent&one HTTP/1.1', head, '{}'))
    await eventually('it runs', () => arrived(patient, '&one').length === 1, 1_000)
    const over = await ask(patient, messages, bearer(secrets.busy))
    refusal(over, 429, 'busy may have 1 requests running at once')
    must(over.headers['retry-after'] === '5', 'no retry-after')
    passes(await ask(patient, 'GET /v1/models', bearer(secrets.busy)), 'a list beside it')
    passes(await ask(patient, messages, bearer(secrets.alice)), 'another key beside it')
    const table = await patient.gateway.machine.ask(
      `${patient.gateway.home}/.haproxy/run/admin.sock`,
      'show table streams',
    )
    must(/key=busy\|127[^ ]*:\d+\|/.test(table ?? ''), `the stream is not found: ${table}`)
  } finally {
    client.hangUp()
  }
}

async function isRevokedInTime(patient: Patient): Promise<void> {
  const key = generateKey()
  const lines = new Map([[hashKey(key), recordOf('leaver', 4_000_000_000, {})]])
  await addRunning(patient.gateway.machine, 'keys/keys.map', lines)
  const client = await dial(patient.gateway)
  try {
    const head = [`Host: ${patient.gateway.host}`, ...bearer(key), 'Content-Length: 2']
    client.send(request('POST /v1/messages?&leaver HTTP/1.1', head))
    const table = () => patient.gateway.machine.ask(places(patient.gateway.home).adminSocket, 'show table people')
    await eventually('it is counted', async () => /key=leaver /.test((await table()) ?? ''), 1_000)
    await removeRunning(patient.gateway.machine, 'keys/keys.map', lines.keys())
    client.send('{}')
    const [answer] = await client.settled(1, 2_000)
    must(answer?.status === 401, `a revoked key got ${answer?.status}`)
    must(client.bytes().includes('www-authenticate'), 'no challenge')
  } finally {
    client.hangUp()
  }
}

const chat = (patient: Patient, body: string, line = 'POST /v1/chat/completions') =>
  ask(patient, line, bearer(secrets.listed), body)
const good = '{"model":"qwen3:0.6b"}'

async function namesAllowedModels(patient: Patient): Promise<void> {
  for (const body of [good, '{"n":1,"model":"QWEN3:0.6B"}', `{"model":"qwen3:0.6b","x":"${'x'.repeat(300_000)}"}`])
    for (const line of ['POST /v1/chat/completions', 'POST /api/chat', 'POST /api/show'])
      passes(await chat(patient, body, line), body.slice(0, 60))
  passes(await ask(patient, 'GET /v1/models/qwen3:0.6b', bearer(secrets.listed)), 'its own model')
  passes(await ask(patient, 'GET /api/version', bearer(secrets.listed)), 'what names no model')
  passes(await ask(patient, 'GET /v1/models/other:7b', bearer(secrets.alice)), 'another key’s model')
  passes(await ask(patient, 'POST /v1/chat/completions', bearer(secrets.alice), '[]'), 'no list, no look at the body')
  const other = 'listed may not use the model other:7b'
  refusal(await chat(patient, '{"model":"other:7b"}'), 403, other)
  refusal(await chat(patient, '{"model":"other:7b"}', 'POST /api/chat'), 403, other, 'api')
  refusal(await ask(patient, 'GET /v1/models/other:7b', bearer(secrets.listed)), 403, other)
  for (const body of [
    '{"model":"qwen3:0.6b","Model":"other:7b"}',
    '[]',
    '',
    `${good}x`,
    '{"x":{"model":"qwen3:0.6b"}}',
  ])
    refusal(await chat(patient, body), 403, 'names its model once')
  const deep = `${'{"a":'.repeat(30)}1${'}'.repeat(30)}`
  refusal(await chat(patient, `{"x":${deep},"model":"qwen3:0.6b"}`), 403, 'nests too deep')
}

async function isJudgedWhole(patient: Patient): Promise<void> {
  const length = ['Transfer-Encoding: chunked', ...bearer(secrets.listed), `Host: ${patient.gateway.host}`]
  const client = await dial(patient.gateway)
  const chunked = Buffer.concat([request(`${messages} HTTP/1.1`, length), Buffer.from(`16\r\n${good}\r\n0\r\n\r\n`)])
  client.send(chunked)
  const [reply] = await client.settled(1, 2_000)
  client.hangUp()
  must(reply?.status === 411, `chunked: ${reply?.status}`)
  const free = [`Host: ${patient.gateway.host}`, ...bearer(secrets.alice), 'Transfer-Encoding: chunked']
  const bytes = Buffer.concat([request(`${messages} HTTP/1.1`, free), Buffer.from('2\r\n{}\r\n0\r\n\r\n')])
  passes(await exchange(patient.gateway, bytes, 1, 2_000), 'no list, no length')
  passes(await ask(patient, messages, bearer(secrets.alice), 'x'.repeat(1_100_000)), 'no list, 1.1 MB')
  const large = [`Host: ${patient.gateway.host}`, ...bearer(secrets.listed), 'Content-Length: 1100000']
  refusal(await exchange(patient.gateway, request(`${messages} HTTP/1.1`, large), 1, 2_000), 413, 'may send')
  const half = await dial(patient.gateway)
  const before = patient.engine.received.length
  half.send(request(`${messages} HTTP/1.1`, [...length.slice(1), 'Content-Length: 300000']))
  half.send(good)
  const [slow] = await half.settled(1, 2_000)
  half.hangUp()
  must(slow?.status === 408 && patient.engine.received.length === before, `half a body: ${slow?.status}`)
}

async function seesItsOwnLists(patient: Patient): Promise<void> {
  for (const path of ['/v1/models', '/api/tags']) {
    const seen = async (key: string) => (await ask(patient, `GET ${path}`, bearer(key))).body
    must(/qwen3/.test(await seen(secrets.listed)) && !/other/.test(await seen(secrets.listed)), `${path} shows others`)
    must(/other/.test(await seen(secrets.alice)), `${path} hides models`)
  }
}

/** Asks with one connection each, as whoever guesses. */
async function guess({ gateway }: Patient, from: string, key?: string, path = '/v1/models'): Promise<Exchange> {
  const head = [`Host: ${gateway.host}`, ...(key === undefined ? [] : bearer(key))]
  return exchange({ ...gateway, from }, request(`GET ${path} HTTP/1.1`, head), 1, 2_000)
}

/** An address that guessed too often has to wait; no other one, and nobody who knows a key. */
async function cannotBeGuessed(patient: Patient): Promise<void> {
  const [one, other] = ['127.0.0.60', '127.0.0.61']
  for (let at = 0; at < 65; at += 1) {
    must((await guess(patient, other)).status === 401, 'without a key')
    must((await guess(patient, other, secrets.alice)).status === 200, 'with a key')
    must((await guess(patient, other, 'rop_any', '/api/version')).status === 200, 'any key where none is needed')
  }
  must((await guess(patient, other, 'rop_wrong')).status === 401, 'one wrong key among good ones')
  for (let at = 0; at < 60; at += 1)
    must((await guess(patient, one, `rop_${at}`)).status === 401, `guess ${at} is not 401`)
  const over = [await guess(patient, one, 'rop_x'), await guess(patient, one, 'rop_y')].at(-1)
  must(over?.status === 429 && /"Gateway: over 60 wrong/.test(over.body), `too many guesses: ${over?.status}`)
  must((await guess(patient, one, secrets.alice)).status === 200, 'a good key has to wait, too')
  must((await guess(patient, one)).status === 401, 'no key has to wait, too')
  must((await guess(patient, one, 'rop_any', '/api/version')).status === 200, 'it waits where no key is needed')
}

/** What a gateway that asks for keys does. */
const basic = (key: string) => [`Authorization: Basic ${Buffer.from(`x:${key}`).toString('base64')}`]

/** What gets past the keys meets that there is no page. */
async function pageTakesKeys(patient: Patient): Promise<void> {
  for (const headers of [[], basic(secrets.alice), bearer(secrets.alice), basic(secrets.bob)])
    await pageHasAReason(patient, headers)
  const asking: [line: string, headers: string[]][] = [
    ['GET /connect?key', []],
    ['GET /connect', basic('rop_wrong')],
    ['GET /connect', bearer(secrets.old)],
  ]
  for (const [line, headers] of asking) {
    const { status, body, headers: said } = await ask(patient, line, headers)
    must(status === 401 && body.startsWith('Gateway: no API key'), `${line} ${headers}: ${status} ${body}`)
    must(said['www-authenticate'] === 'Basic realm="API key as password"', 'no challenge')
  }
  refusal(await ask(patient, messages, basic(secrets.alice)), 401, needed)
}

export const keyed: Expectation[] = [
  ['a key opens, and ends at the gateway', opens],
  ['a key is needed', isNeeded],
  ['a wrong key is told apart', mustBeRight],
  ['the page takes a key as a password', pageTakesKeys],
  ['a key has groups and a rate', hasGroupsAndRates],
  ['a key runs so many at once', runsOneAtOnce],
  ['a key is revoked in time', isRevokedInTime],
  ['a key with a list names allowed models only', namesAllowedModels],
  ['a key with a list is judged whole', isJudgedWhole],
  ['a key with a list sees its own models', seesItsOwnLists],
  ['keys cannot be guessed', cannotBeGuessed],
]

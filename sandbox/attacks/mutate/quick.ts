import { closedRows, endpoints, gatewayRows, openable, openRows, target } from '../../../lib/site/endpoints.ts'
import { openGroups } from '../../../lib/site/settings.ts'
import { illegal } from '../../lab/judge.ts'
import { exchange } from '../../lab/raw.ts'
import { arrived, ask, must, type Patient, refusal } from './asking.ts'

/** What is expected, and how it is seen; fails with what was seen instead. */
export type Expectation = [name: string, check: (patient: Patient) => Promise<void>]

export const origin = 'https://chat.example.net'
export const ownHost = 'ai.example.net'

const familyOf = (path: string): 'v1' | 'api' => (path.startsWith('/api/') ? 'api' : 'v1')
const open = ({ gateway }: Patient) => openGroups(gateway.gateway.settings)

async function rowsPass(patient: Patient): Promise<void> {
  for (const row of openRows(open(patient))) {
    const place = `${target(row, 'hf.co/u/Q:q4')}?row=${row.method}&x=/../`
    const answer = await ask(patient, `${row.method} ${place}`, ['Accept: a/b', 'User-Agent: quick', 'X-A: b'])
    must(answer.status === 200, `${row.method} ${place}: ${answer.status}`)
    must(answer.headers['retry-after'] === undefined, 'an answer with retry-after')
    const got = patient.engine.received.at(-1)
    must(got?.target === place && got.method === row.method, `${place} arrived as ${got?.head.line}`)
    must(illegal(patient.gateway, got) === undefined, `${illegal(patient.gateway, got)}`)
    const kept = got.head.headers.filter(([name]) => name === 'accept' || name === 'user-agent')
    must(kept.length === 2, `arrived with ${kept.join()} only`)
  }
}

async function closedRowsAreNamed(patient: Patient): Promise<void> {
  for (const row of closedRows(open(patient)).filter(({ group }) => group !== 'count-tokens')) {
    const opened = row.group === 'manage' ? 'only for a key made with --admin' : 'never opened'
    const group = openable(row.group) ? `(group: ${row.group})` : `(group: ${row.group}, ${opened}`
    const answer = await ask(patient, `${row.method} ${target(row)}`)
    if (row.method === 'HEAD') must(answer.status === 403, `${answer.status}`)
    else refusal(answer, 403, group, familyOf(row.path))
  }
}

const natives = [
  'chat',
  'generate',
  'embed',
  'tags',
  'show',
  'ps',
  'version',
  'pull',
  'push',
  'create',
  'copy',
  'delete',
]
const others = ['chat/completions', 'completions', 'responses', 'messages', 'models', 'embeddings']

/** A line of each mistake, what its refusal says, and in whose shape. */
const hints: [line: string, words: string, family?: 'api' | 'v1'][] = [
  ['POST /v1/v1/chat/completions', 'has /v1 twice'],
  ...others.map((name): [string, string] => [`POST /${name}`, 'lacks /v1']),
  ...natives.flatMap((name): [string, string, 'api'][] => [
    [`POST /${name}`, 'lacks /api', 'api'],
    [`POST /v1/${name}`, 'mixes two APIs; give this client the base URL http://HOST:PORT,', 'api'],
  ]),
  ...others.slice(0, 5).map((name): [string, string, 'v1'] => [`POST /api/${name}`, 'without /api', 'v1']),
  ['POST /api/v1/chat/completions', 'without /api', 'v1'],
  ['POST /api/api/chat', 'has /api twice'],
  ['POST /v1/api/chat', 'has /v1 before /api', 'api'],
  ['POST /ollama/api/chat', 'has something before /api', 'api'],
  ['POST //api/chat', 'two slashes', 'api'],
  ['GET /openai/v1/models', 'has something before /v1'],
  ['GET /v1/models/', 'ends in a slash'],
  ['GET /v1', 'no more than a base URL'],
  ['PATCH /v1/chat/completions', 'takes POST only', 'v1'],
  ['PATCH /v1/embeddings', 'takes POST only', 'v1'],
  ['PATCH /v1/models/m', 'takes GET only'],
  ['GET /v1/models/m+', 'names no model'],
  ['POST /v1beta/models/m:generateContent', 'Gemini'],
  ['POST /v1/messages/count_tokens?beta=true', 'clients then estimate'],
  ['GET /nothing', 'GET /nothing is not an endpoint'],
  ['GET /api/blobs', 'is not an endpoint'],
  ['GET /v1/messages/count_tokens', 'is not an endpoint'],
]

/** Paths without a variable part that some settings open. */
const paths = [
  ...new Set(endpoints.filter((row) => row.answer !== 'refuse' && openable(row.group)).map(({ path }) => path)),
]

async function refusalsHelp(patient: Patient): Promise<void> {
  const wrong = paths.filter((path) => !path.includes('{')).map((path): [string, string] => [`PATCH ${path}`, 'takes'])
  for (const [line, words, family] of [...hints, ...wrong])
    refusal(await ask(patient, line), 403, words, family ?? familyOf(line.split(' ')[1] ?? ''))
}

async function ownAnswers(patient: Patient): Promise<void> {
  const texts: Record<string, string> = { '/': 'Ollama is running', '/healthz': 'ok', '/api/hello': '' }
  for (const { method, path } of gatewayRows(open(patient)).filter(({ backend }) => backend === undefined)) {
    const answer = await ask(patient, `${method} ${path}?own`)
    must(answer.status === 200, `${method} ${path}: ${answer.status}`)
    must(answer.body === (method === 'HEAD' ? '' : texts[path]), `${method} ${path} says ${answer.body}`)
  }
  for (const line of ['POST /', 'POST /healthz', 'GET /api/hello'])
    must((await ask(patient, line)).status === 403, line)
  must(arrived(patient, '?own').length === 0, 'the engine was asked')
}

/** There is no observer here that would make it. */
export async function pageHasAReason(patient: Patient, headers: string[] = []): Promise<void> {
  for (const method of ['GET', 'HEAD']) {
    const { status, body, headers: said } = await ask(patient, `${method} /connect`, headers)
    must(status === 503, `${method} /connect: ${status}`)
    must(said['content-type'] === 'text/plain', `the reason is ${said['content-type']}`)
    must(method === 'HEAD' || /^Gateway: .*observer in settings.yaml/.test(body), `the page says ${body}`)
  }
}

async function namesAreOurs(patient: Patient): Promise<void> {
  const { gateway } = patient
  for (const name of gateway.gateway.hosts)
    for (const host of [name, name.toUpperCase(), `${name}:${gateway.port}`])
      must((await ask(patient, 'GET /v1/models', [`Host: ${host}`])).status === 200, `Host ${host} is refused`)
  for (const path of ['/v1/models', '/api/tags'])
    refusal(await ask(patient, `GET ${path}`, ['Host: rebound.example']), 421, 'hosts in settings.yaml', familyOf(path))
}

async function pagesAreListed(patient: Patient): Promise<void> {
  const given = [`Origin: ${origin}`]
  const good = await ask(patient, 'GET /v1/models', given)
  must(good.status === 200, `a listed page gets ${good.status}`)
  const spelled = await ask(patient, 'GET /v1/models', [`Origin: ${origin}:443`])
  must(spelled.status === 200, `with its port written out it gets ${spelled.status}`)
  const refused = await ask(patient, 'GET /nothing', given)
  for (const { headers } of [good, refused]) {
    must(headers['access-control-allow-origin'] === origin, 'no access-control-allow-origin')
    must(headers.vary === 'Origin', 'no vary')
  }
  const plain = await ask(patient, 'GET /v1/models')
  must(!plain.headers.vary && !plain.headers['access-control-allow-origin'], 'words for pages without a page')
  const preflight = await ask(patient, 'OPTIONS /v1/messages', [...given, 'Access-Control-Request-Headers: x-a'])
  must(preflight.status === 204, `preflight ${preflight.status}`)
  must(preflight.headers['access-control-allow-headers'] === 'x-a', 'preflight without headers')
  must((await ask(patient, 'OPTIONS /v1/messages')).status === 403, 'OPTIONS without a page')
  for (const more of [['Origin: https://evil.example'], [...given, ...given], [...given, 'Origin: null']])
    must((await ask(patient, 'GET /v1/models', more)).status === 403, `page ${more.join()}`)
  refusal(await ask(patient, 'GET /api/tags', ['Origin: null']), 403, 'one without an address', 'api')
}

const upgrade = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
]

async function formsAreRefused(patient: Patient): Promise<void> {
  const { host, version } = patient.gateway
  const forms: [string, string][] = [
    ['GET /api/tags HTTP/1.0', 'only HTTP/1.1'],
    [`GET http://${host}/api/tags HTTP/1.1`, 'not as proxy'],
    [`GET /api/tags?${'x'.repeat(4096)} HTTP/1.1`, 'over 4 KB'],
    [`${'A'.repeat(25)} /api/tags HTTP/1.1`, 'over 24 letters'],
  ]
  if (version[0] * 100 + version[1] < 304)
    forms.push([`GET /api/tags HTTP/1.1\r\nX: ${'x'.repeat(16_384)}`, 'over 16 KB'])
  const star = await exchange(patient.gateway, `GET * HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  // HAProxy 3.0 refuses it before its rules, in its own HTML (docs/mutations.md, errorfile 422).
  const unruled = version[0] === 3 && version[1] < 2 && star.body.startsWith('<html>')
  must(star.status === 400 && (unruled || star.body.includes('"Gateway: the request could not')), `says ${star.body}`)
  for (const [line, words] of forms)
    refusal(await exchange(patient.gateway, `${line}\r\nHost: ${host}\r\n\r\n`), 400, words, 'api')
  for (const path of ['/v1/responses', '/api/show']) {
    const family = familyOf(path)
    refusal(await ask(patient, `POST ${path}`, ['Content-Encoding: gzip']), 415, 'compressed', family)
    const limit = patient.gateway.gateway.settings.body_limit
    const head = `POST ${path} HTTP/1.1\r\nHost: ${patient.gateway.host}\r\n`
    const long = `${head}Content-Length: ${limit + 1}\r\n\r\n`
    refusal(await exchange(patient.gateway, long, 1, 3_000), 413, 'over 32768 KB', family)
    const large = `${head}Transfer-Encoding: chunked\r\n\r\n1adb0\r\n${'x'.repeat(110_000)}\r\n0\r\n\r\n`
    refusal(await exchange(patient.gateway, large, 1, 3_000), 413, '100 KB at most', family)
    const socket = await ask(patient, `GET ${path}`, upgrade)
    refusal(socket, 426, 'WebSocket', family)
    must(/HTTP\/1\.1/i.test(socket.headers.upgrade ?? ''), 'a 426 without upgrade')
  }
}

/** Sizes in bytes that just pass, and numbers that HAProxy was told. */
async function sizesPass(patient: Patient): Promise<void> {
  const body = 'x'.repeat(300_000)
  must((await ask(patient, 'POST /v1/messages', [], 'x'.repeat(102_400))).status === 200, '100 KB with a length')
  must((await ask(patient, 'POST /v1/messages?size', [], body)).status === 200, '300 KB with a length')
  must(arrived(patient, '?size')[0]?.body.length === body.length, '300 KB did not arrive whole')
  must((await ask(patient, `GET /v1/models/${'m'.repeat(199)}`)).status === 200, 'a model of 199 letters')
  must((await ask(patient, `GET /v1/models/${'m'.repeat(201)}`)).status === 403, 'a model of 201 letters')
  const said = (await patient.gateway.machine.ask(`${patient.gateway.home}/.haproxy/run/admin.sock`, 'show info')) ?? ''
  must(/^Maxconn: 2000$/m.test(said), 'maxconn is another')
}

async function sourcesAreKnown(patient: Patient): Promise<void> {
  const text = `GET / HTTP/1.1\r\nHost: ${patient.gateway.host}\r\n\r\n`
  const foreign = await exchange({ ...patient.gateway, from: '127.66.0.1' }, text, 1, 2_000)
  must(foreign.status === 0, 'a foreign address is answered')
  const own = await exchange({ ...patient.gateway, from: patient.gateway.address }, text, 1, 2_000)
  must(own.status === 200, 'its own address is not answered')
}

/** Those that need no waiting, one after the other. */
export const quick: Expectation[] = [
  ['rows pass unchanged', rowsPass],
  ['closed rows are named with their group', closedRowsAreNamed],
  ['refusals say what to do', refusalsHelp],
  ['the gateway answers probes', ownAnswers],
  ['the page says why it is not there', pageHasAReason],
  ['names and ports are ours', namesAreOurs],
  ['pages are those on the list', pagesAreListed],
  ['forms and sizes are refused in both families', formsAreRefused],
  ['sizes below the limits pass', sizesPass],
  ['other networks are cut off', sourcesAreKnown],
]

import fc from 'fast-check'
import { nobody } from '../../../lib/checks/hostile/form.ts'
import { endpoints, target } from '../../../lib/site/endpoints.ts'
import { names } from '../../lab/gateway.ts'

type Text = fc.Arbitrary<string>

/** Bytes that parsers stumble over, to be put anywhere. */
const splinters = [
  ...[
    '',
    '\r',
    '\n',
    '\r\n',
    '\r\n\r\n',
    ' ',
    '\t',
    '\0',
    '\x0b',
    '\x7f',
    '\xff',
    ':',
    '/',
    '//',
    '..',
    '/../',
    '.',
    '%',
  ],
  ...[
    '%2e',
    '%2f',
    '%00',
    '%0d%0a',
    '#',
    '?',
    '@',
    ',',
    ';',
    '\\',
    '"',
    '{',
    '}',
    '*',
    '0',
    '-1',
    '+1',
    '0x',
    'x',
    'A',
  ],
  ...['Content-Length: 5\r\n', 'Transfer-Encoding: chunked\r\n', 'Host: a\r\n', 'Connection: content-length\r\n'],
  ...[' HTTP/1.1\r\n', '/api/pull', 'DELETE ', 'GET /api/ps HTTP/1.1\r\n', 'x-api-key: k\r\n', 'http://evil.example'],
]

const pick = (...values: string[]): Text => fc.constantFrom(...values)
const some = (text: string, weight = 1): { weight: number; arbitrary: Text } => ({
  weight,
  arbitrary: fc.constant(text),
})
const often = (arbitrary: Text, weight: number): { weight: number; arbitrary: Text } => ({ weight, arbitrary })
/** Any bytes, as latin1. */
const noise = (maxLength: number): Text =>
  fc.array(fc.integer({ min: 0, max: 255 }), { maxLength }).map((codes) => String.fromCharCode(...codes))
const letters = (maxLength: number): Text =>
  fc.array(pick(...'abcdefgXYZ019-_.:%/~'), { maxLength }).map((parts) => parts.join(''))

const rows = endpoints.map((row) => ({ method: row.method, path: target(row, 'hf.co/u/m:q4') }))
const methods = [
  'GET',
  'POST',
  'HEAD',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'PRI',
  'get',
  'Post',
  '',
]

/** Puts a splinter somewhere into a text. */
const splintered = (text: string): Text =>
  fc.tuple(fc.nat(text.length), pick(...splinters)).map(([at, put]) => text.slice(0, at) + put + text.slice(at))

const query = fc.oneof(
  some('', 6),
  some('?beta=true'),
  some('?'),
  some('?x=/../api/pull'),
  often(
    letters(20).map((text) => `?${text}`),
    2,
  ),
)

/** A row of the table, open or closed, as it is or bent. */
const rowLine: Text = fc.constantFrom(...rows).chain(({ method, path }) => {
  const verb = fc.oneof(some(method, 9), often(pick(...methods), 1), often(letters(30), 1))
  const odd = pick(
    path.toUpperCase(),
    `${path}/`,
    `/${path}`,
    `http://${names[1]}${path}`,
    `ftp://a${path}`,
    `.${path}`,
  )
  const place = fc.oneof(some(path, 7), often(splintered(path), 2), often(odd, 1))
  return fc.tuple(verb, place, query).map(([name, at, more]) => `${name} ${at}${more}`)
})
const model = letters(40).map((name) => `GET /v1/models/${name}`)
const stray = fc.tuple(pick(...methods), fc.oneof(some('*'), letters(60), noise(30), some(`/${'u'.repeat(5000)}`)))
const version = fc.oneof(
  some(' HTTP/1.1', 16),
  some(' HTTP/1.0'),
  often(pick(' HTTP/2.0', ' HTTP/1.12', '', ' http/1.1', '  HTTP/1.1 '), 1),
)
const requestLine = fc
  .tuple(
    fc.oneof(
      often(rowLine, 10),
      often(model, 2),
      often(
        stray.map(([name, at]) => `${name} ${at}`),
        1,
      ),
    ),
    version,
  )
  .map((parts) => parts.join(''))

const [longName = '', shortName = ''] = names
const host = fc.oneof(
  some(`Host: ${shortName}`, 24),
  some(`Host: ${longName}`, 4),
  often(pick('', 'Host:', 'Host: evil.example', `Host: ${shortName}\r\nHost: evil.example`, `Host: ${shortName}:x`), 1),
  often(splintered(`Host: ${shortName}`), 2),
)

/** Headers that have a meaning to somebody on the way, and those that must end at the gateway. */
const fields = [
  ...[
    'Authorization: Bearer k',
    'authorization: Basic a',
    'x-api-key: k',
    'X-API-Key : k',
    'Cookie: a=b',
    'api-key: k',
  ],
  ...['X-Forwarded-For: 127.0.0.1', 'Forwarded: for=a', 'X-Real-IP: ::1', 'X-Original-URL: /api/pull', 'Via: 1.1 a'],
  ...['X-HTTP-Method-Override: DELETE', 'Connection: close', 'Connection: host, x-a', 'Connection: Upgrade'],
  ...['Upgrade: h2c', 'Upgrade: websocket', 'HTTP2-Settings: AAMAAABkAAQAAP__', 'Keep-Alive: 5', 'TE: trailers'],
  ...['Trailer: Host', 'Expect: 100-continue', 'Expect: x', 'Content-Encoding: gzip', 'Origin: https://evil.example'],
  ...['Accept: */*', 'Accept: a', 'Content-Type: application/json', 'Content-Type: x', 'User-Agent: a', 'User-Agent:'],
  ...[
    'Tailscale-User-Login: a',
    'Proxy: a',
    'Proxy-Authorization: a',
    'Range: bytes=0-',
    ' folded',
    '\tfolded',
    ': a',
    'a',
  ],
  ...[
    'Content-Length: 0',
    'Content-Length: 7',
    'Transfer-Encoding: identity',
    'Transfer-Encoding: gzip',
    'Host: studio',
  ],
]
const harmless = pick(
  'Accept: */*',
  'x-api-key: k',
  'Authorization: Bearer k',
  'Cookie: a=b',
  'X-Real-IP: ::1',
  'Via: a',
)
const wild = fc.oneof(
  often(pick(...fields), 12),
  often(pick(...fields).chain(splintered), 2),
  often(
    fc.tuple(letters(20), noise(30)).map(([name, value]) => `${name}: ${value}`),
    2,
  ),
  some(`X-Long: ${'l'.repeat(17_000)}`),
)
const headers = fc.oneof(
  { weight: 2, arbitrary: fc.array(harmless, { maxLength: 4 }) },
  { weight: 1, arbitrary: fc.array(wild, { maxLength: 4 }) },
)

const json = JSON.stringify({ model: nobody })
const second = fc
  .tuple(rowLine, pick('', '\r\nx-api-key: k'))
  .map(([line, more]) => `${line} HTTP/1.1\r\nHost: ${shortName}${more}\r\n\r\n`)
const content = fc.oneof(some('', 3), some(json, 5), often(noise(80), 2), often(second, 2), some('x'.repeat(110_000)))

const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`
const sizes = (length: number): Text =>
  pick(
    `${length}`,
    `${length}`,
    `${length}`,
    `${length + 1}`,
    `${Math.max(0, length - 1)}`,
    `+${length}`,
    `0${length}`,
    `-1`,
    `${length}, ${length}`,
    '18446744073709551616',
  )

/** The lines that say how the body is framed, and the body written in that way or in another. */
const framed: fc.Arbitrary<{ lines: string; body: string }> = content.chain((text) => {
  const chunked = text === '' ? '0\r\n\r\n' : `${chunk(text)}0\r\n\r\n`
  const coding = pick('chunked', 'chunked', 'Chunked', 'chunked, identity', 'gzip, chunked', '\x0bchunked', 'xchunked')
  const odd = pick(chunked, chunked, chunked.replace('\r\n', ';a=b\r\n'), chunked.replaceAll('\r\n', '\n'), text)
  const trailed = chunked.replace(/\r\n$/, 'Authorization: Bearer k\r\n\r\n')
  return fc.oneof(
    { weight: 2, arbitrary: fc.constant({ lines: '', body: text }) },
    { weight: 14, arbitrary: fc.constant({ lines: `Content-Length: ${text.length}\r\n`, body: text }) },
    { weight: 2, arbitrary: sizes(text.length).map((size) => ({ lines: `Content-Length: ${size}\r\n`, body: text })) },
    {
      weight: 4,
      arbitrary: fc.tuple(coding, fc.oneof(often(odd, 4), some(trailed))).map(([name, body]) => ({
        lines: `Transfer-Encoding: ${name}\r\n`,
        body,
      })),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(sizes(text.length), coding, pick(chunked, text)).map(([size, name, body]) => ({
        lines: `Content-Length: ${size}\r\nTransfer-Encoding: ${name}\r\n`,
        body,
      })),
    },
  )
})

type Edit = [share: number, drop: number, put: string]

/** Bytes dropped and put in at some place, as a share of the whole in thousandths. */
const edits: fc.Arbitrary<Edit[]> = fc.array(fc.tuple(fc.nat(999), fc.nat(3), pick(...splinters)), { maxLength: 4 })

const edited = (text: string, [share, drop, put]: Edit): string => {
  // Mostly near the front, where the head is.
  const at = Math.floor((share * Math.min(text.length, 400)) / 1000)
  return text.slice(0, at) + put + text.slice(at + drop)
}

/** What one connection sends, as latin1: method × target × headers × framing × body, sometimes with bytes in wrong places, sometimes two. */
export const connections: Text = fc
  .record({
    line: requestLine,
    host,
    headers,
    framed,
    end: fc.oneof(some('\r\n', 30), some('\n')),
    after: fc.oneof(some('', 4), often(second, 1)),
    edits: fc.oneof({ weight: 4, arbitrary: fc.constant<Edit[]>([]) }, { weight: 1, arbitrary: edits }),
  })
  .map((made) => {
    const lines = [made.line, made.host, ...made.headers].filter((line, at) => at === 0 || line !== '')
    const head = `${lines.join(made.end)}${made.end}${made.framed.lines}${made.end}`
    return made.edits.reduce(edited, head + made.framed.body + made.after)
  })

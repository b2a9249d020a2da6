import { unnamed } from '../../people/own-probes.ts'
import { body, chat, get, type Hostile, hosts, plain, post } from './form.ts'

const chunk = (size: number): string => `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`
const tiny = (size: number): string => `${'1\r\nx\r\n'.repeat(size)}0\r\n\r\n`

/** Holes that were found in an earlier configuration of this kind, by fuzzing; each must stay closed. */
export const later: Hostile[] = [
  ...[
    '9223372036854775807',
    '9223372036854775808',
    '18446744073709551615',
    '18446744073709551616',
    '18446744073709551617',
  ].map(
    (size): Hostile => ({
      name: `Content-Length ${size}`,
      expect: '413|413+400|400|close',
      bytes: chat([`Content-Length: ${size}`]),
    }),
  ),
  {
    name: 'Content-Length one over the limit',
    expect: '413',
    bytes: (aim) => chat([`Content-Length: ${aim.limit + 1}`], '')(aim),
  },
  // Of some megabytes the rest is still on its way when the answer comes, and a reset may overtake that.
  {
    name: 'chunked GET over 100 KB',
    expect: '413|close',
    bytes: (aim) => get('/api/tags', ['Transfer-Encoding: chunked'])(aim) + chunk(aim.chunked + 50_000),
  },
  {
    name: 'chunked HEAD over 100 KB',
    expect: '413|close',
    bytes: (aim) => plain('HEAD /api/tags', ['Transfer-Encoding: chunked'])(aim) + chunk(aim.chunked + 50_000),
  },
  {
    name: 'chunked POST over 100 KB',
    expect: '413|close',
    bytes: (aim) => chat(['Transfer-Encoding: chunked'], chunk(aim.chunked + 50_000))(aim),
  },
  {
    name: 'chunked POST over 100 KB in single bytes',
    expect: '413|close',
    bytes: (aim) => chat(['Transfer-Encoding: chunked'], tiny(aim.chunked + 8000))(aim),
  },
  {
    name: 'chunked POST of 90 KB, or as much as may come',
    expect: '200 →',
    bytes: (aim) =>
      chat(
        ['Transfer-Encoding: chunked'],
        `${chunk(Math.min(90_000, aim.limit, Math.max(aim.chunked - 8000, 1000)))}0\r\n\r\n`,
      )(aim),
  },
  ...[':x', ':99999', ':-1', ':1.evil.example', ':', '.'].map(
    (tail): Hostile => ({
      name: `Host with the tail ${tail}`,
      expect: '421|400',
      bytes: hosts(({ address }) => [`Host: ${address}${tail}`]),
    }),
  ),
  ...['/path', '@evil.example', ', evil.example', '#@evil.example', '\\@evil.example'].map(
    (tail): Hostile => ({
      name: `Host and port with the tail ${tail}`,
      expect: '421|400',
      bytes: hosts(({ host }) => [`Host: ${host}${tail}`]),
    }),
  ),
  {
    name: 'method of 100,000 letters',
    expect: '400 / 400 / 400 / 414',
    bytes: plain(`${'M'.repeat(100_000)} /api/version`),
  },
  { name: 'method of 25 letters', expect: '400', bytes: plain(`${'M'.repeat(25)} /api/version`) },
  { name: 'path of 4,000 quotes', expect: '403', bytes: get(`/${'"'.repeat(4000)}`) },
  { name: 'path of 100,000 letters', expect: '400 / 400 / 400 / 414', bytes: get(`/${'"'.repeat(100_000)}`) },
  { name: 'query of 8,000 letters', expect: '400', bytes: get(`/api/version?${'q'.repeat(8000)}`) },
  {
    name: 'user agent of 8,000 quotes',
    expect: '200 →',
    bytes: get('/api/version', [`${unnamed}${'"'.repeat(8000)}`]),
  },
  {
    name: 'user agent of broken UTF-8',
    expect: '200 →',
    bytes: get('/api/version', [`${unnamed}\xff\xfe\xed\xa0\x80`]),
  },
  { name: 'Origin empty', expect: '403', bytes: get('/v1/models', ['Origin:']) },
  { name: 'Origin null', expect: '403', bytes: get('/v1/models', ['Origin: null']) },
  {
    name: 'Origin of a web page',
    expect: '403',
    bytes: post('/v1/chat/completions', ['Origin: https://evil.example']),
  },
  {
    name: 'two Content-Encodings',
    expect: '415',
    bytes: post('/v1/responses', ['Content-Encoding: identity', 'Content-Encoding: zstd']),
  },
  {
    name: 'websocket with a body',
    expect: '200 → / 200 →|400|close / 400|close / 400|close',
    bytes: post('/v1/responses', ['Connection: Upgrade', 'Upgrade: WebSocket']),
    note: 'HAProxy drops the Upgrade of a request with a body; 3.2 and late releases of 3.0 refuse it',
  },
  {
    name: 'h2c or websocket with a body',
    expect: '200 → / 200 →|400|close / 200 →|400|close / 400|close',
    bytes: post('/v1/responses', ['Connection: Upgrade', 'Upgrade: h2c, WebSocket']),
  },
  {
    name: 'a second request behind a length that is too short',
    expect: '200+400 →|200+403 →|200 →',
    bytes: chat(
      [`Content-Length: ${body.length - 1}`],
      `${body}DELETE /api/delete HTTP/1.1\r\nHost: a\r\n${unnamed}\r\n\r\n`,
    ),
    note: 'the byte that is left over makes the next method }DELETE',
  },
]

import { body, chat, get, type Hostile, hosts, plain, post } from './form.ts'

const length = `Content-Length: ${body.length}`
const chunked = 'Transfer-Encoding: chunked'
const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
const unread = 'from 3.2 on a reset is possible: 400 is written with the body unread'

/** Framing, header syntax, Host, and headers that must not get through. */
export const headers: Hostile[] = [
  { name: 'CL+TE', expect: '200 →', bytes: chat([length, chunked], chunks), note: 'HAProxy drops Content-Length' },
  {
    name: 'TE.CL smuggle',
    expect: '400|close',
    bytes: chat(
      ['Content-Length: 4', 'Transfer-Encoding: chunked, identity'],
      `5c\r\nDELETE /api/delete HTTP/1.1\r\n\r\n0\r\n\r\n`,
    ),
  },
  { name: 'dup CL same', expect: '200 →', bytes: chat([length, length]) },
  { name: 'dup CL differ', expect: '400|close', bytes: chat([length, 'Content-Length: 5']), note: unread },
  {
    name: 'CL list of two equal ones',
    expect: '200 →',
    bytes: chat([`Content-Length: ${body.length}, ${body.length}`]),
  },
  { name: 'CL +', expect: '400|close', bytes: chat([`Content-Length: +${body.length}`]) },
  { name: 'CL -1', expect: '400|close', bytes: chat(['Content-Length: -1']) },
  { name: 'CL 0x11', expect: '400|close', bytes: chat(['Content-Length: 0x11']) },
  { name: 'CL empty', expect: '400|close', bytes: chat(['Content-Length:']) },
  { name: 'CL huge', expect: '400|413|close', bytes: chat([`Content-Length: ${'9'.repeat(30)}`]) },
  { name: 'POST no CL no TE', expect: '200 →', bytes: chat([], '') },
  { name: 'TE: xchunked', expect: '400|close', bytes: chat(['Transfer-Encoding: xchunked'], chunks) },
  { name: 'TE: chunked twice', expect: '400|close', bytes: chat([chunked, chunked], chunks) },
  {
    name: 'TE: gzip, chunked',
    expect: '422 / 422 / 400|422|close / 400|422|close',
    bytes: chat(['Transfer-Encoding: gzip, chunked'], chunks),
  },
  { name: 'TE: chunked, identity', expect: '400|close', bytes: chat(['Transfer-Encoding: chunked, identity'], chunks) },
  { name: 'TE space before colon', expect: '400|close', bytes: chat(['Transfer-Encoding : chunked'], chunks) },
  { name: 'TE \\x0bchunked', expect: '400|close', bytes: chat(['Transfer-Encoding: \x0bchunked'], chunks) },
  { name: 'GET with body', expect: '200 →', bytes: plain('GET /api/version', [], body) },
  { name: 'chunk size junk', expect: '400|close', bytes: chat([chunked], `zz\r\n${body}\r\n0\r\n\r\n`) },
  {
    name: 'chunk size overflow',
    expect: '400|close',
    bytes: chat([chunked], `fffffffffffffffff\r\n${body}\r\n0\r\n\r\n`),
  },
  { name: 'chunk ext', expect: '200 →', bytes: chat([chunked], chunks.replace('\r\n', ';a=b\r\n')) },
  {
    name: 'chunk bare LF',
    expect: '200 → / 400|close / 400|close / 400|close',
    bytes: chat([chunked], chunks.replaceAll('\r\n', '\n')),
  },
  {
    name: 'trailers',
    expect: '200 →',
    bytes: chat([chunked], chunks.replace(/\r\n$/, 'Authorization: Bearer x\r\nHost: evil\r\n\r\n')),
    note: 'passed on as trailers by 2.6 and 3.0, dropped from 3.2 on',
  },
  { name: 'obs-fold', expect: '200 →', bytes: get('/api/version', ['X-Folded: a', ' b']) },
  { name: 'header with space name', expect: '400|close', bytes: post('/v1/messages', ['X Bad: a']), note: unread },
  { name: 'header empty name', expect: '400|close', bytes: post('/v1/messages', [': a']), note: unread },
  { name: 'header bare CR', expect: '400|close', bytes: post('/v1/messages', ['X-A: a\rb']), note: unread },
  {
    name: 'header NUL',
    expect: '200 → / 400|close / 400|close / 400|close',
    bytes: post('/v1/messages', ['X-A: a\0b']),
    note: '2.6 lets it pass; the allowlist drops the header',
  },
  { name: 'header ctrl 0x01', expect: '200 →', bytes: post('/v1/messages', ['X-A: a\x01b']) },
  { name: 'header latin1', expect: '200 →', bytes: post('/v1/messages', ['X-A: \xe9']) },
  {
    name: 'leading space header',
    expect: '400|close',
    bytes: ({ host }) => `GET /api/version HTTP/1.1\r\n Host: ${host}\r\n\r\n`,
  },
  {
    name: 'double Host same',
    expect: '200 →',
    bytes: hosts(({ host }) => [`Host: ${host}`, `Host: ${host}`]),
    note: 'HAProxy drops the second of two equal lines',
  },
  {
    name: 'double Host differ',
    expect: '400|421|close',
    bytes: hosts(({ host }) => [`Host: ${host}`, 'Host: evil.example']),
  },
  {
    name: 'Host list',
    expect: '421 / 421|400 / 421|400 / 400',
    bytes: hosts(({ host }) => [`Host: ${host}, evil.example`]),
  },
  { name: 'Host with path', expect: '421 / 421|400 / 421|400 / 400', bytes: hosts(({ host }) => [`Host: ${host}/x`]) },
  { name: 'Host userinfo', expect: '421 / 421|400 / 421|400 / 400', bytes: hosts(({ host }) => [`Host: u@${host}`]) },
  { name: 'Host empty', expect: '421', bytes: hosts(() => ['Host:']) },
  { name: 'Host foreign', expect: '421', bytes: hosts(() => ['Host: evil.example']) },
  {
    name: 'X-Original-URL / X-Rewrite-URL',
    expect: '200 →',
    bytes: get('/api/version', ['X-Original-URL: /api/pull', 'X-Rewrite-URL: /api/pull']),
  },
  { name: 'X-HTTP-Method-Override', expect: '200 →', bytes: post('/v1/messages', ['X-HTTP-Method-Override: DELETE']) },
  {
    name: 'X-Forwarded-*, Tailscale-User-*',
    expect: '200 →',
    bytes: get('/api/version', [
      ...['X-Forwarded-For: 127.0.0.1', 'X-Forwarded-Host: evil', 'X-Real-IP: 127.0.0.1'],
      ...['Tailscale-User-Login: owner@example.com', 'Tailscale-User-Name: Owner', 'X-Webauth-User: owner'],
    ]),
  },
  {
    name: 'Connection: X-Secret hop list',
    expect: '200 →',
    bytes: get('/api/version', ['Connection: X-Secret, host', 'X-Secret: a']),
  },
  { name: 'Proxy: header', expect: '200 →', bytes: get('/api/version', ['Proxy: http://evil.example']) },
  { name: 'header 8000', expect: '200 →', bytes: get('/api/version', [`X-A: ${'a'.repeat(8000)}`]) },
  { name: 'header 15000', expect: '200 →', bytes: get('/api/version', [`X-A: ${'a'.repeat(15_000)}`]) },
  {
    name: 'header 17000',
    expect: '400 / 400 / 400 / 400|431',
    bytes: get('/api/version', [`X-A: ${'a'.repeat(17_000)}`]),
  },
  {
    name: '90 headers',
    expect: '200 →',
    bytes: get(
      '/api/version',
      Array.from({ length: 90 }, (_, i) => `X-${i}: a`),
    ),
  },
  {
    name: '200 headers',
    expect: '400|431',
    bytes: get(
      '/api/version',
      Array.from({ length: 200 }, (_, i) => `X-${i}: a`),
    ),
  },
  { name: 'Content-Encoding zstd', expect: '415', bytes: post('/v1/responses', ['Content-Encoding: zstd']) },
  { name: 'Expect 100-continue', expect: '200 →', bytes: post('/v1/messages', ['Expect: 100-continue']) },
  { name: 'Expect other', expect: '200 →', bytes: post('/v1/messages', ['Expect: 200-maybe']) },
  {
    name: 'Authorization + x-api-key + Cookie + Origin',
    expect: '403',
    bytes: post('/v1/messages', [
      'Authorization: Bearer k',
      'x-api-key: k',
      'Cookie: a=b',
      'Origin: https://evil.example',
    ]),
    note: 'keys are not judged in this version; the Origin is',
  },
  {
    name: 'Authorization + x-api-key + Cookie',
    expect: '200 →',
    bytes: post('/v1/messages', ['Authorization: Bearer k', 'x-api-key: k', 'Cookie: a=b']),
  },
  {
    name: 'two Authorization headers',
    expect: '200 →',
    bytes: post('/v1/messages', ['Authorization: Bearer k', 'Authorization: Bearer l']),
  },
]

import { expect, test } from 'vitest'
import { memoryHost } from '../../../test/memory-host.ts'
import type { RawAnswer } from '../../host/host.ts'
import type { PageKind } from '../../site/service-kinds.ts'
import type { Place } from './service-asked.ts'
import { arrives, comesBack, opens } from './visitors.ts'

const kind = { is: 'page', what: 'Open WebUI', login: '/in', callback: '/back' } as PageKind
const placeAt = (port: number) =>
  ({ service: { name: 'chat.example.net', kind }, listener: { addresses: ['192.168.78.1'], port } }) as Place
const place = placeAt(8443)

/** A page that answers these paths so: a status, or a place to go to. */
function page(answers: Record<string, number | string>) {
  const host = memoryHost()
  host.probe = async ({ target }): Promise<RawAnswer> => {
    const said = answers[target] ?? 404
    const headers: Record<string, string> = typeof said === 'string' ? { location: said } : {}
    return { end: 'complete', status: typeof said === 'string' ? 302 : said, headers, body: '', pieces: [], ms: 1 }
  }
  return host
}

test.each<[string, Record<string, number | string>, string]>([
  ['a page', { '/': 200 }, '/ gives 200'],
  ['another page of its own', { '/': '/auth?next=/', '/auth?next=/': 200 }, '/auth gives 200'],
  ['another port of its name', { '/': 'https://chat.example.net/' }, 'it leads to chat.example.net'],
  ['a provider', { '/': '/in', '/in': 'https://id.example.net/authorize' }, 'it leads to id.example.net'],
])('whoever opens a page that leads to %s arrives', async (_where, answers, saw) => {
  expect(await arrives(page(answers), place)).toEqual({ is: 'ok', saw })
})

test.each<[string, Record<string, number | string>]>([
  ['itself', { '/': '/' }],
  ['a page that leads back', { '/': '/a', '/a': 'https://chat.example.net:8443/' }],
  ['its name by http, where it is again', { '/': 'http://chat.example.net/' }],
  ['ever new pages', Object.fromEntries(Array.from({ length: 20 }, (_, at) => [at ? `/${at}` : '/', `/${at + 1}`]))],
])('at a page that leads to %s nobody arrives, and its own address helps', async (_where, answers) => {
  expect(await arrives(page(answers), place)).toMatchObject({
    is: 'missed',
    saw: expect.stringMatching(/ so a browser arrives nowhere$/),
    remedy: 'Tell Open WebUI that its own address is https://chat.example.net:8443, and restart it.',
  })
})

const sendsTo = (uri: string) => `https://id.example.net/authorize?client_id=a&redirect_uri=${encodeURIComponent(uri)}`

test('a login comes back to the page, and where it would not the right redirect URI is named', async () => {
  const with443 = { '/in': sendsTo('https://chat.example.net/back') }
  expect(await comesBack(page(with443), placeAt(443), kind, [])).toEqual({ is: 'ok', saw: 'by id.example.net' })
  expect(await comesBack(page(with443), place, kind, [])).toEqual({
    is: 'missed',
    saw: 'id.example.net would send who has signed in to https://chat.example.net/back',
    remedy: 'Set the redirect URI to https://chat.example.net:8443/back, in Open WebUI and at the provider.',
  })
  expect(await comesBack(page({}), place, kind, [])).toEqual({
    is: 'ok',
    saw: 'no provider is set up there (/in gives 404)',
  })
})

test('a provider that does not answer is advice, since keys and APIs go on', async () => {
  expect(await comesBack(page({ '/in': 500 }), place, kind, [])).toMatchObject({
    is: 'advice',
    saw: 'nobody can sign in now: /in gives 500',
  })
})

/** A page that leads to a provider, which gives this; with where it was asked. */
function leading(said: number) {
  const right = sendsTo('https://chat.example.net:8443/back')
  const host = page({ '/in': right, [right.slice('https://id.example.net'.length)]: said })
  const asked: string[] = []
  const { probe } = host
  host.probe = (request) => {
    asked.push(`${request.address}:${request.port} ${request.tlsName}`)
    return probe(request)
  }
  return { host, asked }
}

test('a provider that is down is advice, though the page itself leads there', async () => {
  expect(await comesBack(leading(503).host, place, kind, [])).toMatchObject({
    is: 'advice',
    saw: 'nobody can sign in now: id.example.net gives 503',
  })
})

test('a provider that does not know the redirect URI is to be told it', async () => {
  expect(await comesBack(leading(400).host, place, kind, [])).toEqual({
    is: 'missed',
    saw: 'id.example.net refuses the login: 400',
    remedy:
      'Allow the redirect URI https://chat.example.net:8443/back at the provider, for the client id that Open WebUI has.',
  })
})

test('a provider behind the same gateway is asked there, another one by its name', async () => {
  const behind = { ...placeAt(443), service: { ...placeAt(443).service, name: 'id.example.net' } }
  const here = leading(200)
  expect(await comesBack(here.host, place, kind, [place, behind])).toEqual({ is: 'ok', saw: 'by id.example.net' })
  expect(here.asked).toEqual(['192.168.78.1:8443 chat.example.net', '192.168.78.1:443 id.example.net'])
  const elsewhere = leading(200)
  await comesBack(elsewhere.host, place, kind, [place])
  expect(elsewhere.asked[1]).toBe('id.example.net:443 id.example.net')
})

test('a page that refuses its own WebSocket is told which origin it must take', async () => {
  const host = memoryHost()
  host.raw = async () => ({ come: Buffer.from('HTTP/1.1 403 Forbidden\r\n\r\n'), end: 'open' })
  expect(await opens(host, place, '/ws')).toMatchObject({
    is: 'missed',
    saw: 'HTTP/1.1 403 Forbidden',
    remedy: 'Have Open WebUI take WebSockets from https://chat.example.net:8443.',
  })
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { doorsOf } from '../../lib/gateway/services.ts'
import { swap } from '../../lib/haproxy/reload.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { emptyReceipt } from '../../lib/site/receipt.ts'
import { authority, pem } from '../lab/certificates.ts'
import { type Engine, startEngine } from '../lab/engine.ts'
import { eventually, ownAddress, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { notOk, proofs, reported } from '../lab/proofs.ts'
import { type Client, dial, exchange, request } from '../lab/raw.ts'
import { masked, type Page, startPage } from '../services/page.ts'

const names = ['ai.example.net', 'chat.example.net', 'hal9000-api', 'brainiac-api', 'inward.example.net']
const ca = authority('a test')
const certificates = Object.fromEntries(names.map((name) => [`${name}.pem`, pem(ca.server(name))]))
const tls = `tls: { ${names.map((name) => `${name}: own-ca`).join(', ')} }`
const secret = generateKey()
const registry = {
  version: 1 as const,
  keys: { bob: { created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(secret) }] } },
}

describe('services', () => {
  const [lan, open] = [ownAddress(), ownAddress()]
  let hal: Engine
  let brainiac: Engine
  let pages: Record<'hal9000' | 'brainiac' | 'chat' | 'inward', Page>
  let gateway: RunningGateway

  const settings = () => `log: requests
${tls}
nodes:
  hal9000: { address: 127.0.0.1, port: ${hal.port} }
  brainiac: { address: 127.0.0.1, port: ${brainiac.port} }
role: gateway
listeners:
  lan: { addresses: [${lan}], sources: [192.168.78.0/24] }
  public: { addresses: [${open}], port: 8443 }
services:
  hal: { kind: page, name: hal9000-api, port: 12000, backend: 'localhost:${pages.hal9000.port}', listeners: [tailnet, lan] }
  brainiac: { kind: page, name: brainiac-api, port: 12000, backend: '127.0.0.1:${pages.brainiac.port}', listeners: [lan] }
  chat: { kind: open-webui, name: chat.example.net, backend: '127.0.0.1:${pages.chat.port}', listeners: [public, lan] }
  inward: { kind: oauth2-proxy, name: inward.example.net, port: 12001, backend: '127.0.0.1:${pages.inward.port}', listeners: [lan] }
`
  beforeAll(async () => {
    hal = await startEngine('hal9000', 'ollama', ['both:latest'])
    brainiac = await startEngine('brainiac', 'ollama', ['both:latest'])
    pages = {
      hal9000: await startPage('hal9000', '/'),
      brainiac: await startPage('brainiac', '/'),
      chat: await startPage('chat'),
      inward: await startPage('inward', '/ready'),
    }
    gateway = await startGateway({
      ...{ enginePort: hal.port, settings: settings(), certificates, registry },
    })
  })
  afterAll(async () => {
    await gateway?.stop()
    for (const one of [hal, brainiac]) await one?.recorder.stop()
    for (const one of Object.values(pages ?? {})) await one.stop()
  })
  beforeEach(() => {
    for (const page of Object.values(pages)) page.visits.length = 0
  })

  interface Asked {
    name: string
    port: number
    address?: string
    host?: string
    method?: string
    headers?: string[]
    body?: string
  }
  const ask = (path: string, { name, port, address = lan, method = 'GET', headers = [], body, ...rest }: Asked) =>
    exchange(
      { address, port, tls: { servername: name } },
      request(`${method} ${path} HTTP/1.1`, [`Host: ${rest.host ?? `${name}:${port}`}`, ...headers], body),
    )
  const upgrade = (origin?: string): string[] => [
    ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...(origin === undefined ? [] : [`Origin: ${origin}`]),
  ]
  const socket = async (path: string, { name, port, address = lan }: Asked, origin?: string): Promise<Client> => {
    const client = await dial({ address, port, tls: { servername: name } })
    client.send(request(`GET ${path} HTTP/1.1`, [`Host: ${name}:${port}`, ...upgrade(origin)]))
    return client
  }
  const chat = {
    name: 'chat.example.net',
    port: 8443,
    get address() {
      return open
    },
  }

  test('one name is an engine on one port and a page on another, for each node its own', async () => {
    for (const [name, engine] of [
      ['hal9000', hal],
      ['brainiac', brainiac],
    ] as const) {
      const there = { name: `${name}-api`, port: 12_000 }
      expect((await ask('/any', there)).body).toContain(`This is ${name}.`)
      engine.asked.length = 0
      const { status } = await ask('/v1/messages', {
        ...{ ...there, port: gateway.port, method: 'POST', body: '{"model":"both"}' },
        headers: [`Authorization: Bearer ${secret}`],
      })
      expect(status).toBe(200)
      expect(engine.asked.length).toBe(1)
    }
  })

  test('a page is on its own name and listeners alone, and nowhere does a name of the internet say what is inward', async () => {
    expect((await ask('/', { name: 'hal9000-api', port: 12_000, address: gateway.address })).status).toBe(200)
    expect((await ask('/', { name: 'brainiac-api', port: 12_000, address: gateway.address })).status).toBe(421)
    expect((await ask('/', { ...chat, host: 'ai.example.net:8443' })).status).toBe(421)
    expect(
      (await ask('/', { name: 'ai.example.net', port: 8443, address: open, host: 'chat.example.net:8443' })).status,
    ).toBe(421)
    expect((await ask('/', { name: 'ai.example.net', port: 12_000 })).status).toBe(421)
    expect((await ask('/', { name: 'inward.example.net', port: 8443, address: open })).status).toBe(0)
    expect((await ask('/v1/models', chat)).body).toContain('This is chat.')
    expect((await ask('/v1/models', { name: 'ai.example.net', port: 8443, address: open })).status).toBe(401)
  })

  test('headers that say who asks are made up outside, and what the gateway saw stands in their place', async () => {
    const made = [
      'X-Forwarded-User: root',
      'X-Forwarded-For: 1.2.3.4',
      'X-Forwarded-Email: r@x',
      'Remote-User: root',
      'X-Auth-Request-User: root',
      'X-authentik-username: root',
      'Forwarded: for=1.2.3.4',
      'X-Real-IP: 1.2.3.4',
      'X_Forwarded_User: root',
      'Remote_User: root',
      'Tailscale-User-Login: root',
    ]
    await ask('/any', { ...chat, headers: [...made, 'Cookie: session=1', 'Authorization: Bearer of-the-page'] })
    const headers = pages.chat.visits[0]?.headers ?? {}
    expect(JSON.stringify(headers)).not.toMatch(/root|1\.2\.3\.4|r@x/)
    expect(headers).toMatchObject({
      ...{ host: 'chat.example.net:8443', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'chat.example.net:8443' },
      ...{ cookie: 'session=1', authorization: 'Bearer of-the-page' },
    })
    expect(headers['x-forwarded-for']).toMatch(/^127\./)
  })

  test('a WebSocket opens where the kind has one, from the page’s own origin, and its words pass', async () => {
    const own = await socket('/ws/socket.io/?EIO=4', chat, 'https://chat.example.net:8443')
    expect(await own.sees('101 Switching')).toBe(true)
    own.send(masked('hello'))
    expect(await own.sees('hello')).toBe(true)
    own.hangUp()
    for (const origin of [
      'https://evil.example',
      'https://chat.example.net',
      'http://chat.example.net:8443',
      'null',
      undefined,
    ]) {
      const foreign = await socket('/ws/socket.io/', chat, origin)
      expect((await foreign.settled())[0]?.status, origin).toBe(403)
      foreign.hangUp()
    }
    const elsewhere = await socket('/api/other', chat, 'https://chat.example.net:8443')
    expect((await elsewhere.settled())[0]?.status).toBe(426)
    elsewhere.hangUp()
    // Newer ones take the word out by themselves.
    const h2c = await ask('/', { ...chat, headers: ['Connection: Upgrade', 'Upgrade: h2c'] })
    expect([426, 200]).toContain(h2c.status)
    const upgraded = pages.chat.visits.filter(({ headers }) => headers.upgrade !== undefined)
    expect(upgraded.map(({ headers }) => headers.upgrade)).toEqual(['websocket'])
  })

  test('an open WebSocket lives through a reload', async () => {
    const own = await socket('/ws/socket.io/', chat, 'https://chat.example.net:8443')
    expect(await own.sees('101 Switching')).toBe(true)
    const configuration = gateway.rendered(`${settings()}drain: 1m\nkeep_alive: 1m\nqueue: { max: 7 }\n`)
    await swap(gateway.machine, { receipt: emptyReceipt(), configuration, haproxy: gateway.program })
    own.send(masked('still here'))
    expect(await own.sees('still here')).toBe(true)
    expect((await ask('/any', chat)).status).toBe(200)
    own.hangUp()
  })

  test('uploads are bounded, methods are the kind’s, and what no browser writes is refused, all in words for a browser', async () => {
    const form = { ...chat, method: 'POST', headers: ['Content-Type: text/plain'] }
    expect((await ask('/up', { ...form, body: 'x'.repeat(300_000) })).status).toBe(200)
    expect(pages.chat.visits[0]?.bytes).toBe(300_000)
    const large = await ask('/up', { ...chat, method: 'POST', headers: [`Content-Length: ${101 * 1024 ** 2}`] })
    expect(large.status).toBe(413)
    expect(large.headers['content-type']).toBe('text/html')
    expect(large.body).toContain('Gateway: the upload is over 100 MB.')
    expect((await ask('/up', { ...chat, method: 'POST', headers: ['Transfer-Encoding: chunked'] })).status).toBe(411)
    expect((await ask('/', { ...chat, method: 'TRACE' })).status).toBe(405)
    expect((await ask(`/?${'u'.repeat(5000)}`, chat)).status).toBe(400)
    expect((await ask('/', { ...chat, headers: [`Cookie: ${'c'.repeat(6144)}`] })).status).toBe(200)
    expect(pages.chat.visits.at(-1)?.headers.cookie).toHaveLength(6144)
    const { status, body } = await ask('/', { ...chat, headers: [`Cookie: ${'c'.repeat(17_000)}`] })
    expect([400, 431]).toContain(status)
    expect(body).toContain('in a browser, delete the cookies of this name')
  })

  test('the log tells the service, and who is signed in where the page says so', async () => {
    const { headers } = await ask('/mine?secret=1', { name: 'inward.example.net', port: 12_001 })
    expect(headers['x-auth-request-email']).toBeUndefined()
    const line = () => gateway.log().find((one) => (JSON.parse(one) as { path: string }).path === '/mine')
    await eventually('the line is there', () => line() !== undefined)
    expect(JSON.parse(line() ?? '')).toMatchObject({ who: 'ann@example.com', group: 'inward', status: 200 })
    expect(line()).not.toContain('secret')
  })

  test('test.ts finds no fault, and notices a page that is down, which is told to a browser as a page', async () => {
    const mine = async () =>
      (await reported(gateway, hal.port, proofs(gateway))).filter(({ id }) => id.startsWith('services.'))
    expect(notOk(await mine())).toEqual([])
    expect((await mine()).map(({ id }) => id)).toContain('services.chat-socket')
    await pages.chat.stop()
    await eventually('it is down', async () => (await ask('/', chat)).status === 503)
    const { headers, body } = await ask('/', chat)
    expect(headers['content-type']).toBe('text/html')
    expect(body).toContain('Open WebUI, a page to chat on does not answer')
    const found = notOk(await mine())
    expect(found.filter(({ rests }) => rests === undefined).map(({ id }) => id)).toEqual(['services.chat-answers'])
    expect(found.map(({ id }) => id)).toContain('services.chat-sign-in')
    await pages.chat.start()
    await eventually('it is back', async () => (await ask('/', chat)).status === 200)
  })

  test('further ports are known wherever listeners are', () => {
    expect(doorsOf(gateway.gateway).map(({ name, port }) => `${name}:${port}`)).toEqual([
      ...['tailnet:12000', 'lan:12000', 'lan:12001'],
    ])
  })
})

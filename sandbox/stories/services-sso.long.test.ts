import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseEnded } from '../../lib/observer/ended.ts'
import { count, type Usage } from '../../lib/observer/usage.ts'
import { renewServiceKeys } from '../../lib/parts/services.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { authority, pem } from '../lab/certificates.ts'
import { eventually, freePort, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { answering, notOk, proofs, reported } from '../lab/proofs.ts'
import { dial, exchange, request, type Where } from '../lab/raw.ts'
import { type Recorder, startRecorder } from '../lab/recorder.ts'
import { startBrowser } from '../page/browser.ts'
import { type ApiStandIn, startApi } from '../services/api.ts'
import { type Names, startNames } from '../services/names.ts'
import { startOauth2Proxy } from '../services/oauth2-proxy.ts'
import { type Page as Behind, startPage } from '../services/page.ts'
import type { Serving } from '../services/program.ts'
import { type Provider, startProvider } from '../services/provider.ts'

const port = 12_000
const names = { notes: 'notes.example.net', id: 'id.example.net', openai: 'openai.example.net' }
const origins = Object.fromEntries(Object.entries(names).map(([id, name]) => [id, `https://${name}:${port}`])) as {
  [id in keyof typeof names]: string
}
const ann = 'ann@example.net'
const stranger = 'eve@example.org'
const secret = generateKey()
const registry = {
  version: 1 as const,
  keys: { bob: { created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(secret) }] } },
}
const ca = authority('a test')

describe('a page behind a real oauth2-proxy, with a real provider of logins, in a real browser', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sso-'))
  const client = { id: 'notes', secret: generateKey(), redirect: `${origins.notes}/oauth2/callback` }
  let engine: Recorder
  let litellm: ApiStandIn
  let behind: Behind
  let gateway: RunningGateway
  let provider: Provider
  let found: Names
  let proxy: Serving
  let proxyPort: number
  let browser: Browser
  let page: Page

  /** oauth2-proxy, which is told this of its own address; the gateway leads to it then. */
  const startProxy = async (url = origins.notes) => {
    const { issuer, ca, env } = { issuer: origins.id, ca: join(folder, 'ca.pem'), env: found.env }
    proxy = await startOauth2Proxy({
      ...{ folder: join(folder, 'proxy'), port: proxyPort, upstream: behind.port, secret: client.secret },
      ...{ url, issuer, ca, env },
    })
    await reached('notes', '/ping')
  }
  const reached = (of: keyof typeof names, path: string) =>
    eventually(`${of} is reached`, async () => (await ask(of, `GET ${path}`)).status === 200)

  beforeAll(async () => {
    writeFileSync(join(folder, 'ca.pem'), ca.cert)
    engine = await startRecorder(answering)
    litellm = await startApi('litellm', '/health/readiness')
    behind = await startPage('notes', '/')
    const providerPort = await freePort('127.0.0.1')
    proxyPort = await freePort('127.0.0.1')
    gateway = await startGateway({
      ...{ enginePort: engine.port, registry },
      settings: `log: requests
access: keys
tls: { ${Object.values(names)
        .map((name) => `${name}: own-ca`)
        .join(', ')} }
services:
  notes: { kind: oauth2-proxy, name: ${names.notes}, port: ${port}, backend: 'localhost:${proxyPort}' }
  id: { kind: page, name: ${names.id}, port: ${port}, backend: 'localhost:${providerPort}' }
  openai: { kind: litellm, name: ${names.openai}, port: ${port}, backend: 'localhost:${litellm.port}', key: 'file:~/litellm.key', sign_in: notes }
`,
      certificates: Object.fromEntries(Object.values(names).map((name) => [`${name}.pem`, pem(ca.server(name))])),
    })
    await gateway.machine.write(`${gateway.home}/litellm.key`, 'key-of-litellm\n', 0o600)
    await renewServiceKeys(gateway.machine, gateway.gateway.settings)
    found = await startNames(gateway.address)
    provider = await startProvider(origins.id, providerPort, [client], [ann, stranger])
    await reached('id', '/')
    await startProxy()
    browser = await startBrowser(`MAP *.example.net ${gateway.address}`)
    page = await newPage()
  })
  afterAll(async () => {
    await browser?.close()
    await proxy?.stop()
    await provider?.stop()
    await found?.stop()
    await gateway?.stop()
    await behind?.stop()
    for (const one of [engine, litellm]) await one?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const newPage = async () => (await browser.newContext({ ignoreHTTPSErrors: true })).newPage()
  const ask = (of: keyof typeof names, row: string, headers: string[] = []) =>
    exchange(
      { address: gateway.address, port, tls: { servername: names[of] } },
      request(`${row} HTTP/1.1`, [`Host: ${names[of]}:${port}`, ...headers]),
    )
  const lines = (path: string) =>
    gateway
      .log()
      .flatMap((line) => parseEnded(line) ?? [])
      .filter((line) => line.path === path)
  const signIn = async (on: Page, who: string) => {
    await on.locator('input[name=login]').fill(who)
    await on.locator('button').click()
  }
  /** What a page hears back on a WebSocket of its own; the page is closed then. */
  const echoed = async (path: string) => {
    const own = await page.context().newPage()
    await own.goto(origins.notes)
    const heard = await own.evaluate(
      (where) =>
        new Promise<string>((resolve) => {
          const socket = new WebSocket(where)
          socket.onopen = () => socket.send('hello')
          socket.onmessage = ({ data }) => resolve(`${data}`)
          socket.onclose = ({ code }) => resolve(`closed ${code}`)
        }),
      `${origins.notes.replace('https', 'wss')}${path}`,
    )
    await own.close()
    return heard
  }
  const checks = async () =>
    Object.fromEntries(
      (await reported(gateway, engine.port, proofs(gateway)))
        .filter(({ id }) => id.startsWith('services.'))
        .map((result) => [result.id, result]),
    )
  const cookies = async () => (await page.context().cookies(origins.notes)).map(({ name }) => name)

  test('whoever has no session is sent to sign in, and whoever only looks, too', async () => {
    for (const row of ['GET /', 'HEAD /', 'HEAD /some/where']) {
      const { status, headers } = await ask('notes', row, ['Accept: */*'])
      expect([row, status]).toEqual([row, 302])
      expect(headers.location).toContain(`${origins.id}/auth?`)
    }
    expect(behind.visits).toEqual([])
  })

  test('after the login a browser is back on the page, which hears who it is', async () => {
    await page.goto(`${origins.notes}/mine?part=2`)
    expect(page.url()).toContain(`${origins.id}/interaction/`)
    await signIn(page, ann)
    await page.getByText('This is notes.').waitFor()
    expect(page.url()).toBe(`${origins.notes}/mine?part=2`)
    const { headers } = behind.visits.at(-1) ?? {}
    expect(headers).toMatchObject({ 'x-forwarded-email': ann })
    expect(await cookies()).toEqual(['__Host-page'])
  })

  test('the login’s name is the one in the log and in the report, whatever the page says of itself', async () => {
    await eventually('it is in the log', () => lines('/mine').some(({ status }) => status === 200))
    expect(lines('/mine').at(-1)).toMatchObject({ who: ann, group: 'notes', status: 200 })
    const day: Usage = { who: {}, used: {} }
    for (const line of lines('/mine').filter(({ status }) => status === 200)) count(day, line)
    expect(Object.keys(day.who)).toEqual([ann])
    const answer = await page.goto(`${origins.notes}/mine`)
    expect(Object.keys((await answer?.allHeaders()) ?? {}).filter((name) => name.startsWith('x-auth-request'))).toEqual(
      [],
    )
    expect(gateway.log().join('\n')).not.toMatch(/code=|state=|part=2/)
    expect(proxy.said()).not.toMatch(/code=/)
  })

  test('a WebSocket opens for the page itself, under the same name, and with its cookie from nowhere else', async () => {
    expect(await echoed('/live')).toBe('hello')
    await eventually('it is in the log', () => lines('/live').length > 0)
    expect(lines('/live')[0]).toMatchObject({ who: ann, status: 101 })
    const cookie = (await page.context().cookies(origins.notes)).map(({ name, value }) => `${name}=${value}`).join('; ')
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
    const foreign = async (where: Where) => {
      const stranger = await dial(where)
      const mine = [`Host: ${names.notes}:${port}`, 'Origin: https://evil.example', `Cookie: ${cookie}`, ...upgrade]
      stranger.send(request('GET /live HTTP/1.1', [...mine, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']))
      await stranger.sees('\r\n\r\n')
      stranger.hangUp()
      return stranger.bytes().toString('latin1').split('\r\n')[0]
    }
    expect(await foreign({ address: gateway.address, port, tls: { servername: names.notes } })).toContain(' 403 ')
    // By itself oauth2-proxy lets it in.
    expect(await foreign({ address: '127.0.0.1', port: proxyPort })).toContain(' 101 ')
  })

  test('who signs in and is of another domain does not get in', async () => {
    const other = await newPage()
    await other.goto(origins.notes)
    const landed = other.waitForResponse((answer) => answer.url().includes('/oauth2/callback'))
    await signIn(other, stranger)
    expect((await landed).status()).toBe(403)
    expect(behind.visits.some(({ headers }) => headers['x-forwarded-email'] === stranger)).toBe(false)
    await other.context().close()
  })

  test('at a name of programs a browser is led to the same login, and a program told in JSON what it needs', async () => {
    const other = await newPage()
    await other.goto(`${origins.openai}/v1/models`)
    expect(other.url()).toContain(`${origins.id}/interaction/`)
    await other.context().close()
    expect((await ask('openai', 'HEAD /v1/models')).status).toBe(302)
    const program = await ask('openai', 'GET /v1/models', ['Accept: application/json'])
    expect([program.status, program.headers['content-type']]).toEqual([401, 'application/json'])
    expect(JSON.parse(program.body)).toMatchObject({ error: { type: 'authentication_error' } })
    expect((await ask('openai', 'GET /v1/models', [`Authorization: Bearer ${secret}`])).status).toBe(200)
  })

  test('test.ts finds no fault', async () => {
    const found = await checks()
    expect(notOk(Object.values(found))).toEqual([])
    expect(found['services.notes-sign-in']).toMatchObject({ saw: `by ${names.id}:${port}` })
  })

  test('with the provider down a session goes on, keys go on, and test.ts advises', async () => {
    await provider.stop()
    await eventually('it is down', async () => (await ask('id', 'GET /')).status === 503)
    await page.goto(`${origins.notes}/still`)
    await page.getByText('This is notes.').waitFor()
    expect((await ask('openai', 'GET /v1/models', [`Authorization: Bearer ${secret}`])).status).toBe(200)
    const found = await checks()
    expect(found['services.notes-sign-in']).toMatchObject({ state: 'advice' })
    expect(found['services.notes-answers']).toMatchObject({ state: 'ok' })
    expect(found['services.openai-answers']).toMatchObject({ state: 'ok' })
    await provider.start()
    await reached('id', '/')
    expect((await checks())['services.notes-sign-in']).toMatchObject({ state: 'ok' })
  })

  test('whoever signs out is asked to sign in again', async () => {
    const end = encodeURIComponent(`${origins.id}/session/end`)
    await page.goto(`${origins.notes}/oauth2/sign_out?rd=${end}`)
    expect(page.url()).toBe(`${origins.id}/session/end`)
    await page.locator('button[name=logout]').click()
    await page.waitForURL(/\/session\/end\/success/)
    expect(await cookies()).toEqual([])
    await page.goto(origins.notes)
    expect(page.url()).toContain(`${origins.id}/interaction/`)
    await page.locator('input[name=login]').waitFor()
  })

  test('a redirect URI that is another’s is told with the right one, and one that the provider does not know', async () => {
    await proxy.stop()
    await startProxy(`https://${names.notes}`)
    const wrong = (await checks())['services.notes-sign-in']
    expect(wrong).toMatchObject({
      saw: expect.stringContaining(`to https://${names.notes}/oauth2/callback`),
      remedy: expect.stringContaining(`Set the redirect URI to ${client.redirect},`),
    })
    await proxy.stop()
    await provider.stop()
    await expect(startProxy()).rejects.toThrow(/ended with 1/)
    provider = await startProvider(
      origins.id,
      provider.port,
      [{ ...client, redirect: `${origins.notes}/other` }],
      [ann],
    )
    await reached('id', '/')
    await startProxy()
    expect((await checks())['services.notes-sign-in']).toMatchObject({
      saw: expect.stringContaining(`${names.id}:${port} refuses`),
      remedy: expect.stringContaining(client.redirect),
    })
  })
})

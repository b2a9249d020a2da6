import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { authority, pem } from '../lab/certificates.ts'
import { eventually, freePort, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { answering, notOk, proofs, reported } from '../lab/proofs.ts'
import { exchange, request } from '../lab/raw.ts'
import { type Recorder, startRecorder } from '../lab/recorder.ts'
import { startBrowser } from '../page/browser.ts'
import { type Names, startNames } from '../services/names.ts'
import { startOpenWebui } from '../services/open-webui.ts'
import type { Serving } from '../services/program.ts'
import { type Provider, startProvider } from '../services/provider.ts'

const port = 12_000
const names = { chat: 'chat.example.net', id: 'id.example.net' }
const origins = { chat: `https://${names.chat}:${port}`, id: `https://${names.id}:${port}` }
const [ann, stranger] = ['ann@example.net', 'eve@example.org']
const secret = generateKey()
const registry = {
  version: 1 as const,
  keys: { 'open-webui': { created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(secret) }] } },
}
const ca = authority('a test')

describe('the single sign-on of a real Open WebUI, with a real provider of logins, in a real browser', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sso-'))
  const client = {
    ...{ id: 'openwebui', secret: generateKey(), redirect: `${origins.chat}/oauth/oidc/callback` },
    after: `${origins.chat}/auth`,
  }
  let engine: Recorder
  let gateway: RunningGateway
  let provider: Provider
  let found: Names
  let webui: Serving
  let webuiPort: number
  let browser: Browser
  let page: Page

  const startChat = async (redirect = client.redirect) => {
    const { id, secret: own } = client
    const oidc = { issuer: origins.id, id, secret: own, ca: join(folder, 'ca.pem'), domain: 'example.net' }
    const env = { ...found.env, NO_PROXY: `127.0.0.1,${gateway.address}` }
    webui = await startOpenWebui({
      ...{ folder: join(folder, 'data'), url: origins.chat, engine: `http://${gateway.host}/v1`, key: secret },
      ...{ admin: { email: 'owner@example.net', password: generateKey() }, port: webuiPort, oidc, redirect, env },
    })
    await reached('chat', '/health')
  }
  const ask = (of: keyof typeof names, row: string, headers: string[] = []) =>
    exchange(
      { address: gateway.address, port, tls: { servername: names[of] } },
      request(`${row} HTTP/1.1`, [`Host: ${names[of]}:${port}`, ...headers]),
    )
  const reached = (of: keyof typeof names, path: string) =>
    eventually(`${of} is reached`, async () => (await ask(of, `GET ${path}`)).status === 200)

  beforeAll(async () => {
    writeFileSync(join(folder, 'ca.pem'), ca.cert)
    engine = await startRecorder(answering)
    const providerPort = await freePort('127.0.0.1')
    webuiPort = await freePort('127.0.0.1')
    gateway = await startGateway({
      ...{ enginePort: engine.port, registry },
      settings: `log: requests
access: keys
tls: { ${names.chat}: own-ca, ${names.id}: own-ca }
services:
  chat: { kind: open-webui, name: ${names.chat}, port: ${port}, backend: 'localhost:${webuiPort}' }
  id: { kind: page, name: ${names.id}, port: ${port}, backend: 'localhost:${providerPort}' }
`,
      certificates: Object.fromEntries(Object.values(names).map((name) => [`${name}.pem`, pem(ca.server(name))])),
    })
    found = await startNames(gateway.address)
    provider = await startProvider(origins.id, providerPort, [client], [ann, stranger])
    await reached('id', '/')
    await startChat()
    browser = await startBrowser(`MAP *.example.net ${gateway.address}`)
    page = await newPage()
  })
  afterAll(async () => {
    await browser?.close()
    await webui?.stop()
    await provider?.stop()
    await found?.stop()
    await gateway?.stop()
    await engine?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const newPage = async () => (await browser.newContext({ ignoreHTTPSErrors: true })).newPage()
  const shot = async (title: string) => {
    if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `${title}.png`) })
  }
  const signIn = async (on: Page, who: string) => {
    await on.getByRole('button', { name: 'Continue with Sign-on' }).click({ timeout: 90_000 })
    await on.locator('input[name=login]').fill(who)
    await on.getByRole('button', { name: 'Sign in' }).click()
  }
  const checks = async () =>
    Object.fromEntries(
      (await reported(gateway, engine.port, proofs(gateway)))
        .filter(({ id }) => id.startsWith('services.'))
        .map((result) => [result.id, result]),
    )

  test('a browser is led to the provider and back, and is somebody there, but not its admin', async () => {
    await page.goto(origins.chat)
    await signIn(page, ann)
    await page.locator('#chat-input').or(page.getByText('Account Activation Pending')).waitFor({ timeout: 90_000 })
    await shot('sso-1-in')
    const me = await page.evaluate(async () => (await fetch('/api/v1/auths/')).json())
    expect(me).toMatchObject({ email: ann, role: 'user' })
  })

  test('who is of another domain does not get in', async () => {
    const other = await newPage()
    await other.goto(origins.chat)
    await signIn(other, stranger)
    await other.waitForURL(/\/auth/)
    expect((await other.context().cookies(origins.chat)).map(({ name }) => name)).not.toContain('token')
    await other.context().close()
  })

  test('test.ts finds no fault', async () => {
    const found = await checks()
    expect(notOk(Object.values(found))).toEqual([])
    expect(found['services.chat-sign-in']).toMatchObject({ saw: `by ${names.id}:${port}` })
  })

  test('with the provider down a session goes on, keys go on, and test.ts advises', async () => {
    await provider.stop()
    await eventually('it is down', async () => (await ask('id', 'GET /')).status === 503)
    await page.goto(origins.chat)
    await page.locator('#chat-input').waitFor({ timeout: 90_000 })
    const models = request('GET /v1/models HTTP/1.1', [`Host: ${gateway.host}`, `Authorization: Bearer ${secret}`])
    expect((await exchange(gateway, models)).status).toBe(200)
    const found = await checks()
    expect(found['services.chat-sign-in']).toMatchObject({ state: 'advice' })
    expect(found['services.chat-answers']).toMatchObject({ state: 'ok' })
    await provider.start()
    await reached('id', '/')
  })

  test('whoever signs out is led through the provider, and asked to sign in again', async () => {
    await page
      .getByRole('button', { name: /User Menu|Open User Profile Menu/i })
      .last()
      .click()
    await page.getByText('Sign Out').click()
    await page.waitForURL(new RegExp(`${names.id}.*/session/end`))
    await page.locator('button[name=logout]').click()
    await page.waitForURL(new RegExp(`${names.chat}.*/auth`))
    await shot('sso-2-out')
    expect((await page.context().cookies(origins.chat)).map(({ name }) => name)).not.toContain('token')
    await page.getByRole('button', { name: 'Continue with Sign-on' }).click()
    await page.locator('input[name=login]').waitFor()
  })

  test('a redirect URI that is another’s is told with the right one', async () => {
    await webui.stop()
    await startChat(`https://${names.chat}/oauth/oidc/callback`)
    expect((await checks())['services.chat-sign-in']).toMatchObject({
      saw: expect.stringContaining(`to https://${names.chat}/oauth/oidc/callback`),
      remedy: expect.stringContaining(`Set the redirect URI to ${client.redirect},`),
    })
  })
})

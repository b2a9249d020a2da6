import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { swap } from '../../lib/haproxy/reload.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { emptyReceipt } from '../../lib/site/receipt.ts'
import { triedVersions } from '../attacks/versions/each.ts'
import { authority, pem } from '../lab/certificates.ts'
import { eventually, freePort, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { notOk, proofs, reported } from '../lab/proofs.ts'
import { dial, request } from '../lab/raw.ts'
import { type Answer, json, type Recorder, startRecorder } from '../lab/recorder.ts'
import { startBrowser } from '../page/browser.ts'
import { say, signIn, wordsSeen } from '../page/open-webui.ts'
import { startOpenWebui } from '../services/open-webui.ts'
import type { Serving } from '../services/program.ts'

const name = 'chat.example.net'
const ca = authority('a test')
const secret = generateKey()
const registry = {
  version: 1 as const,
  keys: { 'open-webui': { created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(secret) }] } },
}
const admin = { email: 'owner@example.net', password: generateKey() }
const words = ['Every', 'word', 'of', 'this', 'came', 'through', 'the', 'gateway', 'twice.']
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** An engine that streams its words one by one, at the pace that it is told. */
const engine =
  (pace: { ms: number }): Answer =>
  async (wire, received) => {
    if (received.target === '/v1/models')
      return json('{"object":"list","data":[{"id":"lab:1b","object":"model","owned_by":"lab"}]}')(wire, received)
    if (!received.body.includes('"stream":true') && !received.body.includes('"stream": true'))
      return json(
        '{"id":"c","object":"chat.completion","model":"lab:1b","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}]}',
      )(wire, received)
    const event = (delta: object, end: string | null = null) =>
      wire.chunk(
        `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'lab:1b', choices: [{ index: 0, delta, finish_reason: end }] })}\n\n`,
      )
    wire.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (const word of words) {
      event({ content: `${word} ` })
      await pause(pace.ms)
    }
    event({}, 'stop')
    wire.chunk('data: [DONE]\n\n')
    wire.end()
  }

describe.each(triedVersions)('a real Open WebUI in a real browser, behind $title', ({ program }) => {
  const folder = mkdtempSync(join(tmpdir(), 'open-webui-'))
  const pace = { ms: 100 }
  const shots = process.env.SHOTS
  let port: number
  let recorder: Recorder
  let gateway: RunningGateway
  let webui: Serving
  let browser: Browser
  let page: Page
  let settings: (more?: string) => string

  const shot = async (title: string) => {
    if (shots) await page.screenshot({ path: join(shots, `${title}.png`) })
  }

  let why: string | undefined

  beforeAll(async () => {
    const haproxy = await program().catch((error: Error) => {
      why = error.message
      return undefined
    })
    if (why !== undefined) return
    recorder = await startRecorder(engine(pace))
    const backend = await freePort('127.0.0.1')
    port = 12_000
    settings = (more = '') => `log: requests
access: keys
tls: { ${name}: own-ca }
services:
  chat: { kind: open-webui, name: ${name}, port: ${port}, backend: 'localhost:${backend}' }
${more}`
    gateway = await startGateway({
      ...{ enginePort: recorder.port, settings: settings(), registry },
      certificates: { [`${name}.pem`]: pem(ca.server(name)) },
      ...(haproxy ? { haproxy } : {}),
    })
    webui = await startOpenWebui({
      ...{
        folder,
        url: `https://${name}:${port}`,
        engine: `http://${gateway.host}/v1`,
        key: secret,
        admin,
        port: backend,
      },
    })
    browser = await startBrowser(`MAP ${name}:${port} ${gateway.address}:${port}`)
    page = await (
      await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1200, height: 850 } })
    ).newPage()
  })
  beforeEach(({ skip }) => skip(why !== undefined, why))
  afterAll(async () => {
    await browser?.close()
    await webui?.stop()
    await gateway?.stop()
    await recorder?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const asked = () => recorder.received.filter(({ target }) => target === '/v1/chat/completions')
  const answers = () => page.getByText(words.join(' ')).count()

  test('nobody is let in but by a login, and the first who comes does not become admin', async () => {
    await page.goto(`https://${name}:${port}/`)
    await page.locator('input[type=email]').waitFor({ timeout: 90_000 })
    await shot('1-login')
    expect(await page.getByText(/Sign up/i).count()).toBe(0)
    await signIn(page, `https://${name}:${port}/`, admin)
    await shot('2-chat')
  })

  test('the words of an answer come one by one over the WebSocket', async () => {
    const seen = wordsSeen(page, words)
    pace.ms = 400
    await say(page, 'Say something, please.')
    await eventually('the whole answer is read', async () => (await answers()) > 0, 60_000)
    await shot('3-answer')
    expect(seen.end().filter((count) => count > 0 && count < words.length).length).toBeGreaterThan(2)
    expect(asked()[0]?.head.headers.find(([header]) => header === 'authorization')).toBeUndefined()
  })

  test('a reload of the gateway in the midst of an answer cuts neither it nor the socket', async () => {
    pace.ms = 700
    const before = await answers()
    await say(page, 'Once more.')
    await eventually('it runs', () => asked().length > 1, 30_000)
    const configuration = gateway.rendered(settings('queue: { max: 7 }\n'))
    await swap(gateway.machine, { receipt: emptyReceipt(), configuration, haproxy: gateway.program })
    await eventually('the whole answer is read', async () => (await answers()) > before, 60_000)
    await shot('4-after-a-reload')
  })

  test('a page of another origin opens no WebSocket, with a good session, too', async () => {
    const cookies = (await page.context().cookies()).map((one) => `${one.name}=${one.value}`).join('; ')
    expect(cookies).toContain('token=')
    const open = async (origin: string) => {
      const client = await dial({ address: gateway.address, port, tls: { servername: name } })
      const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
      const mine = [`Host: ${name}:${port}`, `Origin: ${origin}`, `Cookie: ${cookies}`, ...upgrade]
      client.send(
        request('GET /ws/socket.io/?EIO=4&transport=websocket HTTP/1.1', [
          ...mine,
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        ]),
      )
      await client.sees('\r\n\r\n')
      const line = client.bytes().toString('latin1').split('\r\n')[0]
      client.hangUp()
      return line
    }
    expect(await open('https://evil.example')).toContain(' 403 ')
    expect(await open(`https://${name}:${port}`)).toContain(' 101 ')
  })

  /** Adds a file to the message that is being written, as somebody does who picks one. */
  const attach = async (file: string) => {
    const answered = page.waitForResponse(
      (answer) => answer.request().method() === 'POST' && answer.url().includes('/api/v1/files/'),
      { timeout: 120_000 },
    )
    await page.locator('input[type=file]').first().setInputFiles(join(folder, file))
    return (await answered).status()
  }

  test('a small file is taken and shown with the message; one over the bound is refused, and the page goes on', async () => {
    pace.ms = 20
    writeFileSync(join(folder, 'small.txt'), 'what it is about')
    expect(await attach('small.txt')).toBe(200)
    await page.getByText('small.txt').first().waitFor({ timeout: 30_000 })
    await shot('5-upload')
    writeFileSync(join(folder, 'large.txt'), '')
    truncateSync(join(folder, 'large.txt'), 101 * 1024 ** 2)
    expect(await attach('large.txt')).toBe(413)
    await shot('6-refused')
    expect(await page.getByText('large.txt').count()).toBe(0)
    const before = await answers()
    await say(page, 'What is it about?')
    await eventually('the whole answer is read', async () => (await answers()) > before, 60_000)
    // It asks for a title and for further questions as well.
    expect(asked().some(({ body }) => body.includes('what it is about'))).toBe(true)
  })

  test('a browser with 6 KB of cookies works as before, and one with more than a head may have is told what to delete', async () => {
    const cookie = (letter: string) => ({ name: letter, value: letter.repeat(3000), domain: name, path: '/' })
    const context = page.context()
    await context.addCookies(['a', 'b'].map(cookie))
    await page.reload()
    await page.locator('#chat-input').waitFor({ timeout: 90_000 })
    await say(page, 'With cookies.')
    await eventually('the whole answer is read', async () => (await answers()) > 0, 60_000)
    await context.addCookies(['c', 'd', 'e', 'f'].map(cookie))
    const answer = await page.reload()
    await shot('7-too-many-cookies')
    expect([400, 431]).toContain(answer?.status())
    expect(await page.locator('body').innerText()).toContain('in a browser, delete the cookies of this name')
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await context.clearCookies({ name })
    await page.reload()
    await page.locator('#chat-input').waitFor({ timeout: 90_000 })
  })

  test('test.ts finds no fault', async () => {
    const all = await reported(gateway, recorder.port, proofs(gateway))
    expect(notOk(all.filter(({ id }) => id.startsWith('services.')))).toEqual([])
  })

  test('whoever signs out is asked to sign in again', async () => {
    await page
      .getByRole('button', { name: /User Menu|Open User Profile Menu/i })
      .last()
      .click()
    await page.getByText('Sign Out').click()
    await page.locator('input[type=email]').waitFor({ timeout: 60_000 })
    await shot('8-signed-out')
    expect((await page.context().cookies()).some((one) => one.name === 'token')).toBe(false)
  })
})

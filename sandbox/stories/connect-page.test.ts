import { rm } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { clients } from '../../lib/clients/index.ts'
import { parseEnded } from '../../lib/observer/ended.ts'
import { listing } from '../../lib/observer/serving.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { refreshIdentities } from '../../lib/people/refresh.ts'
import { places } from '../../lib/platform/mac/places.ts'
import type { Entry } from '../../lib/site/limits.ts'
import { eventually, type GatewayOptions, ownAddress, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { type Exchange, exchange, request } from '../lab/raw.ts'
import { json, type Recorder, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway | undefined

const [free, listed, narrow] = [generateKey(), generateKey(), generateKey()]
const entry = (key: string, more: Partial<Entry> = {}): Entry => ({
  created: '2026-01-01T00:00:00.000Z',
  hashes: [{ sha256: hashKey(key) }],
  ...more,
})
const registry = {
  version: 1 as const,
  keys: {
    ann: entry(free),
    bob: entry(listed, { models: ['qwen3*'] }),
    eve: entry(narrow, { groups: ['anthropic'] }),
  },
}
const installed = JSON.stringify({
  models: ['qwen3:0.6b', 'deepseek-r1:70b', 'gpt-oss:120b-cloud'].map((name) => ({ name, size: 1 })),
})

const at = { ann: '127.0.0.70', evil: '127.0.0.71', tagged: '127.0.0.72', nobody: '127.0.0.79' }
const device = (DNSName: string, address: string, more: object) => ({ DNSName, TailscaleIPs: [address], ...more })
/** What Tailscale says of these devices; one has a name that is an attack. */
const said = JSON.stringify({
  BackendState: 'Running',
  MagicDNSSuffix: 'tail0lab.ts.net',
  Self: device('studio.tail0lab.ts.net.', '100.64.0.1', { UserID: 1 }),
  Peer: {
    a: device('ann-laptop.tail0lab.ts.net.', at.ann, { UserID: 1 }),
    b: device('<script>alert(1)</script>"\'💥.tail0lab.ts.net.', at.evil, { UserID: 2 }),
    c: device('runner.tail0lab.ts.net.', at.tagged, { UserID: 9, Tags: ['tag:ci'] }),
  },
  User: { 1: { LoginName: 'ann@example.com' }, 2: { LoginName: '"><img src=x onerror=alert(1)>@example.com' } },
})

async function start(settings = '', more: Partial<GatewayOptions> = {}): Promise<RunningGateway> {
  const one = await startGateway({ enginePort: engine.port, settings, registry, ...more })
  gateway = one
  const tailscale = { find: async () => 'tailscale', query: async () => ({ code: 0, stdout: said, stderr: '' }) }
  await refreshIdentities({ ...one.machine, ...tailscale })
  await listing(() => ({ ...one.gateway.settings, engine: { port: engine.port } })).run(one.machine)
  return one
}

/** As a browser asks when somebody has typed the address. */
const browser = [
  'Cache-Control: max-age=0',
  'Upgrade-Insecure-Requests: 1',
  'User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Accept-Language: de-DE,de;q=0.9,en;q=0.8',
  'Cookie: session=of-another-port; theme=dark',
  'Sec-Fetch-Dest: document',
  'Sec-Fetch-Mode: navigate',
  'Sec-Fetch-Site: none',
  'Sec-Fetch-User: ?1',
  'Connection: keep-alive',
]
const basic = (key: string, name = 'x') => [`Authorization: Basic ${Buffer.from(`${name}:${key}`).toString('base64')}`]
const bearer = (key: string) => [`Authorization: Bearer ${key}`]

function ask(headers: string[] = [], line = 'GET /connect', from = at.ann): Promise<Exchange> {
  if (!gateway) throw new Error('no gateway')
  const own = [`Host: ${gateway.host}`, ...browser, ...headers]
  return exchange({ ...gateway, from }, request(`${line} HTTP/1.1`, own))
}
const from = (address: string, headers: string[] = []) => ask(headers, 'GET /connect', address)

beforeAll(async () => {
  engine = await startRecorder((wire, received) => json(installed)(wire, received))
})
afterAll(() => engine?.stop())
beforeEach(() => {
  engine.received.length = 0
})
afterEach(async () => {
  await gateway?.stop()
  gateway = undefined
})

/** What came to the engine through the gateway: the observer asks it for its models, too. */
const through = () => engine.received.filter(({ head }) => head.text.includes('Mozilla'))

describe('whoever the tailnet lets in', () => {
  test('sees who they are, the address they came by, their models and every client, and the page takes nothing from elsewhere', async () => {
    const one = await start()
    const answer = await ask()
    expect(answer.status).toBe(200)
    const page = answer.body
    for (const text of ['ann@example.com', 'ann-laptop', `http://${one.host}/v1`, 'qwen3:0.6b', 'deepseek-r1:70b'])
      expect(page).toContain(text)
    for (const { title } of clients) expect(page).toContain(title)
    expect(page).not.toMatch(/-cloud|YOUR_KEY|<script src|<link [^>]*href="http|https?:\/\/(?!127\.|www\.w3\.org)/)
    expect(answer.headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    })
    expect(answer.headers['content-security-policy']).toMatch(
      /^default-src 'none'; style-src 'sha256-[\w+/=]{44}'; script-src 'sha256-[\w+/=]{44}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
    )
    expect(through()).toEqual([])
  })

  test('is shown the address by which they came, with https where something speaks it in front', async () => {
    const one = await start('hosts: [ai.example.net]')
    for (const [host, base] of [
      [`studio:${one.port}`, `http://studio:${one.port}/v1`],
      ['ai.example.net', 'https://ai.example.net/v1'],
    ] as const) {
      const answer = await exchange(
        { ...one, from: at.ann },
        request('GET /connect HTTP/1.1', [`Host: ${host}`, ...browser]),
      )
      expect(answer.body).toContain(`<code>${base}</code>`)
      expect(answer.body.includes('This server speaks plain http')).toBe(base.startsWith('http:'))
    }
  })

  test('is named as text, whatever the name of a device or a login is', async () => {
    await start()
    const page = (await from(at.evil)).body
    expect(page).toContain('script_alert')
    expect(page).not.toMatch(/alert\(1\)|onerror=|💥|<img/)
    expect((await from(at.tagged)).body).toContain('This is <b>runner</b>, a device with <b>tag:ci</b>')
  })

  test('is told no model where Tailscale does not know the device, and none by a header of their own', async () => {
    await start()
    const claims = [
      'X-Visitor: {"host":"evil","address":"","peer":"ann@example.com|x","who":"ann","groups":"999999","models":"-","offered":"1","access":"tailnet","open":"openai","keyless":""}',
      'Tailscale-User-Login: ann@example.com',
    ]
    for (const headers of [[], claims]) {
      const { status, body } = await from(at.nobody, headers)
      expect(status).toBe(200)
      expect(body).toContain('Tailscale does not say who you are')
      expect(body).not.toMatch(/qwen3|deepseek|ann@example|evil/)
    }
  })

  test('may choose a model, and no other than theirs', async () => {
    await start()
    expect((await ask([], 'GET /connect?model=deepseek-r1:70b')).body).toContain('ANTHROPIC_MODEL=deepseek-r1:70b')
    const other = (await ask([], 'GET /connect?model=%22%3E%3Cscript%3Ealert(1)%3C/script%3E')).body
    expect(other).toContain('ANTHROPIC_MODEL=qwen3:0.6b')
    expect(other).not.toContain('alert(1)')
  })

  test('is told of no group that is closed where they came in', async () => {
    const inside = ownAddress()
    const narrower = `addresses: [${inside}], from: [${at.ann}], access: from, groups: [openai, connect]`
    const one = await start(`groups: [agents, native]\nlisteners: { inside: { ${narrower} } }`)
    const closed = /not open to you here \([^)]*anthropic/
    expect((await ask()).body).not.toMatch(closed)
    const head = request('GET /connect HTTP/1.1', [`Host: ${inside}:${one.port}`, ...browser])
    const { status, body } = await exchange({ address: inside, port: one.port, from: at.ann }, head)
    expect([status, body]).toEqual([200, expect.stringMatching(closed)])
  })

  test('gets the head alone for HEAD, and is told what else this row takes', async () => {
    await start()
    const [head, whole] = [await ask([], 'HEAD /connect'), await ask()]
    expect([head.status, head.body]).toEqual([200, ''])
    expect(head.headers['content-length']).toBe(`${Buffer.byteLength(whole.body)}`)
    expect(head.headers['content-security-policy']).toBe(whole.headers['content-security-policy'])
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const answer = await ask([], `${method} /connect`)
      expect([answer.status, answer.body]).toEqual([403, expect.stringContaining('takes GET and HEAD only')])
    }
  })

  test('sees the page while Ollama is down, which it says', async () => {
    await start()
    await engine.stop()
    try {
      await eventually('the gateway knows', async () => (await ask([], 'GET /v1/models')).status === 503)
      const { status, body } = await ask()
      expect([status, body]).toEqual([200, expect.stringContaining('Ollama does not answer at the moment')])
    } finally {
      await engine.start()
    }
  })

  test('sees the models of their rule alone', async () => {
    await start(`people: { ann@example.com: { models: ['qwen3*'] }, tag:ci: { groups: [anthropic] } }`)
    const page = (await ask()).body
    expect(page).toContain('qwen3:0.6b')
    expect(page).not.toContain('deepseek')
    const { status, body } = await from(at.tagged)
    expect(status).toBe(200)
    expect(body).not.toContain('qwen3')
  })
})

describe('where a key is asked for', () => {
  test('the page without one names no model, and asks for the key by name only', async () => {
    await start('access: keys')
    const { status, body } = await ask()
    expect(status).toBe(200)
    expect(body).toContain('ann-laptop')
    expect(body).toContain('YOUR_KEY')
    expect(body).toContain('/connect?key')
    expect(body).not.toMatch(/qwen3|deepseek/)
  })

  test('a browser is asked for the key as a password, by which the page names what is its own', async () => {
    const one = await start('access: keys')
    const asking = await ask([], 'GET /connect?key')
    expect([asking.status, asking.headers['www-authenticate'], asking.headers['content-type']]).toEqual([
      401,
      'Basic realm="API key as password"',
      'text/plain',
    ])
    expect(asking.body).toMatch(/^Gateway: no API key was given/)
    for (const headers of [basic(listed), bearer(listed), basic(listed, 'ann:é'.slice(0, 3))]) {
      const { status, body } = await ask(headers, 'GET /connect?key')
      expect(status).toBe(200)
      expect(body).toContain('qwen3:0.6b')
      expect(body).toContain('<b>bob</b>')
      expect(body).not.toContain('deepseek')
      expect(body).not.toContain(listed)
    }
    expect((await ask(basic(free))).body).toContain('deepseek')
    expect((await ask(basic(narrow))).body).not.toMatch(/qwen3|deepseek/)
    expect(one.log().join('\n')).not.toMatch(new RegExp(`${listed}|${Buffer.from(`x:${listed}`).toString('base64')}`))
  })

  test('a password opens nothing else', async () => {
    await start('access: keys')
    for (const line of ['GET /v1/models', 'GET /api/tags', 'GET /connect/', 'POST /v1/messages', 'GET /metrics']) {
      const { status } = await ask(basic(free), line)
      expect([line, status]).toEqual([line, line === 'GET /api/tags' ? 403 : 401])
    }
    expect(through()).toEqual([])
  })

  test('a wrong key on the page is a guess like any other', async () => {
    await start('access: keys\nban_after: 40')
    for (const headers of [basic('rop_wrong'), bearer('rop_wrong'), basic('')])
      expect((await ask(headers)).status).toBe(401)
    for (let at = 0; at < 40; at += 1) await ask(basic(`rop_wrong${at}`))
    expect((await ask(basic('rop_wrong'))).status).toBe(429)
    expect((await ask(basic(free))).status).toBe(200)
  })

  test('whom a rule lets in needs none, and a stranger of the same tailnet sees no model', async () => {
    await start('access: either\npeople: { ann@example.com: {} }')
    const ann = (await ask()).body
    expect(ann).toContain('qwen3:0.6b')
    expect(ann).not.toContain('YOUR_KEY')
    const stranger = (await from(at.tagged)).body
    expect(stranger).toContain('YOUR_KEY')
    expect(stranger).not.toContain('qwen3')
    expect((await from(at.tagged, basic(free))).body).toContain('qwen3:0.6b')
  })
})

describe('without its maker', () => {
  test('the page is refused in plain words, and nothing else is', async () => {
    const one = await start()
    await rm(places(one.home).listsSocket)
    const { status, body, headers } = await ask()
    expect([status, headers['content-type'], headers['retry-after']]).toEqual([503, 'text/plain', '5'])
    expect(body).toBe(
      'Gateway: this page is made by the observer of this server, which does not answer now; try again shortly.',
    )
    expect(Object.keys(headers)).not.toContain('x-denied-by')
    expect((await ask([], 'GET /v1/models')).status).toBe(200)
    const last = () => one.log().flatMap((line) => parseEnded(line) ?? [])
    await eventually('it is written down', () => last().some(({ denied }) => denied === 'connect'))
  })

  test('an owner who has switched the observer off is named as the reason', async () => {
    await start('observer: off')
    const answer = await ask()
    expect([answer.status, answer.body]).toEqual([503, expect.stringContaining('(observer in settings.yaml)')])
  })

  test('the row is closed where its group is not open', async () => {
    await start('groups: [openai, probe]')
    const answer = await ask()
    expect([answer.status, answer.body]).toEqual([403, expect.stringContaining('(group: connect)')])
  })
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type RunningGateway, startGateway } from '../lab/gateway.ts'
import { type Exchange, exchange, request } from '../lab/raw.ts'
import { json, type Recorder, startRecorder } from '../lab/recorder.ts'
import { refusal } from '../lab/refusal.ts'

let engine: Recorder
let gateway: RunningGateway

const origin = 'https://chat.example.net'
const settings = `origins: ['${origin}']\nhosts: [ai.example.net]`

beforeAll(async () => {
  engine = await startRecorder()
  gateway = await startGateway({ enginePort: engine.port, settings })
})
afterAll(async () => {
  await gateway?.stop()
  await engine?.stop()
})
beforeEach(() => {
  engine.answer = json()
  engine.received.length = 0
})

/** One request without a body, with a Host that is right unless another is given. */
function ask(line: string, headers: string[] = []): Promise<Exchange> {
  const host = headers.some((header) => /^host:/i.test(header)) ? [] : [`Host: ${gateway.host}`]
  const body = line.startsWith('POST') ? '{"model":"m"}' : undefined
  return exchange(gateway, request(`${line} HTTP/1.1`, [...host, ...headers], body))
}

describe('which page and which name', () => {
  test('a foreign Host gets 421 in the family’s shape', async () => {
    const foreign = ['Host: rebound.example']
    expect(refusal(await ask('GET /v1/models', foreign), 'v1')).toContain('hosts in settings.yaml')
    const answer = await ask('GET /api/tags', foreign)
    expect([answer.status, refusal(answer, 'api')]).toEqual([421, expect.stringContaining('not served here')])
  })

  test.each(['studio', 'STUDIO.tail0lab.ts.net', 'ai.example.net'])(
    '%s is one of its names, with and without the port',
    async (name) => {
      expect((await ask('GET /v1/models', [`Host: ${name}`])).status).toBe(200)
      expect((await ask('GET /v1/models', [`Host: ${name}:${gateway.port}`])).status).toBe(200)
      expect((await ask('GET /v1/models', [`Host: ${name}:1`])).status).toBe(421)
    },
  )

  test.each([
    ['another port, as behind ssh -L', 'localhost:8080', 'localhost:8080'],
    ['a dot at its end', 'studio.tail0lab.ts.net.', 'studio.tail0lab.ts.net.'],
    ['an underscore', 'my_mac', 'my_mac'],
    ['upper case', 'AI.Example.ORG', 'AI.Example.ORG'],
    ['IPv6 in brackets', '[fd7a::7]', '[fd7a::7]'],
    ['IPv6 in brackets with a port', '[fd7a::7]:8080', '[fd7a::7]:8080'],
  ])(
    'a Host with %s is let in by the setting that its refusal names, as the refusal writes it',
    async (_what, host) => {
      const refused = await ask('GET /v1/models', [`Host: ${host}`])
      const [, told = ''] = /this host name \((.*)\) is not served here/.exec(refusal(refused, 'v1')) ?? []
      expect([refused.status, told]).toEqual([421, host])
      const other = await startGateway({ enginePort: engine.port, settings: `hosts: ['${told}']` })
      try {
        const answer = (line: string) => exchange(other, request('GET /v1/models HTTP/1.1', [`Host: ${line}`]))
        expect((await answer(host)).status).toBe(200)
        expect((await answer('rebound.example')).status).toBe(421)
      } finally {
        await other.stop()
      }
    },
  )

  test.each([
    ['https://x.example:443', 'https://x.example', 'https://x.example:443'],
    ['http://x.example', 'http://x.example:80', 'http://x.example'],
    ['http://[fd7a::1]:3000', 'http://[fd7a::1]:3000', 'http://[fd7a::1]:3000'],
    ['http://my_mac', 'http://my_mac', 'HTTP://MY_MAC'],
    ['https://a.example.net', 'https://a.example.net', 'https://a.example.net'],
  ])(
    'the origin %s is let in by that very word in the setting, however a browser writes it',
    async (word, ...pages) => {
      const refused = await ask('GET /v1/models', [`Origin: ${word}`])
      expect(refusal(refused, 'v1')).toContain(
        `(Origin: ${word}) may not call the server; the owner adds it to origins`,
      )
      const other = await startGateway({ enginePort: engine.port, settings: `origins: ['${word}']` })
      try {
        const from = (page: string) =>
          exchange(other, request('GET /v1/models HTTP/1.1', [`Host: ${other.host}`, `Origin: ${page}`]))
        for (const page of pages) expect((await from(page)).headers['access-control-allow-origin']).toBe(page)
        for (const page of [`${word}.evil.example`, 'https://evil.example', 'null'])
          expect((await from(page)).status).toBe(403)
      } finally {
        await other.stop()
      }
    },
  )

  test('a page without an address is told what helps, since any page can be one', async () => {
    const said = refusal(await ask('GET /api/tags', ['Origin: null']), 'api')
    expect(said).toContain('one without an address cannot be let in so serve it by http')
    expect(said).not.toContain('runs apply.ts')
  })

  test('a web page that is not on the list gets 403 naming the setting, also for its preflight', async () => {
    for (const line of ['GET /v1/models', 'OPTIONS /v1/chat/completions', 'GET /']) {
      const answer = await ask(line, ['Origin: https://evil.example', 'Access-Control-Request-Method: POST'])
      expect([answer.status, refusal(answer, 'v1')]).toEqual([403, expect.stringContaining('origins in settings.yaml')])
      expect(answer.headers).not.toHaveProperty('access-control-allow-origin')
    }
    expect((await ask('OPTIONS /v1/chat/completions')).status).toBe(403)
    expect((await ask('GET /v1/models', [`Origin: ${origin}`, 'Origin: https://evil.example'])).status).toBe(403)
    expect((await ask('GET /v1/models', [`Origin: ${origin}.evil.example`])).status).toBe(403)
    expect(engine.received).toEqual([])
  })

  test('a page on the list gets its preflight answered, and may read answers and refusals', async () => {
    const preflight = await ask('OPTIONS /v1/chat/completions', [
      `Origin: ${origin}`,
      'Access-Control-Request-Headers: content-type, authorization',
    ])
    expect(preflight.status).toBe(204)
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-methods': 'GET, HEAD, POST',
      'access-control-allow-headers': 'content-type, authorization',
      vary: 'Origin',
    })
    expect(engine.received).toEqual([])
    for (const line of ['GET /v1/models', 'POST /api/pull']) {
      expect((await ask(line, [`Origin: ${origin}`])).headers['access-control-allow-origin']).toBe(origin)
    }
    expect(engine.received.flatMap(({ head }) => head.headers.map(([name]) => name))).not.toContain('origin')
  })
})

import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { claude } from '../../clients/claude.ts'
import { codex } from '../../clients/codex.ts'
import { opencode } from '../../clients/opencode.ts'
import { realLook } from '../../host/host.ts'
import { firstQuestion, type NoAnswer } from './first-question.ts'
import { serverBase } from './reached.ts'

/** What the server answers to a question. */
let answer: { status: number; body: string; headers?: Record<string, string> } = { status: 200, body: '{}' }
const asked: { method?: string; url?: string; key?: string; body: string }[] = []
let server: http.Server
let base: string

beforeAll(async () => {
  server = http.createServer((request, response) => {
    let body = ''
    request.on('data', (piece) => {
      body += piece
    })
    request.on('end', () => {
      asked.push({ method: request.method, url: request.url, key: request.headers.authorization, body })
      const { status, headers = {} } = request.url === '/' ? { status: 200 } : answer
      response.writeHead(status, headers).end(request.url === '/' ? 'Ollama is running' : answer.body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => server?.close())

const to = (key?: string) => ({ base, model: 'qwen3:0.6b', context: 4096, ...(key ? { key } : {}) })
const why = (key?: string, at = to(key)) =>
  firstQuestion(realLook(), claude, at).then(
    () => undefined,
    (error: NoAnswer) => ({ words: error.message, code: error.code, key: error.key }),
  )
const says = (message: string) => JSON.stringify({ type: 'error', error: { type: 'x', message } })

describe('the first question', () => {
  it('is asked by the API that the client will use, with its key', async () => {
    answer = { status: 200, body: '{}' }
    for (const client of [claude, codex, opencode]) await firstQuestion(realLook(), client, to('rop_K'))
    const posts = asked.filter(({ method }) => method === 'POST')
    expect(posts.map(({ url }) => url)).toEqual(['/v1/messages', '/v1/responses', '/v1/chat/completions'])
    expect(new Set(posts.map(({ key }) => key))).toEqual(new Set(['Bearer rop_K']))
    expect(posts.map(({ body }) => (JSON.parse(body) as { model: string }).model)).toEqual(Array(3).fill('qwen3:0.6b'))
  })

  const reasons: [status: number, key: string | undefined, says: RegExp][] = [
    [401, undefined, /asks for an API key, which its owner makes \(rop keys add NAME\); give it by --key-file FILE/],
    [401, 'rop_K', /does not know this API key/],
    [403, 'rop_K', /a group of endpoints that is not open, or a model that is not for you/],
    [404, undefined, /no such model; choose another one by --model/],
    [421, undefined, /not known by this name/],
    [429, undefined, /busy, or your share is used up; it asks to come back in 7 s/],
    [503, undefined, /its gateway is there, and its engine is not/],
    [418, undefined, /answers with status 418/],
  ]
  for (const [status, key, words] of reasons)
    it(`that is answered with ${status}${key ? ' although there is a key' : ''} says in words what that means, and what the server says`, async () => {
      answer = { status, body: says('Gateway: no.\nReally.'), headers: { 'retry-after': '7' } }
      const reason = await why(key)
      expect(reason).toMatchObject({ code: 3, key: status === 401, words: expect.stringMatching(words) })
      expect(reason?.words).toContain('It says: Gateway: no. Really.')
    })

  it('knows a stranger on the port from the server', async () => {
    answer = { status: 200, body: '<html>router</html>' }
    expect((await why())?.words).toContain('something else than this server is there')
  })

  it('tells a port where nobody listens from a name that nobody knows', async () => {
    const nobody = { ...to(), base: 'http://127.0.0.1:9' }
    expect((await why(undefined, nobody))?.words).toMatch(
      /^127\.0\.0\.1:9 does not answer: .* nobody listens on that port/,
    )
    const unknown = { ...to(), base: 'http://nobody.invalid:11434' }
    expect((await why(undefined, unknown))?.words).toMatch(
      /its name is not known on this machine\. Is Tailscale up here/,
    )
  })
})

describe('a server as it is typed', () => {
  it('may have a port, a scheme and a /v1, and is asked on Ollama’s port otherwise', () => {
    const same = ['studio.ts.net', 'http://studio.ts.net', 'http://studio.ts.net:11434/v1', 'Studio.ts.net:11434/']
    expect(new Set(same.map(serverBase))).toEqual(new Set(['http://studio.ts.net:11434']))
    expect(serverBase('100.64.0.1:8080')).toBe('http://100.64.0.1:8080')
    expect(serverBase('fd7a:115c:a1e0::1')).toBe('http://[fd7a:115c:a1e0::1]:11434')
  })

  it('is nothing else', () => {
    for (const wrong of ['', 'https://studio.ts.net', 'http://a@studio', 'studio/x', 'a b', '$(id)', 'http://studio?x'])
      expect(() => serverBase(wrong), wrong).toThrow('--server takes the address')
  })
})

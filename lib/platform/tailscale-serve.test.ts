import { describe, expect, it } from 'vitest'
import { destination, off, parseServe, type Served } from './tailscale-serve.ts'

const ollama = '127.0.0.1:11434'
const web = (at: string, to: string, mount = '/') => ({ [at]: { Handlers: { [mount]: { Proxy: to } } } })

describe('tailscale serve status --json', () => {
  it.each<[string, object, Partial<Served>]>([
    [
      'a TCP forward on any port',
      { TCP: { 8443: { TCPForward: ollama } } },
      { port: 8443, how: 'tcp', target: ollama },
    ],
    [
      'a TCP forward of a session in a terminal',
      { Foreground: { a: { TCP: { 11434: { TCPForward: ollama } } } } },
      { port: 11434, how: 'tcp', target: ollama, foreground: true },
    ],
    [
      'a TCP forward behind TLS',
      { TCP: { 443: { TCPForward: ollama, TerminateTLS: 'studio.ts.net' } } },
      { how: 'tls-terminated-tcp', target: ollama },
    ],
    [
      'a web handler over https, which is the default',
      { TCP: { 443: { HTTPS: true } }, Web: web('studio.ts.net:443', 'http://127.0.0.1:11434') },
      { port: 443, how: 'https', mount: '/', target: 'http://127.0.0.1:11434' },
    ],
    [
      'a web handler over http, below a path',
      { TCP: { 80: { HTTP: true } }, Web: web('studio.ts.net:80', 'localhost:11434', '/ai') },
      { port: 80, how: 'http', mount: '/ai', target: 'localhost:11434' },
    ],
    [
      'funnel',
      {
        TCP: { 443: { HTTPS: true } },
        Web: web('studio.ts.net:443', 'http://127.0.0.1:11434'),
        AllowFunnel: { 'studio.ts.net:443': true },
      },
      { funnel: true },
    ],
    [
      'funnel that is switched off',
      { TCP: { 443: { TCPForward: ollama } }, AllowFunnel: { 'studio.ts.net:443': false } },
      { funnel: false },
    ],
    [
      'a service',
      {
        Services: { 'svc:ai': { TCP: { 443: { HTTPS: true } }, Web: web('ai.ts.net:443', 'http://127.0.0.1:11434') } },
      },
      { service: 'svc:ai', port: 443, target: 'http://127.0.0.1:11434' },
    ],
  ])('tells of %s', (_what, json, wanted) => {
    expect(parseServe(JSON.stringify(json))).toEqual([expect.objectContaining(wanted)])
  })

  it('tells of the one that leads to Ollama among others', () => {
    const many = { TCP: { 22: { TCPForward: '127.0.0.1:22' }, 443: { HTTPS: true } }, Web: web('h:443', '3000') }
    expect(parseServe(JSON.stringify({ ...many, Foreground: { b: many } }))).toHaveLength(4)
  })

  it.each(['{}', 'null', '{"TCP":null,"Web":{"a:1":null},"Foreground":{"x":null},"Services":{"svc:a":null}}'])(
    '%s is nothing',
    (text) => expect(parseServe(text)).toEqual([]),
  )

  it.each(['', 'No serve config', '{"TCP":7}', '[]'])('%j is not taken for nothing', (text) =>
    expect(parseServe(text)).toBeUndefined(),
  )
})

describe('what is served ends by', () => {
  const one: Served = { port: 8443, how: 'tcp', target: ollama, foreground: false, funnel: false }
  it.each<[Partial<Served>, string]>([
    [{}, 'tailscale serve --tcp=8443 off'],
    [{ how: 'https', mount: '/' }, 'tailscale serve --https=8443 off'],
    [{ how: 'http', mount: '/ai' }, 'tailscale serve --http=8443 --set-path=/ai off'],
    [{ how: 'tls-terminated-tcp', funnel: true }, 'tailscale funnel --tls-terminated-tcp=8443 off'],
    [{ service: 'svc:ai' }, 'tailscale serve --service=svc:ai --tcp=8443 off'],
    [{ foreground: true }, 'press Ctrl-C where `tailscale serve` runs in a terminal'],
  ])('%j', (more, wanted) => expect(off({ ...one, ...more }, 'tailscale')).toBe(wanted))
})

describe('a target', () => {
  it.each([
    ['11434', '127.0.0.1', 11434],
    ['127.0.0.1:11434', '127.0.0.1', 11434],
    ['localhost:11434', 'localhost', 11434],
    ['LOCALHOST.:11434', 'localhost', 11434],
    ['tcp://127.1:11434', '127.0.0.1', 11434],
    ['[::1]:11434', '::1', 11434],
    ['http://::1:11434', '::1', 11434],
    ['http://[0:0:0:0:0:0:0:1]:11434/v1', '::1', 11434],
    ['[::ffff:127.0.0.1]:11434', '127.0.0.1', 11434],
    ['0.0.0.0:11434', '0.0.0.0', 11434],
    ['http://0:11434', '0.0.0.0', 11434],
    ['https+insecure://localhost:11434/path?x=1:2', 'localhost', 11434],
    ['https://user:word@100.64.0.1:11434', '100.64.0.1', 11434],
    ['https+insecure://studio', 'studio', 443],
    ['http://studio/x', 'studio', 80],
  ])('%s is port %s of %s', (text, host, port) => expect(destination(text)).toEqual({ host, port }))

  it.each(['unix:/Users/ada/x.sock', 'unix:///Users/ada/x.sock'])('%s is a socket', (text) =>
    expect(destination(text)).toEqual({ socket: '/Users/ada/x.sock' }),
  )

  it.each(['studio', 'text:hello', ''])('%j leads nowhere that is known', (text) =>
    expect(destination(text)).toBeUndefined(),
  )
})

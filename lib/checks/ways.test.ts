import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import type { Look, RawAnswer } from '../host/look.ts'
import { parseServe } from '../platform/tailscale-serve.ts'
import { noKeys } from '../site/limits.ts'
import type { Machine } from '../site/machine.ts'
import { parseSettings } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import type { Finding } from '../steps/step.ts'
import { ways } from './ways.ts'

const machine = {
  home: '/Users/ada',
  system: 'mac',
  uid: 501,
  addresses: [
    { family: 4, address: '127.0.0.1', device: 'lo0' },
    { family: 4, address: '192.168.1.5', device: 'en0' },
    { family: 4, address: '100.64.0.1', device: 'utun4' },
  ],
  tailscale: {
    cli: '/usr/local/bin/tailscale',
    variants: [],
    state: 'Running',
    ipv4: '100.64.0.1',
    ipv6: 'fd7a:115c:a1e0::1',
    name: 'studio.tail0lab.ts.net',
    hostName: 'Studio',
    health: [],
    serves: [],
  },
} as unknown as Machine

const setup = (yaml = '') =>
  ({ mode: 'proxy', settings: parseSettings(yaml, 'settings.yaml'), registry: noKeys }) as unknown as Setup

const silence: RawAnswer = { end: 'refused', status: 0, headers: {}, body: '', pieces: [], ms: 0 }

/** A machine on which these ports answer with these bodies, by `address:port/path`. */
const answering = (bodies: Record<string, string>, host: Look): Look => ({
  ...host,
  probe: async ({ address, port, target }) => {
    const body = bodies[`${address}:${port}${target}`]
    return body === undefined ? silence : { ...silence, end: 'complete', status: 200, body }
  },
})

async function finding(id: string, look: Look, yaml = '', on = machine): Promise<Finding | undefined> {
  return ways(on, setup(yaml))
    .find((check) => check.id === id)
    ?.check(look)
}

const serving = (json: object): Machine => ({
  ...machine,
  tailscale: { ...machine.tailscale, serves: parseServe(JSON.stringify(json)) },
})
const served = (json: object, yaml = '', bodies = {}) =>
  finding('isolation.served', answering(bodies, memoryHost()), yaml, serving(json))
const to = (target: string) => ({ TCP: { 8443: { TCPForward: target } } })
const web = (target: string, more = {}) => ({
  TCP: { 443: { HTTPS: true } },
  Web: { 'studio.tail0lab.ts.net:443': { Handlers: { '/': { Proxy: target } } } },
  ...more,
})

describe('tailscale serve', () => {
  it.each<[string, object]>([
    ['a TCP forward', to('127.0.0.1:11434')],
    ['a TCP forward of a session in a terminal', { Foreground: { a: to('127.0.0.1:11434') } }],
    ['a service', { Services: { 'svc:ai': to('127.0.0.1:11434') } }],
    ['a web handler', web('http://localhost:11434')],
    ['a web handler on IPv6', web('http://[::1]:11434/v1')],
    ['a web handler of a bare port', web('11434')],
    ['any address', web('https+insecure://0.0.0.0:11434')],
    ['its own name on the network', to('studio.local:11434')],
    ['its address on the network', to('192.168.1.5:11434')],
    ['HAProxy’s own socket', web('unix:/Users/ada/.haproxy/run/admin.sock')],
  ])('to Ollama by %s is a miss', async (_what, json) => {
    expect(await served(json)).toMatchObject({ is: 'missed', saw: expect.stringContaining('past the gateway') })
  })

  it('says what leads where, and the command that ends it', async () => {
    expect(await served(to('127.0.0.1:11434'))).toEqual({
      is: 'missed',
      saw: 'tailscale serve leads port 8443 to Ollama itself at 127.0.0.1:11434: past the gateway, every endpoint is open there',
      remedy: 'tailscale serve --tcp=8443 off',
    })
  })

  it('funnel to Ollama names the internet', async () => {
    expect(
      await served(web('http://127.0.0.1:11434', { AllowFunnel: { 'studio.tail0lab.ts.net:443': true } })),
    ).toMatchObject({
      is: 'missed',
      saw: expect.stringContaining('anybody on the internet'),
      remedy: 'tailscale funnel --https=443 off',
    })
  })

  it.each(['100.64.0.1:11434', '[fd7a:115c:a1e0::1]:11434', 'studio.tail0lab.ts.net:11434', 'http://studio:11434'])(
    'to the gateway at %s is advice that names the guards it goes round',
    async (target) => {
      expect(await served(to(target))).toMatchObject({
        is: 'advice',
        saw: expect.stringMatching(/the gateway at .*guard by source.*rules for people/),
      })
    },
  )

  it('knows Ollama by another port, and the gateway by its own', async () => {
    const yaml = 'port: 18080\nengine: { port: 11500 }\n'
    expect(await served(to('127.0.0.1:11500'), yaml)).toMatchObject({ is: 'missed' })
    expect(await served(to('localhost:18080'), yaml)).toMatchObject({ is: 'advice' })
    expect(await served(to('127.0.0.1:11434'), yaml)).toMatchObject({ is: 'ok' })
  })

  it('to a program that only passes on to Ollama is a miss, too', async () => {
    const bodies = { '127.0.0.1:3000/': 'Ollama is running' }
    expect(await served(web('http://127.0.0.1:3000'), '', bodies)).toMatchObject({ is: 'missed' })
  })

  it('to other programs and other machines is none of ours', async () => {
    const bodies = { '127.0.0.1:3000/': '<html>Open WebUI' }
    for (const json of [{}, web('http://127.0.0.1:3000'), to('192.168.1.9:11434'), web('http://nas:11434')])
      expect(await served(json, '', bodies)).toMatchObject({ is: 'ok' })
  })

  it('that does not tell is not taken for one that serves nothing', async () => {
    const silent = { ...machine, tailscale: { ...machine.tailscale, serves: undefined } }
    expect(await finding('isolation.served', memoryHost(), '', silent)).toMatchObject({ is: 'skipped' })
  })
})

interface Running {
  pid: number
  args: string
  parent?: number
  /** `address:port` */
  listens?: string
  /** it holds a connection to this port of 127.0.0.1 */
  connected?: number
}

/** What lsof, netstat and ps tell of these programs. */
function programs(list: Running[], root: string[] = []) {
  const lsof = (named: (one: Running) => string | undefined) =>
    list
      .flatMap((one) => {
        const name = named(one)
        return name ? [`p${one.pid}\nc${one.args.split(' ')[0]?.split('/').pop()}\nf3\nn${name}`] : []
      })
      .join('\n')
  return {
    'launchctl print': { code: 113 },
    'ps -wwAo': {
      stdout: list.map(({ pid, parent = 1, args }) => `${pid} ${parent} ada ${args}`).join('\n'),
    },
    'lsof -nP -iTCP -sTCP:LISTEN': { stdout: lsof(({ listens }) => listens) },
    'lsof -nP -iTCP:11434 -sTCP:ESTABLISHED': {
      stdout: lsof(({ connected }) => (connected ? `127.0.0.1:50000->127.0.0.1:${connected}` : undefined)),
    },
    netstat: { stdout: root.map((at) => `tcp4 0 0 ${at} *.* LISTEN`).join('\n') },
    'launchctl print gui/501/com.ollama': { stdout: '\tpid = 100\n' },
    'launchctl print gui/501/com.haproxy': { stdout: '\tpid = 200\n' },
  }
}

const ourOwn: Running[] = [
  { pid: 100, args: '/opt/homebrew/opt/ollama/bin/ollama serve', listens: '127.0.0.1:11434' },
  { pid: 101, parent: 100, args: 'llama-server --port 50001', listens: '*:50001' },
  { pid: 200, args: 'haproxy -W -f /Users/ada/.haproxy/haproxy.cfg' },
  { pid: 201, parent: 200, args: 'haproxy -W', listens: '100.64.0.1:11434', connected: 11434 },
]
const forwarded = (list: Running[], bodies = {}, root: string[] = []) =>
  finding('isolation.forwards', answering(bodies, memoryHost({ commands: programs([...ourOwn, ...list], root) })))

const running = { '192.168.1.5:8080/': 'Ollama is running' }

describe('programs that lead others in', () => {
  it('our own jobs, their workers and runners are none', async () => {
    expect(await forwarded([], { '192.168.1.5:50001/': 'Ollama is running' })).toMatchObject({ is: 'ok' })
  })

  it.each<[string, Running, object]>([
    ['another HAProxy', { pid: 7, args: '/opt/homebrew/bin/haproxy -f my.cfg', listens: '*:8080' }, running],
    ['nginx', { pid: 7, args: 'nginx: worker process', listens: '192.168.1.5:8080' }, running],
    [
      'Docker',
      { pid: 7, args: '/Applications/Docker.app/Contents/MacOS/com.docker.backend', listens: '*:8080' },
      running,
    ],
    ['Caddy', { pid: 7, args: 'caddy reverse-proxy --from :8080 --to localhost:11434' }, {}],
    ['ssh -R', { pid: 7, args: 'ssh -N -R 8080:localhost:11434 vps' }, {}],
    ['ssh -R of ~/.ssh/config, while it is used', { pid: 7, args: 'ssh vps', connected: 11434 }, {}],
    ['sshd for somebody else’s ssh -L', { pid: 7, args: 'sshd: ada', connected: 11434 }, {}],
    ['socat', { pid: 7, args: 'socat TCP-LISTEN:8080,fork TCP:127.0.0.1:11434' }, {}],
    [
      'nginx that answers by names alone, while it is used',
      { pid: 7, args: 'nginx: worker', listens: '*:8443', connected: 11434 },
      {},
    ],
    [
      'a web page beside, below /api',
      { pid: 7, args: 'node x', listens: '*:8080' },
      { '192.168.1.5:8080/': 'hello', '192.168.1.5:8080/api/version': '{"version":"0.32.3"}' },
    ],
  ])('%s to Ollama is a miss that names it', async (_what, program, bodies) => {
    const seen = await forwarded([program], bodies)
    expect(seen).toMatchObject({ is: 'missed', saw: expect.stringContaining('Ollama itself') })
    expect(seen).toMatchObject({ saw: expect.stringContaining('process 7'), remedy: 'kill 7' })
  })

  it('root’s is seen by its port', async () => {
    const bodies = { '192.168.1.5:80/': 'Ollama is running' }
    expect(await forwarded([], bodies, ['*.80'])).toMatchObject({
      is: 'missed',
      saw: expect.stringContaining('a program of another user on * port 80'),
      remedy: expect.stringContaining('sudo lsof -nP -iTCP:80 -sTCP:LISTEN'),
    })
  })

  it('to the gateway is advice', async () => {
    const program = { pid: 7, args: 'nginx: worker process', listens: '*:8080' }
    const bodies = { '192.168.1.5:8080/': '{"error":"Gateway: GET / is not an endpoint."}' }
    expect(await forwarded([program], bodies)).toMatchObject({
      is: 'advice',
      saw: expect.stringMatching(/leads others to the gateway: whoever comes that way/),
    })
  })

  it('a program that uses Ollama and is open to others is advice', async () => {
    const webui = { pid: 7, args: 'python -m open_webui', listens: '*:3000', connected: 11434 }
    expect(await forwarded([webui], { '192.168.1.5:3000/': '<html>' })).toMatchObject({
      is: 'advice',
      saw: expect.stringContaining('python (process 7) on * port 3000 uses Ollama past the gateway'),
    })
  })

  it.each<[string, Running]>([
    ['a client on this Mac', { pid: 7, args: 'ollama run qwen3', connected: 11434 }],
    ['a forwarder for this Mac alone', { pid: 7, args: 'nginx: worker', listens: '127.0.0.1:8080' }],
    ['what the system itself runs', { pid: 7, args: '/System/Library/x/ControlCenter', listens: '*:8080' }],
    ['ssh -L to another machine', { pid: 7, args: 'ssh -L 8080:localhost:11434 vps' }],
  ])('%s is nothing', async (_what, program) => {
    expect(await forwarded([program], running)).toMatchObject({ is: 'ok' })
  })
})

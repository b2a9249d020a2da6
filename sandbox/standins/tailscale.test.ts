import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { TailscaleMac } from './box.ts'
import { type CommandBox, openCommandBox } from './command-box.ts'

interface Recorded {
  name: string
  argv: string[]
  exit: number
  stdout: string | null
  stderr: string
}

const folder = fileURLToPath(new URL('../transcripts/tailscale/', import.meta.url))
const recorded: Recorded[] = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8'))

const picture = 'https://tailscale.com/static/images/marketing/team-carney.jpg'
const user = (id: number) => ({
  id,
  loginName: `user-${id}@fake-control.example.net`,
  displayName: `User ${id}`,
  picture,
})

/** The machine that the recordings were made on. */
const lab: Partial<TailscaleMac> = {
  variant: 'formula',
  hostName: 'node-a',
  ipv4: '100.64.0.1',
  ipv6: 'fd7a:115c:a1e0:ab12:4843:cd96:6240:1',
  suffix: 'tail0lab.ts.net',
  tailnet: 'fake-control.example.net',
  user: user(1),
  users: [user(2)],
  os: 'linux',
  relay: 'lab',
  endpoints: ['192.168.77.2:41641'],
  authUrl: 'http://192.168.77.1:23080/auth/0000000000000000',
  nodeId: 1,
  id: 'TESTCTRL00000001',
  capabilities: [
    'debug-disable-upnp',
    'funnel',
    'https',
    'https://tailscale.com/cap/file-sharing',
    'https://tailscale.com/cap/funnel-ports?ports=8080,443',
  ],
  peers: [
    {
      hostName: 'node-b',
      ipv4: '100.64.0.2',
      ipv6: 'fd7a:115c:a1e0:ab12:4843:cd96:6240:2',
      os: 'linux',
      userId: 2,
      id: 'TESTCTRL00000002',
      nodeId: 2,
      capabilities: [
        'https://tailscale.com/cap/funnel-ports?ports=8080,443',
        'https',
        'funnel',
        'https://tailscale.com/cap/file-sharing',
      ],
      capMap: { 'https://tailscale.com/cap/ingress': null },
    },
  ],
}

const joined = { ...lab, joined: true }
const proxied = { Handlers: { '/': { Proxy: 'http://127.0.0.1:3000' } } }
const web = { 'node-a.tail0lab.ts.net:443': proxied, 'node-a.tail0lab.ts.net:80': proxied }
const webPorts = { '443': { HTTPS: true }, '80': { HTTP: true } }

/** How the Mac is when a recording is made, by the first word of its name; longer names first. */
const states: [start: string, state: Partial<TailscaleMac>][] = [
  [
    'serve.tcp-status-json',
    {
      ...joined,
      state: 'Running',
      serve: { TCP: { '11434': { TCPForward: '127.0.0.1:11434' }, ...webPorts }, Web: web },
    },
  ],
  ['serve.set-status', { ...joined, state: 'Running', serve: { TCP: webPorts, Web: web } }],
  ['serve.tcp', { ...joined, state: 'Running' }],
  ['upjson', { ...lab, state: 'NeedsLogin', endpointsKnown: true }],
  ['running', { ...joined, state: 'Running' }],
  ['stopped', { ...joined, state: 'Stopped' }],
  ['expired', { ...joined, state: 'NeedsLogin', keyExpiry: '2026-01-01T00:00:00Z' }],
  ['loggedout', { ...lab, state: 'NeedsLogin', endpointsKnown: true }],
  ['fresh', { ...lab, state: 'NeedsLogin' }],
  ['needslogin.up', { ...lab, state: 'NeedsLogin' }],
  ['needslogin', { ...lab, state: 'NeedsLogin', loginPending: true }],
  ['needsapproval', { ...joined, state: 'NeedsMachineAuth' }],
  ['noderp', { ...joined, state: 'Starting' }],
  ['nodaemon', { ...joined, daemon: false }],
  ['version', { ...joined }],
  ['headscale.badkey', { ...lab, state: 'NeedsLogin' }],
]

/** Not played: tools that nobody asks here, and another control server's choices. */
const leftOut = /netcheck|dns-status|ping|lock-status|^headscale\.(expired|status|whois)/

let box: CommandBox
beforeAll(async () => {
  box = await openCommandBox({ tailscale: lab })
})
afterAll(() => box.close())

function say(argv: string[], env?: Record<string, string | undefined>, name = 'tailscale') {
  return box.run([process.execPath, join(box.dir, 'standins.mjs'), name, ...argv], { env: { BOX: box.dir, ...env } })
}

function become(state: Partial<TailscaleMac>): void {
  const fresh = {
    state: 'NeedsLogin',
    joined: false,
    daemon: true,
    serve: {},
    loginPending: false,
    endpointsKnown: false,
  } as const
  const { keyExpiry: _gone, loginAfterMs: _either, own: _neither, ...rest } = box.mac.tailscale
  box.save({ tailscale: { ...rest, ...fresh, ...state } })
}

/** Keys are ones in the recordings; a Mac's login page is Tailscale's own. */
function plain(text: string): string {
  return text
    .replace(/((?:node|m|disco)key):[0-9a-f]{64}/g, (whole, kind) => (/:0+$/.test(whole) ? whole : `${kind}:…`))
    .replace(/https?:\/\/[^\s]*\/admin/g, 'ADMIN')
}

type Json = Record<string, unknown>

/** What a recording has beyond what a stand-in can know: a peer's hardware, an engine's ghosts of peers. */
function reduced(name: string, text: string): unknown {
  const value = JSON.parse(plain(text)) as Json
  if (name.startsWith('loggedout')) delete value.Peer
  if (name === 'upjson') delete value.BackendState
  const node = value.Node as Json | undefined
  if (node) {
    const host = node.Hostinfo as Json
    node.Hostinfo = { IPNVersion: host.IPNVersion, OS: host.OS, Hostname: host.Hostname }
    delete node.Endpoints
  }
  return value
}

for (const { name, argv, exit, stdout, stderr } of recorded.filter((one) => !leftOut.test(one.name))) {
  test(`it answers as recorded: ${name} (${argv.join(' ')})`, async () => {
    become(states.find(([start]) => name.startsWith(start))?.[1] ?? {})
    const words = argv.slice(1).map((word) => word.replace(/--timeout=\ds/, '--timeout=150ms'))
    const said = await say(words)
    const expected = stdout === null ? '' : readFileSync(join(folder, stdout), 'utf8')
    expect(said.code).toBe(exit)
    if (stdout?.endsWith('.json')) {
      expect(reduced(name, said.stdout)).toEqual(reduced(name, expected))
      const layout = (text: string) => text.split('\n')[1]?.slice(0, 3)
      expect(layout(said.stdout)).toBe(layout(expected))
    } else expect(plain(said.stdout)).toBe(plain(expected))
    if (name.startsWith('nodaemon')) expect(said.stderr).toMatch(/^failed to connect to local Tailscale/i)
    else expect(plain(said.stderr)).toBe(plain(stderr))
  })
}

test('the key order of status --json is that of the recording', async () => {
  become({ ...joined, state: 'Running' })
  const { stdout } = await say(['status', '--json'])
  const order = (text: string) => Object.keys((JSON.parse(text) as Json).Self as Json)
  expect(order(stdout)).toEqual(order(readFileSync(join(folder, 'running.status-json.json'), 'utf8')))
})

test('up waits for the login, then says so and the tailnet is up', async () => {
  become({ ...lab, loginAfterMs: 100 })
  const { code, stderr } = await say(['up'])
  expect([code, stderr]).toEqual([0, `\nTo authenticate, visit:\n\n\t${lab.authUrl}\n\nSuccess.\n`])
  expect(box.mac.tailscale).toMatchObject({ state: 'Running', joined: true, loginPending: false })
})

test('up ends when someone else logs the machine in', async () => {
  become(lab)
  const up = say(['up', '--timeout=20s'])
  await vi.waitUntil(() => box.mac.tailscale.loginPending, { timeout: 60_000, interval: 10 })
  box.save(({ tailscale }) => {
    tailscale.state = 'Running'
  })
  expect((await up).code).toBe(0)
})

test('down and up need no new login, and the address stays on record', async () => {
  become({ ...joined, state: 'Running' })
  expect((await say(['down'])).code).toBe(0)
  expect(box.mac.tailscale.state).toBe('Stopped')
  expect((await say(['ip', '-4'])).stdout).toBe('100.64.0.1\n')
  expect((await say(['up'])).stderr).toBe('')
  expect(box.mac.tailscale.state).toBe('Running')
})

const own = { 'exit-node': '100.64.0.9', ssh: true, 'login-server': 'https://hs.example.net' } as const
const theirs = '--exit-node=100.64.0.9 --login-server=https://hs.example.net --ssh'

test('up with any flag, or where a login is needed, wants every setting of one’s own among its words', async () => {
  become({ ...joined, state: 'Stopped', own })
  const refused = await say(['up', '--timeout=2m'])
  expect(refused.code).toBe(1)
  expect(refused.stderr).toMatch(/^Error: changing settings via 'tailscale up' requires mentioning all\n/)
  expect(refused.stderr).toContain(`\n\ttailscale up --timeout=2m0s ${theirs}\n`)
  expect(box.mac.tailscale.state).toBe('Stopped')
  expect((await say(['up'])).code).toBe(0)
  expect(box.mac.tailscale.state).toBe('Running')
  become({ ...lab, state: 'NeedsLogin', own, loginAfterMs: 1 })
  expect((await say(['up'])).code).toBe(1)
  expect((await say(['up', ...theirs.split(' ')])).code).toBe(0)
})

test('serve takes a port and gives it back', async () => {
  become({ ...joined, state: 'Running' })
  await say(['serve', '--bg', '--tcp=11434', 'tcp://127.0.0.1:3000'])
  expect(JSON.parse((await say(['serve', 'status', '--json'])).stdout)).toEqual({
    TCP: { '11434': { TCPForward: '127.0.0.1:3000' } },
  })
  expect((await say(['serve', '--tcp=11434', 'off'])).code).toBe(0)
  expect((await say(['serve', 'status', '--json'])).stdout).toBe('{}\n')
})

test.each([
  [
    ['serve', '--bg', '--https=443', '3000'],
    ['serve', '--https=443', 'off'],
  ],
  [
    ['serve', '--bg', '--http=80', '--set-path=/ai', 'localhost:3000'],
    ['serve', '--http=80', '--set-path=/ai', 'off'],
  ],
  [
    ['funnel', '--bg', '--tls-terminated-tcp=443', 'tcp://127.0.0.1:3000'],
    ['funnel', '--tls-terminated-tcp=443', 'off'],
  ],
  [
    ['serve', '--service=svc:ai', '--https=443', '3000'],
    ['serve', '--service=svc:ai', '--https=443', 'off'],
  ],
  [
    ['serve', '--service=svc:ai', '--tcp=443', 'tcp://127.0.0.1:3000'],
    ['serve', 'clear', 'svc:ai'],
  ],
])('%j is ended by %j, and by nothing for another port', async (on, end) => {
  become({ ...joined, state: 'Running' })
  expect((await say(on)).code).toBe(0)
  const held = (await say(['serve', 'status', '--json'])).stdout
  expect(held).toContain('3000')
  expect((await say(['serve', '--tcp=9', 'off'])).code).toBe(1)
  expect((await say(['serve', 'status', '--json'])).stdout).toBe(held)
  expect((await say(end)).code).toBe(0)
  expect((await say(['serve', 'status', '--json'])).stdout).toBe('{}\n')
})

test('the app’s own program is a command in a terminal and a broken window in a job, unless told otherwise', async () => {
  become({ ...joined, state: 'Running', variant: 'standalone' })
  const job = { TERM: undefined, XPC_SERVICE_NAME: 'com.haproxy' }
  const failed = await say(['ip', '-4'], job, 'Tailscale')
  expect([failed.code, failed.stdout]).toEqual([
    1,
    'The Tailscale GUI failed to start: The operation couldn’t be completed. (Tailscale.CLIError error 3.)\n',
  ])
  expect((await say(['ip', '-4'], { ...job, TAILSCALE_BE_CLI: '1' }, 'Tailscale')).stdout).toBe('100.64.0.1\n')
  expect((await say(['ip', '-4'], {}, 'Tailscale')).stdout).toBe('100.64.0.1\n')
})

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { tailscaleState } from '../../lib/platform/tailscale.ts'
import { ending, look, run } from './mac.ts'
import { keep, results, type Step, step } from './step.ts'

/** The control server: its own release, by the SHA-256 that its checksums.txt has. */
const headscale = {
  version: '0.29.4',
  sha256: 'b5cfd0f81caaa1e8f71f830fd89fdf86a8719bb6e9f9a2ec5b47d9426c96986e',
}

/** Programs, sockets and keys of the tailnet; only its logs are kept with the results. */
const folder = join(tmpdir(), 'real-mac-tailnet')
const logs = join(results, 'tailnet')
const program = join(folder, 'headscale')
const config = join(folder, 'config.yaml')

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

/** Starts a program that goes on after this step; its words go to a file. */
function serve(name: string, argv: string[]): void {
  const log = openSync(join(logs, `${name}.log`), 'a')
  const [command = '', ...args] = argv
  spawn(command, args, { detached: true, stdio: ['ignore', log, log] }).unref()
}

async function download({ holds }: Step): Promise<boolean> {
  const file = `headscale_${headscale.version}_darwin_arm64`
  const url = `https://github.com/juanfont/headscale/releases/download/v${headscale.version}/${file}`
  const got = await run(['curl', '-fsSL', '--retry', '3', '-o', program, url])
  if (!holds('headscale is downloaded', got.code === 0, ending(got))) return false
  const sum = createHash('sha256').update(readFileSync(program)).digest('hex')
  chmodSync(program, 0o755)
  return holds('it is the release that was meant', sum === headscale.sha256, `its SHA-256 is ${sum}`)
}

/** Everything on loopback; relays are Tailscale's public ones, as headscale has them, for a node needs one to come up. */
const settings = (url: string, [web, metrics, grpc]: number[]): object => ({
  server_url: url,
  listen_addr: `127.0.0.1:${web}`,
  metrics_listen_addr: `127.0.0.1:${metrics}`,
  grpc_listen_addr: `127.0.0.1:${grpc}`,
  noise: { private_key_path: join(folder, 'noise.key') },
  prefixes: { v4: '100.64.0.0/10', v6: 'fd7a:115c:a1e0::/48', allocation: 'sequential' },
  derp: { server: { enabled: false }, urls: ['https://controlplane.tailscale.com/derpmap/default'], paths: [] },
  disable_check_updates: true,
  database: { type: 'sqlite', sqlite: { path: join(folder, 'db.sqlite') } },
  dns: { magic_dns: true, base_domain: 'real-mac.test', override_local_dns: false, nameservers: { global: [] } },
  unix_socket: join(folder, 'hs.sock'),
  unix_socket_permission: '0700',
  logtail: { enabled: false },
})

const control = (...words: string[]) => run([program, '--config', config, ...words], 60_000)

/** Starts the control server and gives a key for its nodes. */
async function server({ holds }: Step): Promise<{ url: string; key: string } | undefined> {
  const ports = [await freePort(), await freePort(), await freePort()]
  const url = `http://127.0.0.1:${ports[0]}`
  writeFileSync(config, stringify(settings(url, ports)))
  serve('headscale', [program, '--config', config, 'serve'])
  const healthy = async () => (await look.query(['curl', '-fsS', `${url}/health`])).code === 0
  if (!holds('headscale answers on loopback', await look.until('it does', 60_000, healthy))) return undefined
  await control('users', 'create', 'proof')
  const { stdout } = await control('users', 'list', '--output', 'json')
  const id = /"id":\s*"?(\d+)/.exec(stdout)?.[1] ?? '1'
  const made = await control('preauthkeys', 'create', '--user', id, '--reusable', '--expiration', '24h')
  const key = made.stdout.trim().split('\n').at(-1) ?? ''
  return holds('headscale gives a key', made.code === 0 && key !== '', ending(made)) ? { url, key } : undefined
}

/** This Mac's own node: the daemon of Homebrew's formula as root, so that the tailnet address lies on a real utun. */
async function studio({ holds }: Step, brew: string, { url, key }: { url: string; key: string }): Promise<boolean> {
  const started = await run(['sudo', '-n', brew, 'services', 'start', 'tailscale'])
  if (!holds('tailscaled runs as a daemon of root', started.code === 0, ending(started))) return false
  const daemon = async () => (await tailscaleState(look)).state !== 'unreachable'
  await look.until('tailscaled answers', 60_000, daemon)
  const user = (await look.query(['id', '-un'])).stdout.trim()
  const join = ['--login-server', url, '--auth-key', key, `--operator=${user}`, '--hostname', 'studio']
  const cli = (await tailscaleState(look)).cli ?? 'tailscale'
  const up = await run(['sudo', '-n', cli, 'up', ...join, '--accept-dns=false', '--timeout=90s'], 120_000)
  holds('this Mac joins the tailnet', up.code === 0, ending({ ...up, stderr: up.stderr.replaceAll(key, 'KEY') }))
  const { state, ipv4 = 'none' } = await tailscaleState(look)
  holds('Tailscale is up', state === 'Running', state)
  const { stdout } = await look.query(['ifconfig'])
  const carrier = stdout.split(/\n(?=\S)/).find((block) => block.includes(`inet ${ipv4} `))
  return holds('a utun carries the tailnet address', /^utun\d/.test(carrier ?? ''), `${ipv4}: ${carrier ?? 'nobody'}`)
}

/** A second node without a device of its own: what comes to it by SOCKS goes out through the tunnel. */
async function laptop({ holds }: Step, { url, key }: { url: string; key: string }, to: string): Promise<void> {
  const [socket, socks] = [join(folder, 'laptop.sock'), `127.0.0.1:${await freePort()}`]
  const own = [`--socket=${socket}`, `--statedir=${join(folder, 'laptop')}`, '--port=0']
  const daemon = await look.find(['tailscaled', '/opt/homebrew/opt/tailscale/bin/tailscaled'])
  serve('laptop', [daemon ?? 'tailscaled', '--tun=userspace-networking', `--socks5-server=${socks}`, ...own])
  await look.until('the second daemon answers', 60_000, async () => (await look.stat(socket)) !== undefined)
  const cli = (await tailscaleState(look)).cli ?? 'tailscale'
  const words = ['--login-server', url, '--auth-key', key, '--hostname', 'laptop', '--timeout=90s']
  const up = await run([cli, `--socket=${socket}`, 'up', ...words], 120_000)
  if (holds('a second node joins', up.code === 0, ending({ ...up, stderr: up.stderr.replaceAll(key, 'KEY') })))
    keep('laptop.json', JSON.stringify({ socks, to }))
}

/** Step 3: a tailnet of this machine alone, without an account: headscale on loopback, this Mac, and a second node as the laptop. */
await step('tailnet', async (row) => {
  const { state, cli } = await tailscaleState(look)
  if (state === 'Running')
    return row.skip('a tailnet of our own', 'this machine is on one already, which is left as it is')
  if (cli !== undefined && state !== 'unreachable' && state !== 'NeedsLogin')
    return row.skip('a tailnet of our own', `a Tailscale is here already (${state}), which is left as it is`)
  const brew = await look.find(['brew', '/opt/homebrew/bin/brew'])
  if (!brew) return row.skip('everything', 'Homebrew is not here')
  for (const one of [folder, logs]) mkdirSync(one, { recursive: true, mode: 0o700 })
  const installed = await run([brew, 'install', '--formula', 'tailscale'])
  if (!row.holds('brew install tailscale', installed.code === 0, ending(installed))) return
  if (!(await download(row))) return
  const joined = await server(row)
  if (!joined || !(await studio(row, brew, joined))) return
  const { ipv4 } = await tailscaleState(look)
  await laptop(row, joined, `${ipv4}:11434`)
})

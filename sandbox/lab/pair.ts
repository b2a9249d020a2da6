import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { heldPair, keepPair, makePair } from '../../lib/certificates/two-gateways.ts'
import { render } from '../../lib/gateway/config.ts'
import { keepalivedConf } from '../../lib/gateway/vip.ts'
import { realHost } from '../../lib/host/host.ts'
import { places } from '../../lib/platform/mac/places.ts'
import { noKeys, type Registry } from '../../lib/site/limits.ts'
import { packages } from '../box/packages.ts'
import { checkout } from '../box/paths.ts'
import { ipProgram } from '../box/tools.ts'
import { describe, eventually, program, templates, watchOver } from './gateway.ts'

/** Addresses of the pair, and of who is beside it. */
export const at = { vip: '10.50.0.100', a: '10.50.0.2', b: '10.50.0.3', client: '10.50.0.10', node: '10.50.0.20' }
export type Side = 'a' | 'b'
const port = 12000
const url = `http://${at.vip}:${port}`

/** An Ollama with one model, that says its words a tenth of a second apart. */
const engine = `
const list = { '/api/tags': { models: [{ name: 'tiny' }] }, '/api/ps': { models: [{ name: 'tiny' }] } }
const word = (text) => 'data: ' + JSON.stringify({ choices: [{ delta: { content: text } }] }) + '\\n\\n'
require('http').createServer((asked, answer) => {
  if (asked.method !== 'POST') return answer.end(JSON.stringify(list[asked.url] ?? { version: '0.20.0' }))
  asked.resume()
  answer.writeHead(200, { 'content-type': 'text/event-stream' })
  const timer = setInterval(() => answer.write(word('word ')), 100)
  answer.on('close', () => clearInterval(timer))
}).listen(11434, '${at.node}', () => console.log('up'))`

/** Asks by a new connection every 20 ms, and prints when an answer came and which gateway's it was. */
const poller = `
const http = require('http')
setInterval(() => {
  const asked = http.get('${url}/healthz', { agent: false, timeout: 400 }, (answer) => {
    answer.resume().on('end', () => console.log(Date.now(), answer.statusCode, answer.headers['x-gateway']))
  })
  asked.on('timeout', () => asked.destroy()).on('error', () => {})
}, 20)`

/** What a pair may have otherwise. */
export interface PairOptions {
  /** more lines of settings.yaml, the same for both */
  settings?: string
  /** API keys that both know, and ask for; without them they ask nobody */
  registry?: Registry
  /** another HAProxy than the usual one, which needs no libraries of the environment */
  haproxy?: string
}

/** One of the two gateways, in a network namespace of its own. */
export interface Member {
  home: string
  /** the text of HAProxy's configuration */
  text: string
  /** what HAProxy answers on its socket */
  told(command: string): string
  /** runs a command where the gateway is */
  inside(...argv: string[]): string
  startHaproxy(): Promise<void>
  startKeepalived(): Promise<void>
  /** ends HAProxy and its workers at once */
  kill(): void
  /** has a new worker of HAProxy take over */
  reload(): Promise<void>
  keepalived: ChildProcess | undefined
  /** its network card without or with its cable */
  link(state: 'down' | 'up'): void
  /** whether its card has the address */
  holds(): boolean
  /** ms since 1970 when it got the address, and when it went again */
  times(): { from: number; until: number }[]
  /** what Keepalived said */
  said(): string
}

/** An answer of the pair: when it came, and whose it was. */
export interface Sample {
  ms: number
  side: Side
}

export interface Pair extends Record<Side, Member> {
  /** answers to a client that asks all the time */
  samples(): Sample[]
  /** has a client take a streamed answer */
  stream(): Promise<Stream>
  /** runs a command where the client is */
  client(...argv: string[]): string
  close(): Promise<void>
}

/** A streamed answer as its client sees it. */
export interface Stream {
  words(): number
  /** resolves with curl's exit code when it ended */
  ended: Promise<number>
}

const settings = (side: Side, { settings = '', registry }: PairOptions): string => `${settings}
role: gateway
access: keys
observer: 'off'
groups: [agents, native]
peers: { port: 11436 }
nodes: { node: { address: ${at.node}, slots: 16 } }
listeners: { inside: { addresses: ['${at.vip}', '${at[side]}'], port: ${port}, from: [10.50.0.0/24], access: ${registry ? 'keys' : 'from'} } }
vip: { address: '${at.vip}', interface: eth0, peer: '${at[side === 'a' ? 'b' : 'a']}', priority: ${side === 'a' ? 150 : 140} }`

/** Has this gateway ask its node from where it is, by our own code. */
const asking = `
import { realHost } from '${checkout}/lib/host/host.ts'
import { renewNodes } from '${checkout}/lib/nodes/store.ts'
import { keep } from '${checkout}/lib/people/store.ts'
import { readRegistry } from '${checkout}/lib/people/given.ts'
import { readSettings } from '${checkout}/lib/site/settings.ts'
const host = { ...realHost(), system: 'mac', home: process.env.HOME }
const settings = await readSettings(host)
await keep(host, await readRegistry(host), settings)
await renewNodes(host, settings)`

interface Ground {
  folder: string
  ip: string
  keepalived: string
  libraryPath: string
  children: ChildProcess[]
  name(where: string): string
  options: PairOptions
  /** by which the two know each other */
  certificate: string
}

/** Starts a program in one of the namespaces; it ends with this process. */
function begin(ground: Ground, where: string, argv: string[], log: string, env: NodeJS.ProcessEnv = {}): ChildProcess {
  const out = openSync(log, 'w')
  const child = spawn(ground.ip, ['netns', 'exec', ground.name(where), ...argv], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', out, out],
  })
  closeSync(out)
  watchOver(child.pid ?? 0)
  ground.children.push(child)
  return child
}

async function member(ground: Ground, side: Side): Promise<Member> {
  const home = join(ground.folder, side)
  const listener = { name: 'tailnet', addresses: [at[side]], port: 11434, sources: ['100.64.0.0/10'] }
  const { options } = ground
  const { registry = noKeys } = options
  const gateway = { ...describe(home, listener, settings(side, options), registry), own: at[side] }
  const { vip } = gateway.settings
  if (!vip) throw new Error('there is no VIP')
  const configuration = render(gateway, templates())
  const where = places(home)
  mkdirSync(where.run, { recursive: true })
  mkdirSync(where.settingsFolder, { recursive: true })
  for (const [file, text] of Object.entries(configuration.files)) {
    mkdirSync(join(file, '..'), { recursive: true })
    writeFileSync(file, text)
  }
  writeFileSync(where.settings, settings(side, options))
  writeFileSync(where.keys, JSON.stringify(registry), { mode: 0o600 })
  await keepPair(machineAt(home), ground.certificate)
  // Answers tell here whose they are, which nobody else needs to know.
  const named = configuration.text.replace(
    /^frontend tailnet\n/m,
    `frontend tailnet\n    http-after-response set-header x-gateway ${side}\n`,
  )
  writeFileSync(where.config, named)
  writeFileSync(join(home, 'keepalived.conf'), keepalivedConf(gateway, vip, at[side]))
  execFileSync(
    ground.ip,
    [
      ...['netns', 'exec', ground.name(side)],
      ...[process.execPath, '--import', 'tsx', '--input-type=module', '-e', asking],
    ],
    { cwd: checkout, env: { ...process.env, HOME: home } },
  )
  const haproxy = await program(options.haproxy)
  const watched = join(home, 'addresses.log')
  begin(ground, side, [ground.ip, '-ts', '-4', '-o', 'monitor', 'address'], watched)
  let master: ChildProcess | undefined
  const worker = () => /^Pid: (\d+)/m.exec(told(where.adminSocket, 'show info'))?.[1]
  const successes = () => (own.keepalived ? own.said().split('VRRP_Script(gateway) succeeded').length : 0)
  const own: Member = {
    home,
    text: named,
    told: (command) => told(where.adminSocket, command),
    inside: (...argv) =>
      execFileSync(ground.ip, ['netns', 'exec', ground.name(side), ...argv], { encoding: 'utf8', stdio: 'pipe' }),
    keepalived: undefined,
    async startHaproxy() {
      const before = successes()
      const argv = [haproxy.file, '-W', '-db', '-S', `${where.masterSocket},mode,600`, '-f', where.config]
      master = begin(ground, side, argv, join(home, 'haproxy.log'), {
        LD_LIBRARY_PATH: haproxy.libraryPath,
        HOME: home,
      })
      const healthy = () => curled(['--unix-socket', where.healthSocket, 'http://gateway/healthz']) === 'ok'
      await eventually(`HAProxy ${side} is healthy: ${readFileSync(join(home, 'haproxy.log'), 'utf8')}`, healthy)
      if (own.keepalived) await eventually('Keepalived knows it', () => successes() > before)
    },
    async startKeepalived() {
      // It would say that it runs already, and end.
      const before = own.keepalived
      const ended = () => !before || ((before.exitCode ?? before.signalCode) !== null && !lives(join(home, 'vrrp.pid')))
      await eventually('the one before has ended', ended)
      const files = ['-p', join(home, 'parent.pid'), '-r', join(home, 'vrrp.pid'), '-f', join(home, 'keepalived.conf')]
      const argv = [ground.keepalived, '--dont-fork', '--log-console', '--log-detail', '--vrrp', ...files]
      own.keepalived = begin(ground, side, argv, join(home, 'keepalived.log'), { LD_LIBRARY_PATH: ground.libraryPath })
      await eventually('Keepalived is ready', () => own.said().includes('Entering BACKUP STATE'))
      // It says nothing at the end of its delay, before which it takes nothing.
      const ready = performance.now() + 2500
      await eventually('the delay at its start is over', () => performance.now() > ready)
    },
    kill() {
      for (const pid of [master?.pid, Number(worker())]) if (pid) process.kill(pid, 'SIGKILL')
    },
    async reload() {
      const before = worker()
      master?.kill('SIGUSR2')
      await eventually('a new worker answers', () => ![before, undefined].includes(worker()))
    },
    link: (state) => void execFileSync(ground.ip, ['-n', ground.name('switch'), 'link', 'set', `to-${side}`, state]),
    holds: () =>
      execFileSync(ground.ip, ['-n', ground.name(side), '-4', '-o', 'address'], { encoding: 'utf8' }).includes(at.vip),
    times: () => intervals(readFileSync(watched, 'utf8')),
    said: () => readFileSync(join(home, 'keepalived.log'), 'utf8'),
  }
  return own
}

/** This machine as one whose home is there. */
const machineAt = (home: string) => ({ ...realHost(), system: 'mac' as const, home })

/** A certificate that two gateways may have, made where nothing else lies. */
async function pairCertificate(folder: string): Promise<string> {
  await makePair(machineAt(folder))
  return (await heldPair(machineAt(folder)))?.text ?? ''
}

/** What HAProxy answers on its socket; nothing while nobody listens there. */
function told(socket: string, command: string): string {
  const talk = `const s = require('net').connect(${JSON.stringify(socket)}, () => s.end('${command}\\n')); s.on('error', () => {}).pipe(process.stdout)`
  return execFileSync(process.execPath, ['-e', talk], { encoding: 'utf8' })
}

/** Whether the process runs that a file names. */
const lives = (file: string): boolean => existsSync(file) && existsSync(`/proc/${readFileSync(file, 'utf8').trim()}`)

function curled(argv: string[]): string {
  try {
    return execFileSync('curl', ['-s', '-m', '1', ...argv], { encoding: 'utf8' })
  } catch {
    return ''
  }
}

/** Reads `ip -ts -o monitor address`: `[2026-11-30T10:00:00.123456] Deleted 2: eth0 inet 10.50.0.100/32 …`. */
function intervals(text: string): { from: number; until: number }[] {
  const found: { from: number; until: number }[] = []
  for (const [, when = '', gone] of text.matchAll(/^\[([^\]]+)\] (Deleted )?.*inet 10\.50\.0\.100\//gm)) {
    const ms = Date.parse(when)
    const last = found.at(-1)
    if (!gone) found.push({ from: ms, until: Number.POSITIVE_INFINITY })
    else if (last) last.until = ms
  }
  return found
}

function wire(ground: Ground): void {
  const { name } = ground
  const ip = (...argv: string[]) => execFileSync(ground.ip, argv, { stdio: 'pipe' })
  for (const where of ['switch', 'a', 'b', 'client', 'node']) {
    ip('netns', 'add', name(where))
    ip('-n', name(where), 'link', 'set', 'lo', 'up')
  }
  ip('-n', name('switch'), 'link', 'add', 'bridge', 'type', 'bridge')
  ip('-n', name('switch'), 'link', 'set', 'bridge', 'up')
  for (const where of ['a', 'b', 'client', 'node'] as const) {
    const [own, other] = [name(where), name('switch')]
    ip('link', 'add', 'eth0', 'netns', own, 'type', 'veth', 'peer', 'name', `to-${where}`, 'netns', other)
    ip('-n', other, 'link', 'set', `to-${where}`, 'master', 'bridge', 'up')
    ip('-n', own, 'address', 'add', `${at[where]}/24`, 'dev', 'eth0')
    ip('-n', own, 'link', 'set', 'eth0', 'up')
  }
}

/** Why no pair can be had here; undefined where one can. */
export const whyNoPair = (): string | undefined =>
  process.getuid?.() === 0 && process.platform === 'linux' ? undefined : 'network namespaces are made by root alone'

/** Two gateways with a VIP and one node, each in a network namespace, and a client; nothing of the gateways runs yet. */
export async function startPair(options: PairOptions = {}): Promise<Pair> {
  const folder = mkdtempSync(join(tmpdir(), 'pair-'))
  const { bin, libraryPath } = await packages(['keepalived'])
  const ground: Ground = {
    ...{ folder, ip: await ipProgram(folder), keepalived: bin('keepalived'), libraryPath, children: [] },
    name: (where) => `pair-${process.pid}-${where}`,
    ...{ options, certificate: await pairCertificate(join(folder, 'certificate')) },
  }
  const close = async () => {
    for (const child of ground.children) child.kill('SIGKILL')
    for (const where of ['switch', 'a', 'b', 'client', 'node'])
      for (const pid of pids(ground, where)) process.kill(pid, 'SIGKILL')
    for (const where of ['switch', 'a', 'b', 'client', 'node'])
      execFileSync(ground.ip, ['netns', 'delete', ground.name(where)])
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  try {
    wire(ground)
    const said = join(folder, 'node.log')
    begin(ground, 'node', [process.execPath, '-e', engine], said)
    await eventually('the node is up', () => readFileSync(said, 'utf8').includes('up'))
    const [a, b] = [await member(ground, 'a'), await member(ground, 'b')]
    const log = join(folder, 'samples')
    begin(ground, 'client', [process.execPath, '-e', poller], log)
    return {
      a,
      b,
      close,
      samples: () => samplesIn(readFileSync(log, 'utf8')),
      stream: () => stream(ground),
      client: (...argv) =>
        execFileSync(ground.ip, ['netns', 'exec', ground.name('client'), ...argv], { encoding: 'utf8' }),
    }
  } catch (error) {
    await close()
    throw error
  }
}

const pids = ({ ip, name }: Ground, where: string): number[] =>
  execFileSync(ip, ['netns', 'pids', name(where)], { encoding: 'utf8' })
    .split('\n')
    .filter(Boolean)
    .map(Number)

const samplesIn = (text: string): Sample[] =>
  [...text.matchAll(/^(\d+) 200 ([ab])$/gm)].map(([, ms, side]) => ({ ms: Number(ms), side: side as Side }))

async function stream(ground: Ground): Promise<Stream> {
  const log = join(ground.folder, `stream-${ground.children.length}`)
  const body = JSON.stringify({ model: 'tiny', stream: true, messages: [{ role: 'user', content: 'hi' }] })
  const argv = [
    'curl',
    '-sSN',
    '-m',
    '60',
    '-H',
    'content-type: application/json',
    '-d',
    body,
    `${url}/v1/chat/completions`,
  ]
  const child = begin(ground, 'client', argv, log)
  const words = () => readFileSync(log, 'utf8').split('word').length - 1
  await eventually('the stream runs', () => words() > 2).catch((error: Error) => {
    throw new Error(`${error.message}: ${readFileSync(log, 'utf8')}`)
  })
  return { words, ended: once(child, 'exit').then(([code]) => Number(code)) }
}

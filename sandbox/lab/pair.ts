import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bracketed } from '../../lib/gateway/pair.ts'
import type { Registry } from '../../lib/site/limits.ts'
import { eventually } from './gateway.ts'
import { type Ground, startGround, whyNoGround } from './ground.ts'
import { type Member, member, pairCertificate } from './member.ts'

/** Addresses of the pair, and of who is beside it. */
const at = { vip: '10.50.0.100', a: '10.50.0.2', b: '10.50.0.3', client: '10.50.0.10', node: '10.50.0.20' }
/** The same in IPv6, where nobody has another. */
const at6: typeof at = {
  vip: 'fd00:50::100',
  a: 'fd00:50::2',
  b: 'fd00:50::3',
  client: 'fd00:50::10',
  node: 'fd00:50::20',
}
export type Side = 'a' | 'b'
const port = 12000
/** Where the gateway at one of those addresses is asked. */
const urlOf = (address: string): string => `http://${bracketed(address)}:${port}`

/** An Ollama with one model, that says its words a tenth of a second apart. */
const engine = (address: string): string => `
const list = { '/api/tags': { models: [{ name: 'tiny' }] }, '/api/ps': { models: [{ name: 'tiny' }] } }
const word = (text) => 'data: ' + JSON.stringify({ choices: [{ delta: { content: text } }] }) + '\\n\\n'
require('http').createServer((asked, answer) => {
  if (asked.method !== 'POST') return answer.end(JSON.stringify(list[asked.url] ?? { version: '0.20.0' }))
  asked.resume()
  answer.writeHead(200, { 'content-type': 'text/event-stream' })
  const timer = setInterval(() => answer.write(word('word ')), 100)
  answer.on('close', () => clearInterval(timer))
}).listen(11434, '${address}', () => console.log('up'))`

/** Asks by a new connection every 20 ms, and prints when an answer came and which gateway's it was. */
const poller = (url: string): string => `
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
  /** whether all addresses are of IPv6 */
  ipv6?: boolean
}

/** One of the two gateways, in a network namespace of its own. */
export interface PairMember extends Member {
  /** its network card without or with its cable */
  link(state: 'down' | 'up'): void
}

/** An answer of the pair: when it came, and whose it was. */
export interface Sample {
  ms: number
  side: Side
}

export interface Pair extends Record<Side, PairMember> {
  at: typeof at
  /** where a gateway is asked by one of them */
  url(who: 'vip' | Side): string
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

const settingsOf = (side: Side, { settings = '', registry, ipv6 }: PairOptions): string => {
  const own = ipv6 ? at6 : at
  const inside = `{ addresses: ['${own.vip}', '${own[side]}'], port: ${port}, from: ['${ipv6 ? 'fd00:50::/120' : '10.50.0.0/24'}'], access: ${registry ? 'keys' : 'from'} }`
  return `${settings}
role: gateway
access: keys
observer: 'off'
groups: [agents, native]
peers: { port: 11436 }
nodes: { node: { address: '${own.node}', slots: 16 } }
listeners: { inside: ${inside} }
vip: { address: '${own.vip}', interface: eth0, peer: '${own[side === 'a' ? 'b' : 'a']}', priority: ${side === 'a' ? 150 : 140} }`
}

/** One of the two gateways. */
async function sideOf(ground: Ground, side: Side, options: PairOptions, certificate: string): Promise<PairMember> {
  const { registry, haproxy } = options
  const settings = settingsOf(side, options)
  const own = (options.ipv6 ? at6 : at)[side]
  const one = await member(ground, { where: side, settings, own, certificate, registry, haproxy })
  return Object.assign(one, {
    link: (state: 'down' | 'up') => ground.set('switch', 'link', 'set', `to-${side}`, state),
  })
}

const machines = ['a', 'b', 'client', 'node'] as const

function wire(ground: Ground, own: typeof at): void {
  ground.set('switch', 'link', 'add', 'bridge', 'type', 'bridge')
  ground.set('switch', 'link', 'set', 'bridge', 'up')
  for (const where of machines) {
    ground.cable(where, 'eth0', 'switch', `to-${where}`)
    ground.set('switch', 'link', 'set', `to-${where}`, 'master', 'bridge', 'up')
    // Nobody else is here who could have one already.
    const words = own === at6 ? [`${own[where]}/64`, 'nodad'] : [`${own[where]}/24`]
    ground.set(where, 'address', 'add', ...words, 'dev', 'eth0')
    ground.set(where, 'link', 'set', 'eth0', 'up')
  }
}

/** Why no pair can be had here; undefined where one can. */
export const whyNoPair = whyNoGround

/** Two gateways with a VIP and one node, each in a network namespace, and a client; nothing of the gateways runs yet. */
export async function startPair(options: PairOptions = {}): Promise<Pair> {
  const ground = await startGround('pair', ['switch', ...machines])
  const { folder } = ground
  const own = options.ipv6 ? at6 : at
  const url = (who: 'vip' | Side) => urlOf(own[who])
  const close = async () => ground.close()
  try {
    const certificate = await pairCertificate(join(folder, 'certificate'))
    wire(ground, own)
    const said = join(folder, 'node.log')
    ground.begin('node', [process.execPath, '-e', engine(own.node)], said)
    await eventually('the node is up', () => readFileSync(said, 'utf8').includes('up'))
    const [a, b] = [await sideOf(ground, 'a', options, certificate), await sideOf(ground, 'b', options, certificate)]
    const log = join(folder, 'samples')
    ground.begin('client', [process.execPath, '-e', poller(url('vip'))], log)
    return {
      ...{ a, b, close, url, at: own },
      samples: () => samplesIn(readFileSync(log, 'utf8')),
      stream: () => stream(ground, url('vip')),
      client: (...argv) => ground.run('client', ...argv),
    }
  } catch (error) {
    await close()
    throw error
  }
}

const samplesIn = (text: string): Sample[] =>
  [...text.matchAll(/^(\d+) 200 ([ab])$/gm)].map(([, ms, side]) => ({ ms: Number(ms), side: side as Side }))

let streams = 0

async function stream(ground: Ground, url: string): Promise<Stream> {
  streams += 1
  const log = join(ground.folder, `stream-${streams}`)
  const body = JSON.stringify({ model: 'tiny', stream: true, messages: [{ role: 'user', content: 'hi' }] })
  const json = ['-H', 'content-type: application/json', '-d', body]
  const child = ground.begin('client', ['curl', '-sSN', '-m', '60', ...json, `${url}/v1/chat/completions`], log)
  const words = () => readFileSync(log, 'utf8').split('word').length - 1
  await eventually('the stream runs', () => words() > 2).catch((error: Error) => {
    throw new Error(`${error.message}: ${readFileSync(log, 'utf8')}`)
  })
  return { words, ended: once(child, 'exit').then(([code]) => Number(code)) }
}

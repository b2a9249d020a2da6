import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { borderRules } from '../../lib/gateway/border.ts'
import { firewallRules } from '../../lib/gateway/firewall.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { places } from '../../lib/platform/mac/places.ts'
import type { Registry } from '../../lib/site/limits.ts'
import { packages } from '../box/packages.ts'
import type { Faults } from '../standins/ollama/faults.ts'
import { buildInto, programOf } from '../standins/ollama/harness.ts'
import { type Authority, authority, type Certificate, pem } from './certificates.ts'
import { eventually } from './gateway.ts'
import { type Ground, startGround } from './ground.ts'
import { type Member, member, pairCertificate } from './member.ts'
import { at as around, type Network, networks, usualBorder } from './networks.ts'

/** Addresses of everybody; those of the tailnet are on each machine's loopback, since none is here. */
export const at = {
  ...around,
  vip: around.machine,
  ...{ a: '10.50.0.2', b: '10.50.0.3', hal9000: '10.50.0.21', brainiac: '10.50.0.22' },
} as const
export const tailnet = { a: '100.64.0.1', b: '100.64.0.2', hal9000: '100.64.0.3', brainiac: '100.64.0.4' } as const

export const sides = ['a', 'b'] as const
export type Side = (typeof sides)[number]
export const nodes = ['hal9000', 'brainiac'] as const
export type NodeName = (typeof nodes)[number]
export const machines = [...sides, ...nodes] as const

export const domain = 'lab.test'
export const names = ['ai', 'hal9000-api', 'brainiac-api', 'chat'].map((name) => `${name}.${domain}`)
export const model = 'qwen3:0.6b'
/** Where engines and gateways listen, and Open WebUI on hal9000. */
export const gatewayPort = 11434
export const pagePort = 8080

/** The network of the seed: a border, at home a pair of gateways with a VIP and two nodes, and clients in three networks. */
export interface SeedNetwork extends Record<Side, Member> {
  ground: Ground
  nodes: Record<NodeName, Member>
  /** whose certificates the names have, as a file */
  root: string
  certificates: Record<string, Certificate>
  /** keys of a person, who may ask by Ollama's own API alone, and of the page */
  keys: { ann: string; page: string }
  /** how a node's engine answers from now on */
  faults(node: NodeName, faults: Faults): void
  /** bodies of what a node's engine was asked */
  asked(node: NodeName): string
  /** runs a line of the shell where somebody is, and gives what it printed; a failure is told by its code in the text */
  in(where: Network | 'border' | Side | NodeName, line: string): string
  /** who has the VIP */
  holder(): Side | undefined
  close(): void
}

const nodeSettings = (node: NodeName): string => `
access: keys
observer: 'off'
firewall: on
groups: [agents, native]
listeners: { inside: { addresses: ['${at[node]}'], from: ['${at.a}', '${at.b}'] } }`

const service = (name: string): string =>
  `{ kind: open-webui, name: ${name}.${domain}, port: 12000, backend: '${at.hal9000}:${pagePort}', listeners: [public] }`

const gatewaySettings = (side: Side): string => `
role: gateway
access: keys
log: requests
firewall: on
groups: [agents, native]
hosts: [ai.${domain}]
peers: { port: 11436 }
tls:
${names.map((name) => `  ${name}: { chain: '~/tls/${name}.pem', key: '~/tls/${name}.key' }`).join('\n')}
nodes:
${nodes.map((node) => `  ${node}: { address: ${at[node]}, engine: gateway, key: 'file:~/node.key' }`).join('\n')}
listeners: { public: { addresses: ['${at.vip}'] } }
services: { chat: ${service('chat')}, hal9000: ${service('hal9000-api')} }
vip: { address: '${at.vip}', interface: eth0, peer: '${at[side === 'a' ? 'b' : 'a']}', priority: ${side === 'a' ? 150 : 140} }`

const known = (keys: Record<string, { secret: string; groups?: Registry['keys'][string]['groups'] }>): Registry => ({
  version: 1,
  keys: Object.fromEntries(
    Object.entries(keys).map(([name, { secret, groups }]) => [
      name,
      { created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(secret) }], ...(groups ? { groups } : {}) },
    ]),
  ),
})

/** Cards, cables, addresses and routes, and by which address each name is known where. */
function wire(ground: Ground): void {
  ground.set('border', 'link', 'add', 'switch', 'type', 'bridge')
  const join = (where: string, address: string, router?: string) => {
    ground.set(where, 'address', 'add', `${address}/24`, 'dev', 'eth0')
    ground.set(where, 'link', 'set', 'eth0', 'up')
    if (router) ground.set(where, 'route', 'add', 'default', 'via', router)
  }
  for (const where of ['home', ...machines] as const) {
    ground.cable(where, 'eth0', 'border', `to-${where}`)
    ground.set('border', 'link', 'set', `to-${where}`, 'master', 'switch', 'up')
  }
  ground.cable('other', 'eth0', 'border', 'to-other')
  ground.cable('internet', 'eth0', 'border', 'outside')
  for (const [card, address] of [
    ['switch', at.borderInside],
    ['to-other', '10.60.0.1'],
    ['outside', at.borderOutside],
  ] as const) {
    ground.set('border', 'address', 'add', `${address}/24`, 'dev', card)
    ground.set('border', 'link', 'set', card, 'up')
  }
  for (const where of ['home', ...machines] as const) join(where, at[where], at.borderInside)
  join('other', at.other, '10.60.0.1')
  join('internet', at.internet)
  for (const where of machines) ground.set(where, 'address', 'add', `${tailnet[where]}/32`, 'dev', 'lo')
  for (const where of ['home', ...machines]) ground.names(where, { [at.vip]: names })
  for (const where of ['other', 'internet']) ground.names(where, { [at.borderOutside]: names })
  ground.run('border', 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
}

/** Ollama's stand-in on a node's loopback, with a model. */
async function startEngine(ground: Ground, node: NodeName): Promise<string> {
  const box = join(ground.folder, `engine-${node}`)
  mkdirSync(box)
  await buildInto(box)
  ground.begin(node, [process.execPath, programOf(box), 'serve'], join(box, 'log'), {
    ...{ HOME: box, BOX: box, OLLAMA_HOST: '127.0.0.1:11434', OLLAMA_NO_CLOUD: '1' },
  })
  await eventually('the engine is up', () => readFileSync(join(box, 'log'), 'utf8').includes('Listening on'))
  ground.run(node, 'curl', '-sSf', '-d', JSON.stringify({ model }), 'http://127.0.0.1:11434/api/pull')
  return box
}

/** Loads rules of nft(8) where somebody is. */
async function rules(ground: Ground, where: string, text: string): Promise<void> {
  const { bin, libraryPath } = await packages(['nftables'])
  const file = join(ground.folder, `${where}.nft`)
  writeFileSync(file, text)
  ground.run(where, 'env', `LD_LIBRARY_PATH=${libraryPath}`, bin('nft'), '-f', file)
}

/** What docs/services.md has the owner of a page's machine load: only the gateways reach the page. */
const pageWall = `
table inet page {
  chain input {
    type filter hook input priority filter
    iif != lo tcp dport ${pagePort} ip saddr != { ${at.a}, ${at.b} } drop
  }
}
`

interface Made {
  ground: Ground
  /** the HAProxy of every gateway; undefined is the usual one */
  haproxy?: string
  signer: Authority
  certificates: Record<string, Certificate>
  keys: { ann: string; page: string; node: string }
}

async function startNode({ ground, keys, haproxy }: Made, node: NodeName): Promise<Member> {
  const registry = known({ pair: { secret: keys.node } })
  const settings = nodeSettings(node)
  const addresses = { own: at[node], tailnet: tailnet[node] }
  const one = await member(ground, { where: node, settings, registry, ...addresses, haproxy })
  await one.startHaproxy()
  await rules(ground, node, `${firewallRules(one.gateway)}${node === 'hal9000' ? pageWall : ''}`)
  return one
}

async function startSide(
  { ground, certificates, keys, haproxy }: Made,
  side: Side,
  certificate: string,
): Promise<Member> {
  const registry = known({
    ann: { secret: keys.ann, groups: ['native'] },
    'open-webui': { secret: keys.page, groups: ['openai', 'metadata'] },
  })
  const { certs } = places('')
  const served = Object.entries(certificates).flatMap(([name, one]) => [
    [`tls/${name}.pem`, one.cert],
    [`tls/${name}.key`, one.key],
    [`${certs}/${name}.pem`, pem(one)],
  ])
  const one = await member(ground, {
    ...{ where: side, settings: gatewaySettings(side), registry, own: at[side], tailnet: tailnet[side], certificate },
    files: { 'node.key': keys.node, ...Object.fromEntries(served) },
    haproxy,
  })
  await one.startHaproxy()
  await one.startObserver()
  await rules(ground, side, firewallRules(one.gateway))
  return one
}

/** Makes all of it, with the border's rules as `rop status --border` prints them, and this HAProxy in every gateway; only Open WebUI is not there. */
export async function startSeedNetwork(haproxy?: string): Promise<SeedNetwork> {
  const ground = await startGround('seed', ['border', ...networks, ...machines])
  try {
    wire(ground)
    const signer = authority('a test')
    const certificates = Object.fromEntries(names.map((name) => [name, signer.server(name)]))
    const made = {
      ...{ ground, haproxy, signer, certificates },
      keys: { ann: generateKey(), page: generateKey(), node: generateKey() },
    }
    const boxes = { hal9000: await startEngine(ground, 'hal9000'), brainiac: await startEngine(ground, 'brainiac') }
    const own = { hal9000: await startNode(made, 'hal9000'), brainiac: await startNode(made, 'brainiac') }
    const certificate = await pairCertificate(join(ground.folder, 'certificate'))
    const pair = { a: await startSide(made, 'a', certificate), b: await startSide(made, 'b', certificate) }
    await rules(ground, 'border', `${usualBorder}${borderRules(pair.a.gateway)}`)
    await pair.a.startKeepalived()
    await pair.b.startKeepalived()
    const root = join(ground.folder, 'root.pem')
    writeFileSync(root, signer.cert)
    return {
      ...{ ground, ...pair, nodes: own, root, certificates, keys: made.keys },
      faults: (node, faults) => writeFileSync(join(boxes[node], 'ollama-faults.json'), JSON.stringify(faults)),
      asked: (node) => readFileSync(join(boxes[node], 'ollama-requests.jsonl'), 'utf8'),
      in: (where, line) => ground.run(where, 'sh', '-c', `(${line}) 2>&1 || echo "exit $?"`),
      holder: () => sides.find((side) => pair[side].holds()),
      close: ground.close,
    }
  } catch (error) {
    ground.close()
    throw error
  }
}

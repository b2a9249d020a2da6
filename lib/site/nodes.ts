import { isIP } from 'node:net'
import { z } from 'zod'
import { sha256 } from '../host/command.ts'
import { type EngineName, engineKinds, engineNames, kindOf } from './engines.ts'
import { isUnicast } from './listeners.ts'
import { modelName } from './model-name.ts'
import { didYouMean } from './nearest.ts'
import { count } from './wanted.ts'

/** This machine's own engine, where it has one, beside the nodes that are named. */
export const ownNode = 'here'

/** Nodes in all: the cheapest is told by four bits of its cost (facts: nodes.md §9). */
export const mostNodes = 15

/** Why a text is no name of a node; undefined when it is one. */
function nameFault(name: string): string | undefined {
  if (name === ownNode) return `another name: ${ownNode} is the engine of this machine`
  if (/^[a-z][a-z0-9-]{0,30}$/.test(name) && !/-(load|api)$/.test(name)) return undefined
  return /-(load|api)$/.test(name.toLowerCase())
    ? 'a name that does not end in -load or -api'
    : 'a name in small letters such as gpu or mac-2 (letters, digits, hyphens; 31 at most)'
}

export const nodeName = z.string().superRefine((name, context) => {
  const message = nameFault(name)
  if (message) context.addIssue({ code: 'custom', message })
})

const addressWords = 'an address or a name without port, such as 100.64.0.7 or gpu.tail1234.ts.net'
const label = '[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?'
const hostName = new RegExp(`^${label}(\\.${label})*$`, 'i')

const address = z
  .string(addressWords)
  .max(253, addressWords)
  .refine((text) => (isIP(text) === 0 ? hostName.test(text) && !/^[\d.]+$/.test(text) : isUnicast(text)), addressWords)

const fileWords = 'a file from / or ~/ on'
const file = z.string(fileWords).regex(/^(~\/|\/)[^\p{Cc}]*[^\s"'\p{Cc}/]$/u, fileWords)

const portWords = 'a port from 1 to 65535, without quotes'

/** Another machine with an engine, or another engine of this one. */
const node = z.strictObject({
  address,
  port: z.int(portWords).min(1, portWords).max(65_535, portWords).optional(),
  engine: z
    .enum(engineNames, {
      error: ({ input }) => `one of ${engineNames.join(', ')}${didYouMean(`${input}`, engineNames)}`,
    })
    .default('ollama'),
  /** requests that it works on at once */
  slots: count(1, 512).default(4),
  /** of two that are free the faster one is asked: 2 is twice as fast as 1 */
  speed: z.number('a number from 0.1 to 100').min(0.1, 'at least 0.1').max(100, 'at most 100').default(1),
  key: z
    .string('file:PATH')
    .regex(/^file:(~\/|\/)\S+$/, 'file:PATH, a file for its owner alone that holds the key; no key stands in settings')
    .optional(),
  tls: file.optional(),
  /** loaded there whenever those of this machine are */
  models: z.array(modelName).optional(),
  mac: z
    .string('a hardware address such as a4:83:e7:01:02:03')
    .regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i, 'a hardware address such as a4:83:e7:01:02:03')
    .optional(),
})

export const nodes = z.record(nodeName, node)

export type Nodes = z.infer<typeof nodes>

export const role = z
  .enum(['server', 'gateway'], {
    error: 'server (an engine on this machine, and the gateway) or gateway (the engines are nodes)',
  })
  .default('server')

/** A node as the gateway's rules have it. */
export interface Node {
  name: string
  /** its place from 1 on, by which HAProxy's maps and tables know it */
  id: number
  address: string
  port: number
  engine: EngineName
  slots: number
  speed: number
  key?: string
  tls?: string
  models?: string[]
  mac?: string
}

/** What makes the nodes. */
export interface NodeSettings {
  role: 'server' | 'gateway'
  nodes: Nodes
  engine: { port: number }
  inference: { slots: number }
  /** of two gateways that are asked at the same time each hands a node half of its slots */
  vip?: { at_once: 'half' | 'whole' }
}

/** Whether requests are given to nodes: otherwise there is the one engine of this machine. */
export const spreads = ({ role, nodes }: Pick<NodeSettings, 'role' | 'nodes'>): boolean =>
  role === 'gateway' || Object.keys(nodes).length > 0

/** Every node with its place, the engine of this machine first; none where there is but that. */
export function nodesOf(settings: NodeSettings): Node[] {
  const { role, nodes, engine, inference, vip } = settings
  if (!spreads(settings)) return []
  const named = Object.entries(nodes)
  const own = { name: ownNode, address: '127.0.0.1', port: engine.port, engine: 'ollama' as const, speed: 1 }
  const all = [
    ...(role === 'server' ? [{ ...own, slots: inference.slots }] : []),
    ...named.map(([name, { port, slots, ...rest }]) => ({
      ...{ name, port: port ?? engineKinds[rest.engine].port, ...rest },
      slots: vip?.at_once === 'half' ? Math.ceil(slots / 2) : slots,
    })),
  ]
  return all.map((one, at) => ({ ...one, id: at + 1 }))
}

/** Names by which a client asks one node alone: `NAME-api`, and that below every domain that the gateway itself has a name in. */
export function namesOfNode({ name }: Pick<Node, 'name'>, hosts: string[]): string[] {
  const domains = hosts.flatMap((host) =>
    isIP(host) === 0 && !host.includes(':') ? (/\.(.+)$/.exec(host.toLowerCase())?.[1] ?? []) : [],
  )
  return [...new Set(['', ...domains])].map((domain) => (domain ? `${name}-api.${domain}` : `${name}-api`))
}

/** A fault of nodes beside other settings: the path of the setting, and what is wrong. */
export interface NodeFault {
  path: string[]
  message: string
}

/** What nodes must not be together with other settings. */
export function nodeFaults(settings: NodeSettings & { port: number }): NodeFault[] {
  const all = nodesOf(settings)
  const faults = all.flatMap((one, at) => faultsOf(one, all.slice(0, at), settings))
  if (all.length <= mostNodes) return faults
  const own = settings.role === 'server' ? `, ${ownNode} among them` : ''
  return [
    ...faults,
    {
      path: ['nodes'],
      message: `${mostNodes} nodes at most${own}; for more put gateways in front of gateways (engine: gateway)`,
    },
  ]
}

function faultsOf(one: Node, before: Node[], { port }: { port: number }): NodeFault[] {
  const path = ['nodes', one.name]
  const twin = before.find(
    (other) => connectedAt(other.address) === connectedAt(one.address) && other.port === one.port,
  )
  if (twin) return [{ path, message: `another address or port than ${twin.name}: one engine is one node` }]
  if (one.models && !loadsHere(one))
    return [
      {
        path: [...path, 'models'],
        message: `none, since ${kindOf(one.engine).what} ${one.engine === 'ollama' ? 'behind a key or TLS ' : ''}loads its models itself`,
      },
    ]
  const loop = isLoopback(one.address) && one.port === port && one.name !== ownNode && one.engine === 'gateway'
  return loop ? [{ path, message: 'another machine: this gateway would ask itself' }] : []
}

/** Whether models can be fetched and loaded at a node from here: Ollama's own endpoints do that, and no other engine's. */
export const loadsHere = ({ engine, key, tls }: Pick<Node, 'engine' | 'key' | 'tls'>): boolean =>
  engine === 'ollama' && key === undefined && tls === undefined

/** Nodes with models that are to be loaded there. */
export const nodesToWarm = (settings: NodeSettings): (Node & { models: string[] })[] =>
  nodesOf(settings).flatMap((one) => (one.models && one.models.length > 0 ? [{ ...one, models: one.models }] : []))

export const isLoopback = (address: string): boolean => /^(127\.|::1$|localhost$)/.test(address)

/** The address that is connected to. `localhost` is 127.0.0.1, where engines listen: HAProxy tries only the first that the machine's hosts file has for it, often ::1, where none of them does. */
export const connectedAt = (address: string): string => (address === 'localhost' ? '127.0.0.1' : address)

/** Where a node is, as a URL and a Host header have it. */
export const placeOf = ({ address, port }: Pick<Node, 'address' | 'port'>): string =>
  `${isIP(address) === 6 ? `[${address}]` : address}:${port}`

/** What a node is asked as: Ollama refuses names as Host unless they are its own (ollama.md), so it is shown loopback. */
export const hostFor = (node: Node): string =>
  kindOf(node.engine).lists === 'ollama' ? `127.0.0.1:${node.port}` : placeOf(node)

/** Which models each node has, in the folder of the maps that outlive a configuration. A worker that finishes earlier answers may know other nodes, so the file is called by them. */
export const tableName = (nodes: Pick<Node, 'name' | 'engine'>[]): string =>
  `nodes-${sha256(nodes.map(({ name, engine }) => `${name} ${engine}`).join('\n')).slice(0, 12)}.map`

/** Which of them are gateways like this one, which may have nodes of their own. */
export const gatewaysOf = <T extends Pick<Node, 'engine'>>(nodes: T[]): T[] =>
  nodes.filter(({ engine }) => engine === 'gateway')

/** How a node is written among those that a request is not given to, by its place. */
export const triedMark = (id: string): string => `.${id}.`

/** Which of them a request is not given to, by the gateways that it came through. */
export const throughName = (nodes: Pick<Node, 'name' | 'engine'>[]): string => `through-${tableName(nodes)}`

/** Which of their models have names that begin like one that none of them has. */
export const nearName = (nodes: Pick<Node, 'name' | 'engine'>[]): string => `near-${tableName(nodes)}`

/** Which nodes take no new requests: `NAME drain`. */
export const drainMap = 'nodes-drain.map'

/** The key that each node is asked with, by its name. Settings that wait for `apply` have a file of their own, so that no node gets the key of another, or none. */
export const nodeKeysName = (nodes: Pick<Node, 'name' | 'address' | 'port' | 'key'>[]): string => {
  const told = nodes.map(({ name, address, port, key = '' }) => `${name} ${address} ${port} ${key}`)
  return `keys-of-nodes-${sha256(told.join('\n')).slice(0, 12)}.map`
}

/** Files of nodes whose names tell which nodes they are for, beside one that was for all. */
export const madeForNodes = /^(near-|through-|keys-of-)?nodes-[0-9a-f]{12}\.map$|^nodes-keys\.map$/

import { isIP } from 'node:net'
import { engineKinds } from '../site/engines.ts'
import { connectedAt, hostFor, type Node, namesOfNode, nodesOf, placeOf, spreads } from '../site/nodes.ts'
import type { Gateway } from './policy.ts'
import { quoted } from './quoted.ts'

/** The nodes of these settings; none where there is one engine. */
export const nodesIn = (gateway: Gateway): Node[] => nodesOf(gateway.settings)

/** Whether requests are spread over several engines. */
export const hasNodes = ({ settings }: Gateway): boolean => spreads(settings)

/** The name of the condition that some engine is up, which the policy `nodes` declares wherever it is used. */
export const someUp = 'engine_up'

/** Whether an engine is up, as a condition of HAProxy's. */
export const engineUp = (gateway: Gateway): string => (hasNodes(gateway) ? someUp : '{ srv_is_up(inference/engine) }')

/** Requests at once that all engines take together. */
const slotsOf = (gateway: Gateway): number =>
  hasNodes(gateway) ? nodesIn(gateway).reduce((sum, { slots }) => sum + slots, 0) : gateway.settings.inference.slots

/** What a condition says where every slot is taken. */
export const slotsTaken = (gateway: Gateway): string =>
  hasNodes(gateway)
    ? `{ be_conn(inference) ge ${slotsOf(gateway)} }`
    : `{ srv_conn(inference/engine) ge ${gateway.settings.inference.slots} }`

/** All names of nodes that clients may ask for. */
export const nodeHosts = (gateway: Gateway): string[] =>
  nodesIn(gateway).flatMap((node) => namesOfNode(node, gateway.hosts))

const lines = (rows: [string, string][]): string => rows.map(([key, value]) => `${key} ${value}\n`).join('')

/** What the rules look up of nodes, and only settings change. */
export const nodeFiles = (gateway: Gateway): Record<string, string> => {
  const nodes = nodesIn(gateway)
  return {
    'nodes-by-id.map': lines(
      nodes.flatMap(({ id, name }): [string, string][] => [
        [`${id}`, name],
        [`${id + 16}`, `${name}-load`],
      ]),
    ),
    'nodes-by-host.map': lines(
      nodes.flatMap((node) => namesOfNode(node, gateway.hosts).map((host): [string, string] => [host, node.name])),
    ),
    'nodes-hosts.map': lines(nodes.map((node) => [node.name, hostFor(node)])),
    'nodes-checks.map': lines(nodes.map(({ name, engine }) => [name, engineKinds[engine].check])),
  }
}

const tls = ({ tls: file, address }: Node, home: string): string => {
  if (file === undefined) return ''
  const named = isIP(address) === 0 ? ` sni str(${address}) verifyhost ${address}` : ''
  return ` ssl verify required ca-file ${quoted(file.replace(/^~(?=\/)/, home))} alpn http/1.1${named}`
}

/** A name is looked up while HAProxy runs, and one that is not known keeps nobody from starting. Without allow-dup-ip one of the two servers of a node would get no address (HAProxy: resolve-opts). */
export const lookedUp = ({ address }: Pick<Node, 'address'>): string =>
  isIP(address) === 0 && address !== 'localhost'
    ? ' resolvers nodes resolve-opts allow-dup-ip init-addr last,libc,none'
    : ''

/** What a `server` line says of where a node is. */
export const serverOf = (node: Node, home: string): string =>
  `${isIP(node.address) === 6 ? placeOf(node).replace(/:\d+$/, '') : connectedAt(node.address)}:${node.port}${tls(node, home)}${lookedUp(node)}`

/** Whether some node is known by name only. */
export const looksUp = (nodes: Pick<Node, 'address'>[]): boolean => nodes.some((node) => lookedUp(node) !== '')

/** How HAProxy finds names while it runs. */
export const resolvers = 'resolvers nodes\n    parse-resolv-conf\n    hold valid 10s\n    accepted_payload_size 8192'

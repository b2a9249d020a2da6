import { z } from 'zod'
import { json } from '../host/command.ts'
import type { Look } from '../host/host.ts'
import { kindOf } from '../site/engines.ts'
import { connectedAt, gatewaysOf, hostFor, type Node, type NodeSettings, nodesOf } from '../site/nodes.ts'
import type { NodeModel } from './ask.ts'
import { meansOf } from './keys.ts'
import { readKnown } from './store.ts'
import { oneSpelling } from './table.ts'
import { ownMark, shortest } from './through.ts'

interface Card {
  id: string
  object: string
  created: number
  owned_by: string
  /** marks of the gateways that it comes by, this one first: another gateway sees by them what it would ask itself for */
  gateways?: string[]
}

/** What all nodes together have, in both families' shapes, each model once. */
export interface Together {
  v1: { object: string; data: Card[] }
  api: { models: ({ name: string } & Record<string, unknown>)[] }
}

/** Only an engine that serves /api/ may be seen in a list that is asked there. */
const native = ({ engine }: Node): boolean => kindOf(engine).rows === undefined

const created = ({ tag }: NodeModel): number => Math.floor(Date.parse(`${tag?.modified_at ?? ''}`) / 1000) || 0

/** A row of Ollama's own list, for engines that tell less (facts: Ollama's `api/types.go`, ListModelResponse). */
const tagOf = ({ name, size = 0, digest = '', tag }: NodeModel): { name: string } & Record<string, unknown> =>
  tag
    ? { ...tag, name }
    : { name, model: name, modified_at: '1970-01-01T00:00:00Z', size, digest, details: { family: '', format: '' } }

/** The models of these nodes, each once, in the order of its first node. */
function each(nodes: Node[], known: Map<string, NodeModel[]>): NodeModel[] {
  const found = new Map<string, NodeModel>()
  for (const { name } of nodes)
    for (const model of known.get(name) ?? [])
      if (!found.has(oneSpelling(model.name))) found.set(oneSpelling(model.name), model)
  return [...found.values()]
}

/** By which gateways each model comes, by its spelling; only one that has gateways as nodes can be asked in a circle. */
function ways(nodes: Node[], known: Map<string, NodeModel[]>): Map<string, string[]> {
  const all = new Map<string, string[][]>()
  for (const { name } of nodes)
    for (const { name: model, gateways = [] } of known.get(name) ?? [])
      all.set(oneSpelling(model), [...(all.get(oneSpelling(model)) ?? []), gateways])
  return new Map([...all].map(([model, found]) => [model, shortest(found)]))
}

/** Both lists, by what each node last said. */
export async function together(look: Look, settings: NodeSettings): Promise<Together> {
  const [nodes, known] = [nodesOf(settings), await readKnown(look)]
  const own = gatewaysOf(nodes).length > 0 ? await ownMark(look) : undefined
  const by = own === undefined ? undefined : ways(nodes, known)
  const data = each(nodes, known).map((one) => ({
    ...{ id: one.name, object: 'model', created: created(one), owned_by: 'library' },
    ...(own === undefined ? {} : { gateways: [own, ...(by?.get(oneSpelling(one.name)) ?? [])] }),
  }))
  return { v1: { object: 'list', data }, api: { models: each(nodes.filter(native), known).map(tagOf) } }
}

const loaded = z.object({ models: z.array(z.looseObject({ name: z.string() })).nullable() })

/** What is in memory at every node that tells it as Ollama does, each row with the node's name. */
export async function loadedNow(look: Look, settings: NodeSettings): Promise<{ models: Record<string, unknown>[] }> {
  const rows = nodesOf(settings)
    .filter(({ engine }) => engine === 'ollama')
    .map((node) => loadedAt(look, node).catch(() => []))
  return { models: (await Promise.all(rows)).flat() }
}

async function loadedAt(look: Look, node: Node): Promise<Record<string, unknown>[]> {
  const { key, roots } = await meansOf(look, node)
  const answer = await look.probe({
    ...{ address: connectedAt(node.address), port: node.port, method: 'GET', target: '/api/ps', timeoutMs: 3000 },
    headers: { host: hostFor(node), ...(key ? { authorization: `Bearer ${key}` } : {}) },
    ...(roots === undefined ? {} : { tlsName: node.address, tlsRoots: roots }),
  })
  const { data } = loaded.safeParse(json(answer.body))
  return (data?.models ?? []).map((row) => ({ ...row, node: node.name }))
}

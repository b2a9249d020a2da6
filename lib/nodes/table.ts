import { classesOf } from '../site/engines.ts'
import type { Node } from '../site/nodes.ts'
import { mostModels, type NodeModel } from './ask.ts'

/** What a node has, by what it last said. */
export type Known = Map<string, NodeModel[]>

/** The letters of a model's name as HAProxy and its maps take them. */
export const isPlain = (spelled: string): boolean => /^[a-z0-9._:/-]{1,200}$/.test(spelled)

/** The one spelling of a model's name by which nodes are looked up: Ollama's own host, library and tag are left out, as the gateway's rules do (nodes policy). */
export const oneSpelling = (name: string): string =>
  name
    .toLowerCase()
    .replace(/^registry\.ollama\.ai\//, '')
    .replace(/^library\//, '')
    .replace(/:latest$/, '')

/** No node that is slower costs so much that a free one is passed over for one that works. */
const slowest = 12
const cannot = -1
const step = 32
/** Below 32, so it says only that the model must be loaded first. */
const cold = 16
/** Units of a node's cost, of which a full node has 100: a model that is not in memory, where nothing else must go for it, and where something must. */
const [roomy, crowded] = [100, 200]

/** What a node costs for a model before anything runs there. */
function baseOf(node: Node, model: NodeModel | undefined, known: NodeModel[], fastest: number): number {
  if (!model) return cannot
  const slower = Math.round(slowest * (1 - node.speed / fastest))
  if (model.loaded) return slower * step
  return (slower + (known.some(({ loaded }) => loaded) ? crowded : roomy)) * step + cold
}

/** A model, by its spelling, at each node that has it. */
function models(nodes: Node[], known: Known): Map<string, Map<string, NodeModel>> {
  const all = new Map<string, Map<string, NodeModel>>()
  for (const { name } of nodes)
    for (const model of (known.get(name) ?? []).slice(0, mostModels)) {
      const spelled = oneSpelling(model.name)
      if (!isPlain(spelled)) continue
      const there = all.get(spelled) ?? new Map<string, NodeModel>()
      // The same in two spellings: loaded is loaded.
      const before = there.get(name)
      there.set(name, { ...model, loaded: model.loaded || before?.loaded === true })
      all.set(spelled, there)
    }
  return all
}

/**
 * The table by which the gateway chooses: `class of the row|model|node that was asked for by name, or *` -> each node's cost in
 * the order of the nodes, -1 where it cannot. `*` stands for rows that ask no model.
 */
export function tableLines(nodes: Node[], known: Known, spread: 'when_full' | 'never'): Map<string, string> {
  const fastest = Math.max(...nodes.map(({ speed }) => speed))
  const rows = new Map<string, string>()
  if (nodes.length === 0) return rows
  const add = (model: string, costs: number[]) => {
    for (const kind of new Set(nodes.flatMap(({ engine }) => classesOf(engine)))) {
      const serving = costs.map((cost, at) => (classesOf(nodes[at]?.engine ?? 'mlx').includes(kind) ? cost : cannot))
      if (serving.every((cost) => cost === cannot)) continue
      rows.set(`${kind}|${model}|*`, serving.join('|'))
      for (const [at, cost] of serving.entries()) {
        const only = serving.map((_, other) => (other === at ? cost : cannot))
        if (cost !== cannot) rows.set(`${kind}|${model}|${nodes[at]?.name}`, only.join('|'))
      }
    }
  }
  add(
    '*',
    nodes.map(({ speed }) => Math.round(slowest * (1 - speed / fastest)) * step),
  )
  for (const [model, there] of models(nodes, known)) {
    const costs = nodes.map((node) => baseOf(node, there.get(node.name), known.get(node.name) ?? [], fastest))
    const stays = spread === 'never' && [...there.values()].some(({ loaded }) => loaded)
    add(
      model,
      costs.map((cost) => (stays && cost % step === cold ? cannot : cost)),
    )
  }
  return rows
}

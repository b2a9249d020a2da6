import { rowOf } from '../haproxy/runtime.ts'
import type { Look } from '../host/host.ts'
import { places } from '../platform/here.ts'
import { type Node, type NodeSettings, nodesOf } from '../site/nodes.ts'
import type { NodeModel, Said } from './ask.ts'
import { type NodeError, readErrors } from './errors.ts'
import { askAll, drained, readKnown } from './store.ts'
import { isOurselves, ownMark, withoutOwn } from './through.ts'

/** How a node does, by what the gateway sees and by what the node itself says. */
export interface Standing {
  node: Node
  /** `unknown` while no gateway runs that would look, or one that was not told of the node */
  state: 'up' | 'down' | 'drained' | 'unknown'
  /** seconds since it came up or went down */
  since?: number
  running: number
  waiting: number
  /** why the gateway counts it as down, or the node itself says nothing that counts */
  fault?: string
  /** what went wrong last, and when */
  last?: NodeError
  /** what it has, by its own word now, or the last one */
  models: NodeModel[]
}

/** What the gateway itself sees of nodes. */
export interface Seen {
  stat: string
  drained: string[]
}

export const seen = async (look: Look): Promise<Seen> => ({
  stat: (await look.ask(places(look).adminSocket, 'show stat')) ?? '',
  drained: await drained(look),
})

/** Every node as the gateway sees it; no node is asked. */
export const seenBy = (settings: NodeSettings, { stat, drained: out }: Seen): Standing[] =>
  nodesOf(settings).map((node) => standing(node, stat, out.includes(node.name), undefined))

/** Every node with what is known of it. Asks each once; never throws for one that is silent. */
export async function standings(look: Look, settings: NodeSettings): Promise<Standing[]> {
  const nodes = nodesOf(settings)
  const [{ stat, drained: out }, known, told, errors, own] = await Promise.all([
    ...([seen(look), readKnown(look), askAll(look, nodes), readErrors(look), ownMark(look)] as const),
  ])
  const said = new Map([...told].map(([name, one]) => [name, asOthers(name, one, own)]))
  return nodes.map((node) => {
    const found = standing(node, stat, out.includes(node.name), said.get(node.name), known.get(node.name))
    const last = errors[node.name]
    return last ? { ...found, last } : found
  })
}

/** What a node said, without what it has by this gateway. */
function asOthers(name: string, said: Said, own: string | undefined): Said {
  if (!('models' in said)) return said
  if (isOurselves(said.models, own)) return { fault: 'it is this gateway itself, so it is asked for nothing' }
  return { models: withoutOwn(new Map([[name, said.models]]), own).get(name) ?? [] }
}

function standing(node: Node, stat: string, out: boolean, said: Said | undefined, before: NodeModel[] = []): Standing {
  const row = rowOf(stat, 'inference', node.name)
  const loading = rowOf(stat, 'inference', `${node.name}-load`)
  const sum = (column: string) => Number(row?.[column] ?? 0) + Number(loading?.[column] ?? 0)
  const state = row === undefined ? 'unknown' : row.status?.startsWith('UP') ? (out ? 'drained' : 'up') : 'down'
  const own = said && 'fault' in said ? said.fault : undefined
  const fault = own ?? (state === 'down' ? failure(row) : undefined)
  return {
    ...{ node, state, running: sum('scur'), waiting: sum('qcur') },
    models: said && 'models' in said ? said.models : before,
    ...(row === undefined ? {} : { since: Number(row.lastchg) }),
    ...(fault === undefined ? {} : { fault }),
  }
}

/** HAProxy's words for a check that failed (its management guide, 9.1: check_status), in ours. */
const checks: Record<string, string> = {
  L4CON: 'nobody listens there',
  L4TOUT: 'it does not take connections: asleep, or behind a wall',
  L6RSP: 'it does not speak TLS as it should',
  L6TOUT: 'it does not speak TLS as it should',
  L7TOUT: 'it takes connections and does not answer',
  L7RSP: 'it answers what is no HTTP',
}

function failure(row: Record<string, string> | undefined): string {
  const status = row?.check_status?.replace(/^\* /, '') ?? ''
  if (row?.status?.startsWith('MAINT')) return 'its name is known to no resolver'
  return checks[status] ?? (row?.check_code ? `its health check answers ${row.check_code}` : 'its health check fails')
}

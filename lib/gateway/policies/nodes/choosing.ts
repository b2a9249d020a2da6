import { drainMap, gatewaysOf, type Node, ownNode, tableName, triedMark } from '../../../site/nodes.ts'
import { refuse } from '../../refusal.ts'
import { cameThrough } from './circle.ts'

/** What a full node costs: as much as one that is idle and must load the model first. A multiple of 32, as all parts of a cost, since the last bits tell the node. */
export const fullCost = 3200
/** What it is worth that a conversation began on a node: bounded, so that nobody waits for it behind others. */
const bonus = 1920
/** No node at all. */
const nobody = 2_147_483_647

/** What each request at a node costs: all slots together are `fullCost`. */
export const slotCost = ({ slots }: Pick<Node, 'slots'>): number => 32 * Math.max(1, Math.round(fullCost / 32 / slots))

/** The engine of this machine may be about to restart. */
const restarting = '!{ str(draining),map_str({{files}}/engine.map) -m str yes }'

/** A node's cost: what the table says of it for this model, what runs and waits there, and in the last bits which it is; the cheapest that is up and takes requests is kept. Most nodes are dearer than one before, so that is looked at first. */
function costOf(node: Node, affinity: boolean, circles: boolean): string[] {
  const { name, id } = node
  const untried = `!{ var(txn.tried) -m sub ${triedMark(`${id}`)} }`
  const takes = [
    '{ var(req.cost),sub(req.best) -m int lt 0 }',
    '{ var(req.base) -m int ge 0 }',
    `{ srv_is_up(inference/${name}) }`,
    untried,
    `!{ str(${name}),map_str({{keys}}/${drainMap}) -m str drain }`,
    ...(name === ownNode ? [restarting] : []),
  ].join(' ')
  return [
    `http-request set-var(req.base) var(req.has),field(${id},|),add(0)`,
    ...(circles
      ? [`http-request set-var(req.could) int(1) if ${cameThrough} { var(req.base) -m int ge 0 } ${untried}`]
      : []),
    `http-request set-var(req.behind) srv_queue(inference/${name})`,
    `http-request set-var(req.cost) srv_conn(inference/${name}),add(req.behind),mul(${slotCost(node)}),add(req.base),add(${fullCost + id})`,
    ...(affinity
      ? [`http-request set-var(req.cost) var(req.cost),sub(${bonus}) if { var(req.began) -m int ${id} }`]
      : []),
    `http-request set-var(req.best) var(req.cost) if ${takes}`,
  ]
}

const retry = { 'retry-after': '5' }

/** Nobody is told an address: names are enough to ask the owner about. */
const pinnedDown = refuse({
  status: 503,
  message: 'the node %[var(txn.pin)] does not answer, or takes no new requests.',
  when: ['chosen_none routed !{ var(txn.pin) -m str * }'],
  headers: retry,
})

const allDown = refuse({
  status: 503,
  message: 'no node that could answer this takes requests now; try again shortly.',
  when: ['chosen_none routed'],
  headers: retry,
})

/**
 * Who serves a request for this model: the cheapest of the nodes that have it. What was picked is `txn.node`, and `txn.server` is that or
 * its loading slot. What only the choice needs is in the scope of the request, which holds nothing else: HAProxy before 2.8 walks
 * through all variables of a scope to find one. Of a model that no node has, `req.has` is not there, and no node comes to be the best.
 */
export function choosing(nodes: Node[], affinity: boolean): string[] {
  const found = affinity && nodes.length > 1
  return [
    `http-request set-var(req.best) int(${nobody})`,
    `http-request set-var(req.has) var(txn.wants),map_str({{keys}}/${tableName(nodes)}) if routed`,
    'acl known_model var(req.has) -m found',
    ...(found
      ? [
          'http-request set-var(req.began) int(0)',
          'http-request set-var(req.began) var(txn.talk),table_server_id(conversations)',
        ]
      : []),
    ...nodes.flatMap((node) => costOf(node, found, gatewaysOf(nodes).length > 0)),
    'http-request set-var(txn.best) var(req.best)',
    `acl chosen_none var(req.best) -m int ${nobody}`,
    'acl all_full var(req.best) -m int ge 6400',
  ]
}

/** Refusals where nobody can serve it, which the second pass has, too. */
export const unserved = [pinnedDown, allDown]

/** What the choice means for the rules that follow. */
export const chosen = [
  'http-request set-var(txn.server) var(req.best),mod(32),map_str({{files}}/nodes-by-id.map) if known_model',
  'http-request set-var(txn.node) var(req.best),mod(16),map_str({{files}}/nodes-by-id.map) if known_model',
]

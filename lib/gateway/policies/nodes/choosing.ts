import { drainMap, type Node, ownNode, tableName } from '../../../site/nodes.ts'
import { under } from '../../listeners.ts'
import { refuse } from '../../refusal.ts'

/** What a full node costs: as much as one that is idle and must load the model first. A multiple of 32, as all parts of a cost, since the last bits tell the node. */
export const fullCost = 3200
/** What it is worth that a conversation began on a node: bounded, so that nobody waits for it behind others. */
const bonus = 1920
/** No node at all. */
const nobody = 2_147_483_647

/** How a node is written among those that did not take a request. */
export const triedMark = (id: string): string => `.${id}.`

/** What each request at a node costs: all slots together are `fullCost`. */
export const slotCost = ({ slots }: Pick<Node, 'slots'>): number => 32 * Math.max(1, Math.round(fullCost / 32 / slots))

/** The engine of this machine may be about to restart. */
const restarting = '!{ str(draining),map_str({{files}}/engine.map) -m str yes }'

/** A node's cost: what the table says of it for this model, what runs and waits there, and in the last bits which it is; the cheapest that is up and takes requests is kept. */
function costOf(node: Node, affinity: boolean): string[] {
  const { name, id } = node
  const takes = [
    '{ var(txn.base) -m int ge 0 }',
    `{ srv_is_up(inference/${name}) }`,
    `!{ var(txn.tried) -m sub ${triedMark(`${id}`)} }`,
    `!{ str(${name}),map_str({{keys}}/${drainMap}) -m str drain }`,
    ...(name === ownNode ? [restarting] : []),
  ].join(' ')
  return [
    `http-request set-var(txn.base) var(txn.has),field(${id},|),add(0)`,
    `http-request set-var(txn.behind) srv_queue(inference/${name})`,
    `http-request set-var(txn.cost) srv_conn(inference/${name}),add(txn.behind),mul(${slotCost(node)}),add(txn.base),add(${fullCost + id})`,
    ...(affinity
      ? [`http-request set-var(txn.cost) var(txn.cost),sub(${bonus}) if { var(txn.began) -m int ${id} }`]
      : []),
    `http-request set-var(txn.best) var(txn.cost) if ${takes} { var(txn.cost),sub(txn.best) -m int lt 0 }`,
  ]
}

const retry = { 'retry-after': '5' }

/** Nobody is told an address: names are enough to ask the owner about. */
const pinnedDown = refuse({
  status: 503,
  message: 'the node %[var(txn.pin)] does not answer, or takes no new requests.',
  when: ['routed chosen_none !{ var(txn.pin) -m str * }'],
  headers: retry,
})

const allDown = refuse({
  status: 503,
  message: 'no node that could answer this takes requests now; try again shortly.',
  when: ['routed chosen_none'],
  headers: retry,
})

/** Who serves a request for this model: the cheapest of the nodes that have it. What was picked is `txn.node`, and `txn.server` is that or its loading slot. */
export function choosing(nodes: Node[], affinity: boolean): string[] {
  const found = affinity && nodes.length > 1
  return [
    `http-request set-var(txn.has) var(txn.wants),map_str({{keys}}/${tableName(nodes)}) if routed`,
    'acl known_model var(txn.has) -m found',
    `http-request set-var(txn.best) int(${nobody})`,
    ...(found
      ? [
          'http-request set-var(txn.began) int(0)',
          'http-request set-var(txn.began) var(txn.talk),table_server_id(conversations) if { var(txn.talk) -m found }',
        ]
      : []),
    ...under(
      'routed known_model',
      nodes.flatMap((node) => costOf(node, found)),
    ),
    `acl chosen_none var(txn.best) -m int ${nobody}`,
    'acl all_full var(txn.best) -m int ge 6400',
  ]
}

/** Refusals where nobody can serve it, which the second pass has, too. */
export const unserved = [pinnedDown, allDown]

/** What the choice means for the rules that follow. */
export const chosen = [
  'http-request set-var(txn.server) var(txn.best),mod(32),map_str({{files}}/nodes-by-id.map) if routed known_model',
  'http-request set-var(txn.node) var(txn.best),mod(16),map_str({{files}}/nodes-by-id.map) if routed known_model',
]

import { places, platformOf } from '../../../platform/here.ts'
import { gatewaysOf, type Node, nearName, nodeKeysName, triedMark } from '../../../site/nodes.ts'
import { openGroups, spell } from '../../../site/settings.ts'
import { hasNodes, looksUp, nodeFiles, nodesIn, resolvers, serverOf, someUp } from '../../nodes.ts'
import type { Gateway, Policy } from '../../policy.ts'
import { nodeProofs } from '../../proofs/nodes.ts'
import { body, refuse } from '../../refusal.ts'
import { plainModel } from '../asked.ts'
import { waitForBody } from '../buffers.ts'
import { late } from '../errors.ts'
import { keptBy } from '../peers.ts'
import { full } from '../queue.ts'
import { since } from '../since.ts'
import { bodyText } from './body-text.ts'
import { choosing, chosen, unserved } from './choosing.ts'
import { cameThrough, circle } from './circle.ts'
import { conversation } from './conversation.ts'
import { many } from './many.ts'

const retry = { 'retry-after': '5' }

/** The condition `someUp`: a line for each node, of which one is enough. */
const ups = (nodes: Node[]): string[] =>
  nodes.length === 0
    ? [`acl ${someUp} always_false`]
    : nodes.map(({ name }) => `acl ${someUp} srv_is_up(inference/${name})`)

/** HAProxy puts a request aside after so many rules (50, from 3.2 on) and goes on with another. All that come at once would choose before any of them is counted, and wait for the same node beside free ones. */
const chosenAtOnce = since([3, 2], ['tune.max-rules-at-once 1000'])

/** Rows that say which models there are. They are the observer's to answer, of all nodes together. */
const lists = 'GET:/v1/models GET:/api/tags HEAD:/api/tags GET:/api/ps'

/** Which row of which engines, which model, which node by name: what the table of models is asked for. */
const asked = [
  'http-request set-var(txn.pin) req.fhdr(host),host_only,lower,map_str({{files}}/nodes-by-host.map,*)',
  'http-request set-var(req.class) var(txn.row),field(4,|)',
  `http-request set-var(txn.backend) str(catalogue) if { var(txn.mp) -m str ${lists} } { var(txn.pin) -m str * }`,
  'acl routed var(txn.backend) -m str inference metadata',
]

/** What Ollama lets be left out of a name, so that each model has one spelling in the table (`oneSpelling`). */
const prefixes = ['registry.ollama.ai/', 'library/']

/** A model may stand behind all messages, so the whole body is waited for where the first part does not name it. */
const model = (gateway: Gateway): string[] => [
  'acl names_model method POST',
  ...waitForBody('at-least 65536 ', '!inference names_model routed'),
  "http-request set-var(txn.model) req.body,json_query('$.model'),lower if !{ var(txn.model) -m found } routed names_model",
  ...waitForBody('', '!{ var(txn.model) -m found } routed names_model'),
  "http-request set-var(txn.model) req.body,json_query('$.model'),lower if !{ var(txn.model) -m found } routed names_model",
  "http-request set-var(txn.model) req.body,json_query('$.name'),lower if !{ var(txn.model) -m found } !inference names_model routed",
  'http-request set-var(txn.model) path,bytes(11),url_dec,lower if { path_beg /v1/models/ } routed',
  'http-request set-var(txn.called) var(txn.model),bytes(0,200) if routed',
  refuse({
    status: 400,
    message: `model is required, as JSON within the first ${Math.round(gateway.settings.judged_body / 1024)} KB of the body: it decides who answers.`,
    when: ['!{ var(txn.model) -m found } inference'],
    asEngine: true,
  }),
  'http-request set-var(txn.model) str(*) if !{ var(txn.model) -m found } routed',
  // What could be none of a table's words is no model.
  `http-request unset-var(txn.model) if !{ var(txn.model) -m str * } !{ var(txn.model) -m reg ${plainModel} }`,
  'http-request set-var(req.spelled) var(txn.model) if routed',
  ...prefixes.map(
    (prefix) =>
      `http-request set-var(req.spelled) var(req.spelled),bytes(${prefix.length}) if { var(req.spelled) -m beg ${prefix} }`,
  ),
  'http-request set-var(req.spelled) var(req.spelled),regsub(:latest$,) if { var(req.spelled) -m end :latest }',
  'http-request set-var-fmt(txn.wants) "%[var(req.class)]|%[var(req.spelled)]|%[var(txn.pin)]" if routed',
]

const named = '%[var(txn.called),json(utf8s)]'

/** No node has it, which an engine that was asked would say in the same words. Names that begin alike are told to whoever may use all. */
const unknown = (nodes: Node[]): string[] => [
  refuse({
    status: 404,
    message: `model ${named} not found at the node %[var(txn.pin)]; it lists its own at /v1/models.`,
    when: ['!known_model routed !{ var(txn.pin) -m str * }'],
    asEngine: true,
  }),
  'http-request set-var-fmt(req.near) "%[var(req.class)]|%[var(req.spelled)]" if !known_model routed !{ var(txn.list) -m str list }',
  `http-request set-var(req.near) var(req.near),map_beg({{keys}}/${nearName(nodes)},) if { var(req.near) -m found }`,
  refuse({
    status: 404,
    message: `model ${named} not found at any node; names that begin like it: %[var(req.near)].`,
    when: ['!known_model routed { var(req.near) -m len gt 0 }'],
    asEngine: true,
  }),
  refuse({
    status: 404,
    message: `model ${named} not found at any node; /v1/models lists those that there are.`,
    when: ['!known_model routed'],
    asEngine: true,
  }),
  ...(gatewaysOf(nodes).length > 0
    ? [
        refuse({
          status: 404,
          message: `model ${named} not found at any node but the gateways that this came through.`,
          when: [`routed ${cameThrough} !{ var(req.could) -m found }`],
          asEngine: true,
        }),
      ]
    : []),
]

/** A model that must be loaded first waits for a slot of its own: an idle node that must load it costs as much as a full one, and is none. */
const queue = (nodes: Node[], max: number): string[] => [
  'acl must_load var(req.best),mod(32) -m int ge 16',
  ...nodes.map(
    ({ name, id }) =>
      `http-request set-var(txn.loads) srv_conn(inference/${name}-load) if inference { var(req.best),mod(32) -m int ${id + 16} }`,
  ),
  refuse({
    status: 429,
    message: full(max),
    when: [
      `all_full inference !must_load { queue(inference) ge ${max} }`,
      `must_load inference { var(txn.loads) -m int ge 1 } { queue(inference) ge ${max} }`,
    ],
    headers: retry,
  }),
]

/** What the answer tells of the way it came. */
const route = [
  'http-request set-var(txn.route) str(loaded) if inference',
  'http-request set-var(txn.route) str(affinity) if { var(req.best),mod(16),sub(req.began) -m int 0 } { var(req.began) -m found } inference',
  'http-request set-var(txn.route) str(waited) if all_full inference',
  'http-request set-var(txn.route) str(cold) if { var(req.best),mod(32) -m int ge 16 } inference',
]

const keyOf = (nodes: Node[]): string => `var(txn.node),map_str({{keys}}/${nodeKeysName(nodes)})`

/** Each node is shown its own address and its own key; those of the client have ended before. */
export const shown = (nodes: Node[]): string[] => [
  'http-request set-header host %[var(txn.node),map_str({{files}}/nodes-hosts.map)] if { var(txn.node) -m found }',
  `http-request set-header authorization "Bearer %[${keyOf(nodes)}]" if { ${keyOf(nodes)} -m found }`,
  ...circle.shown(nodes),
]

/** Where a list of what all nodes have is asked for. */
export const toCatalogue = 'use_backend catalogue if { var(txn.backend) -m str catalogue }'

/** Where HAProxy takes back what it could hand to no node. */
const againSocket = (gateway: Gateway): string => `${places(gateway).run}/again.sock`

const again = { names: ['again1', 'again2'], ids: [98, 99] }

/** Two, since before it redispatches to the only server that there is HAProxy waits a second (facts: nodes.md §1). */
const againServers = (gateway: Gateway): string[] =>
  again.names.map(
    (name, at) =>
      `server ${name} "unix@${againSocket(gateway)}" id ${again.ids[at]} send-proxy-v2 proxy-v2-options unique-id`,
  )

const healthCheck =
  'check inter 2s fastinter 500ms downinter 500ms fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down'

/** The node, and its slot for requests whose model must be loaded first. */
const servers = (node: Node, home: string): string[] => [
  `server ${node.name} ${serverOf(node, home)} id ${node.id} weight 0 maxconn ${node.slots} ${healthCheck}`,
  `server ${node.name}-load ${serverOf(node, home)} id ${node.id + 16} weight 0 maxconn 1 track inference/${node.name}`,
]

/** A node that sleeps answers no more on a connection that stands, so each request has its own; streams of one that is gone end by its silence. */
const standing = [
  'option http-server-close',
  'option srvtcpka',
  'srvtcpka-idle 30s',
  'srvtcpka-intvl 10s',
  'srvtcpka-cnt 3',
]

/** What HAProxy asks a node to see whether it is up. All of them are shown the same headers, so a key is only where one of them has any. */
const healthAsked = (nodes: Node[]): string =>
  `http-check send meth GET uri-lf "%[srv_name,map_str({{files}}/nodes-checks.map)]" ver HTTP/1.1 hdr Host "%[srv_name,map_str({{files}}/nodes-hosts.map)]"${
    nodes.some(({ key }) => key !== undefined)
      ? ` hdr Authorization "Bearer %[srv_name,map_str({{keys}}/${nodeKeysName(nodes)})]"`
      : ''
  }`

const passedOn = '!{ srv_name -m beg again }'

/** One backend with a server for each node, so that its slots are exact. None has a weight: only the way back to the choice has, for what was never handed over. */
const inference = (gateway: Gateway): string[] => {
  const nodes = nodesIn(gateway)
  return [
    ...ups(nodes),
    `timeout queue ${spell(gateway.settings.queue.wait)}`,
    ...standing,
    'retries 2',
    'retry-on conn-failure',
    'option redispatch 1',
    'option httpchk',
    healthAsked(nodes),
    'http-check expect status 200',
    'timeout check 5s',
    ...conversation.stored(gateway),
    late(503, 429),
    `http-after-response set-header retry-after 5 if { status 503 } ${someUp} ${passedOn}`,
    `http-after-response set-status 429 if { status 503 } ${someUp} ${passedOn}`,
    `http-response set-header x-served-by %[var(txn.node)] if ${passedOn}`,
    'http-response set-var(txn.node) res.fhdr(x-served-by) if { srv_name -m beg again }',
    'http-response set-var(txn.route) str(elsewhere) if { srv_name -m beg again }',
    'http-response set-header x-route %[var(txn.route)] if { var(txn.route) -m found }',
    'use-server %[var(txn.server)] if { var(txn.server) -m found }',
    ...nodes.flatMap((node) => servers(node, gateway.home)),
    ...againServers(gateway),
  ]
}

/** What is asked of a model, and not of its answers: of a node that has it. */
const metadata = (gateway: Gateway): string[] => [
  'retry-on conn-failure',
  'retries 2',
  'option http-server-close',
  'http-response set-header x-served-by %[var(txn.node)]',
  'use-server %[var(txn.node)] if { var(txn.node) -m found }',
  ...nodesIn(gateway).map(
    (node) => `server ${node.name} ${serverOf(node, gateway.home)} weight 0 track inference/${node.name}`,
  ),
]

/** What a request takes along to the second choice; `!` is in none of it. */
const taken = ['tried', 'wants', 'prio', 'talk', 'hops', 'id', 'gateways']
const hops = 3

/** The node that did not take it is among those that were tried: it may look up for a moment longer. */
const way = `unique-id-format "%[var(txn.tried)]${triedMark('%[var(txn.best),mod(16)]')}${taken
  .slice(1)
  .map((name) => `!%[var(txn.${name})]`)
  .join('')}"`

/** A request that was never handed over comes back here, and is given to another node that has the model. */
function inner(gateway: Gateway): string {
  const nodes = nodesIn(gateway)
  // The worker connects as whoever it has become: on Linux one of the socket's group, which the unit gives; it may change no owner.
  const mode = platformOf(gateway).modes.socket.toString(8)
  return [
    'frontend inner',
    `bind "unix@${againSocket(gateway)}" mode ${mode} accept-proxy`,
    way,
    'http-request set-log-level silent',
    'http-request set-var(txn.taken) fc_pp_unique_id',
    ...taken.map((name, at) => `http-request set-var(txn.${name}) var(txn.taken),field(${at + 1},!)`),
    'http-request set-var(txn.path) path,bytes(0,300)',
    'http-request set-var(txn.pin) var(txn.wants),field(3,|)',
    'http-request set-var(txn.hops) var(txn.hops),add(1)',
    'http-request unset-var(txn.talk) if { var(txn.talk) -m len 0 }',
    'acl routed var(txn.wants) -m found',
    refuse({
      status: 503,
      message: 'one node after the other did not take this; try again shortly.',
      when: [`!{ var(txn.hops) -m int 1:${hops} }`],
      headers: retry,
    }),
    'http-request set-priority-class var(txn.prio) if !{ var(txn.prio) -m len 0 }',
    ...choosing(nodes, gateway.settings.affinity === 'on'),
    ...unserved,
    ...chosen,
    'http-request del-header authorization',
    ...shown(nodes),
    'default_backend inference',
  ].join('\n    ')
}

/** What all nodes together have, by the observer. Without it a node tells its own, to whoever may see all. */
const catalogue = (gateway: Gateway): string => {
  const own = nodesIn(gateway).filter(({ engine, key }) => engine === 'ollama' && !key)
  const said = 'the observer of this gateway does not answer, and it tells what its nodes have; try again shortly.'
  const reply = `content-type application/json hdr retry-after 5 hdr x-denied-by nodes lf-string '${body(503, said)}'`
  return [
    'backend catalogue',
    'no log',
    'timeout server 5s',
    'retries 2',
    'retry-on conn-failure empty-response response-timeout',
    'option redispatch 1',
    'option httpchk GET /',
    ...[502, 503, 504].map((status) => `http-error status ${status} ${reply}`),
    'http-after-response set-status 503 if { status 502 504 }',
    'http-request set-header host 127.0.0.1',
    `server observer "unix@${places(gateway).listsSocket}" check inter 1s fall 1 rise 1 observe layer4 error-limit 1 on-error mark-down`,
    ...own.map((node) => `server ${node.name} ${serverOf(node, gateway.home)} backup track inference/${node.name}`),
  ].join('\n    ')
}

/** Each request goes to the node that has its model, the one that has it loaded and free before others. */
export function nodes(gateway: Gateway): Policy {
  if (!hasNodes(gateway)) return { name: 'nodes', lines: {} }
  const all = nodesIn(gateway)
  const page = openGroups(gateway.settings).includes('connect') ? ' !page' : ''
  const talking = conversation.of(gateway)
  return {
    name: 'nodes',
    lines: {
      global: chosenAtOnce,
      prepare: [...ups(all), 'http-request set-var(txn.hops) int(0)', way],
      classify: asked,
      limit: [
        refuse({
          status: 503,
          message: 'no engine behind this gateway is up.',
          when: [`row${page} !${someUp}`],
          headers: retry,
        }),
      ],
      inspect: [
        ...model(gateway),
        ...circle.refused(all),
        ...many.refused(all),
        ...talking,
        bodyText.letGo,
        ...choosing(all, gateway.settings.affinity === 'on'),
        ...unknown(all),
        ...unserved,
        ...queue(all, gateway.settings.queue.max),
        ...chosen,
        ...route,
      ],
      inference: inference(gateway),
      metadata: metadata(gateway),
    },
    sections: [
      inner(gateway),
      catalogue(gateway),
      ...(talking.length > 0
        ? [`backend conversations\n    stick-table type string len 64 size 20k expire 30m ${keptBy}`]
        : []),
      ...(looksUp(all) ? [resolvers] : []),
    ],
    proof: (target) => nodeProofs(target, all, gateway.hosts),
    files: { 'engine.map': 'draining no\n', ...nodeFiles(gateway), ...many.files(all) },
  }
}

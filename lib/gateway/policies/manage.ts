import { bitOf, record } from '../../people/records.ts'
import { adminRows } from '../../site/endpoints.ts'
import { kindOf } from '../../site/engines.ts'
import { type Node, ownNode } from '../../site/nodes.ts'
import { asksKeys } from '../../site/settings.ts'
import { hasNodes, nodesIn, serverOf } from '../nodes.ts'
import type { Gateway, Policy } from '../policy.ts'
import { refuse } from '../refusal.ts'

const row = `manage|manage|${bitOf('manage')}`

/** Where models can be changed by Ollama's own routes. */
const changeable = (gateway: Gateway): Node[] =>
  nodesIn(gateway).filter(({ engine }) => kindOf(engine).lists === 'ollama')

/** Models are changed on one node: the one whose name was asked for, else this machine's own engine. */
function ofNode(gateway: Gateway): string[] {
  const all = changeable(gateway)
  const own = all.find(({ name }) => name === ownNode)
  return [
    'acl managing var(txn.backend) -m str manage',
    'http-request set-var(txn.node) var(txn.pin) if managing !{ var(txn.pin) -m str * }',
    ...(own ? [`http-request set-var(txn.node) str(${ownNode}) if managing { var(txn.pin) -m str * }`] : []),
    refuse({
      status: 400,
      message: `models are changed on one node, and one that runs Ollama; ask it by its own name (${all.map(({ name }) => `${name}-api`).join(', ') || 'there is none here'}).`,
      when: [`managing ${all.map(({ name }) => `!{ var(txn.node) -m str ${name} }`).join(' ')}`],
    }),
  ]
}

const servers = (gateway: Gateway): string[] =>
  hasNodes(gateway)
    ? [
        'use-server %[var(txn.node)] if { var(txn.node) -m found }',
        ...changeable(gateway).map(
          (node) => `server ${node.name} ${serverOf(node, gateway.home)} weight 0 track inference/${node.name}`,
        ),
      ]
    : [`server engine 127.0.0.1:${gateway.settings.engine.port} track inference/engine`]

/** Changing the models, for a key made with --admin; to everybody else these rows stay what they are: refused. */
export function manage(gateway: Gateway): Policy {
  const { settings } = gateway
  if (!asksKeys(settings)) return { name: 'manage', lines: {} }
  const rows = adminRows().filter(({ path }) => !path.includes('{'))
  return {
    name: 'manage',
    lines: {
      classify: [
        `http-request set-var(txn.admin) ${record.groups},and(${bitOf('manage')}) if { var(txn.who) -m found }`,
        'acl admin var(txn.admin) -m int gt 0',
        'http-request set-var(txn.row) var(txn.mp),map_str({{files}}/manage.map) if admin',
        `http-request set-var(txn.row) str(${row}) if admin { method HEAD POST } { path -m reg ^/api/blobs/sha256:[0-9a-f]{64}$ }`,
        'http-request set-var(txn.group) var(txn.row),field(1,|) if admin',
        'http-request set-var(txn.backend) var(txn.row),field(2,|) if admin',
      ],
      limit: hasNodes(gateway) ? ofNode(gateway) : [],
      rewrite: ['use_backend manage if { var(txn.backend) -m str manage }'],
    },
    // A download tells of itself, but a model that is made may be silent for hours. Without a log as the other backends: "Server … is DOWN" is no JSON.
    sections: [['backend manage', 'no log', 'timeout server 6h', ...servers(gateway)].join('\n    ')],
    files: { 'manage.map': rows.map(({ method, path }) => `${method}:${path} ${row}\n`).join('') },
  }
}

import { bitOf } from '../../people/records.ts'
import {
  closedRows,
  type Endpoint,
  type Group,
  gatewayRows,
  groups,
  modelPath,
  openable,
  openRows,
} from '../../site/endpoints.ts'
import { classOf } from '../../site/engines.ts'
import { asksKeys, openGroups, type Settings } from '../../site/settings.ts'
import { hints } from '../base-urls.ts'
import { hasStrict, under } from '../listeners.ts'
import { engineUp, hasNodes } from '../nodes.ts'
import type { Gateway, Policy } from '../policy.ts'
import { rows as proof } from '../proofs/rows.ts'
import { refuse } from '../refusal.ts'

const fixed = (path: string): boolean => !path.includes('{')

/** `group|backend|bit of the group`, and with nodes the class of the row, by which the table tells whose engines serve it. */
const shape = (gateway: Gateway, row: Endpoint): string =>
  `${row.group}|${row.backend}|${bitOf(row.group)}${hasNodes(gateway) ? `|${classOf(row)}` : ''}`

/** `METHOD:path` -> its shape; map keys may not hold blanks. */
function routes(gateway: Gateway): string[] {
  const open = openGroups(gateway.settings)
  const rows = [...openRows(open), ...gatewayRows(open).filter(({ backend }) => backend)].filter((row) =>
    fixed(row.path),
  )
  return rows.map((row) => `${row.method}:${row.path} ${shape(gateway, row)}`)
}

/** A group, and what opens it where that is no line of `groups`. */
function called(group: Group, settings: Settings): string {
  if (openable(group)) return group
  if (groups[group].access === 'never') return `${group}, never opened`
  return `${group}, only for a key made with --admin${asksKeys(settings) ? '' : ', where keys are asked for'}`
}

function closed(gateway: Gateway): string[] {
  const rows = closedRows(openGroups(gateway.settings)).filter((row) => fixed(row.path) && row.group !== 'count-tokens')
  const lines = rows.map((row) => `${row.method}:${row.path} ${called(row.group, gateway.settings)}`)
  return [
    ...lines,
    `/api/blobs/ ${called('manage', gateway.settings)}`,
    `/api/user/ ${called('account', gateway.settings)}`,
  ]
}

/** Where nothing is without a key they come behind the question for it. */
const ownAnswers = (gateway: Gateway): string[] =>
  hasStrict(gateway) ? under('!strict', allAnswers(gateway)) : allAnswers(gateway)

const answersToKnown = (gateway: Gateway): string[] => (hasStrict(gateway) ? under('strict', allAnswers(gateway)) : [])

function allAnswers(gateway: Gateway): string[] {
  const rows = gatewayRows(openGroups(gateway.settings))
  const answer = (method: string, path: string) => rows.some((row) => row.method === method && row.path === path)
  return [
    ...(answer('GET', '/')
      ? [
          'http-request return status 200 content-type "text/plain; charset=utf-8" string "Ollama is running" if { method GET HEAD } { path / }',
        ]
      : []),
    ...(answer('HEAD', '/api/hello') ? ['http-request return status 200 if { method HEAD } { path /api/hello }'] : []),
    ...(answer('GET', '/healthz')
      ? [
          `http-request return status 200 content-type text/plain string "ok" if { method GET HEAD } { path /healthz } ${engineUp(gateway)}`,
          'http-request return status 503 content-type text/plain hdr retry-after 5 string "Ollama is down" if { method GET HEAD } { path /healthz }',
        ]
      : []),
  ]
}

const said = '%[var(txn.method),json(utf8s)] %[var(txn.path),json(utf8s)]'

/** What a person typed wrongly is told to a person. */
const forBrowsers = refuse({
  status: 403,
  message: 'there is no such page; the one for people is /connect.',
  when: ['!row { method GET } { req.fhdr(accept) -m sub text/html }'],
  plain: true,
})

/** Exact method and path, or nothing: the table of endpoints as HAProxy's maps. */
export function rows(gateway: Gateway): Policy {
  const open = openGroups(gateway.settings)
  const byName = openRows(open).find(({ path }) => path === '/v1/models/{model}')
  const model = byName
    ? [
        `http-request set-var(txn.row) str(${shape(gateway, byName)}) if !{ var(txn.row) -m found } { method GET } { path_beg /v1/models/ } { path_len 12:611 } { path,url_dec,length le 211 } { path -m reg '${modelPath}' }`,
      ]
    : []
  return {
    name: 'rows',
    lines: {
      answer: ownAnswers(gateway),
      classify: [
        'http-request set-var-fmt(txn.mp) "%[method]:%[path]"',
        'http-request set-var(txn.row) var(txn.mp),map_str({{files}}/routes.map)',
        ...model,
        'http-request set-var(txn.group) var(txn.row),field(1,|)',
        'http-request set-var(txn.backend) var(txn.row),field(2,|)',
        'acl row var(txn.row) -m found',
        'acl inference var(txn.backend) -m str inference',
        'http-request set-var(txn.closed) var(txn.mp),map_str({{files}}/closed.map) if !row',
        'http-request set-var(txn.closed) str(/api/blobs/),map_str({{files}}/closed.map) if !row { path_beg /api/blobs/ }',
        'http-request set-var(txn.closed) str(/api/user/),map_str({{files}}/closed.map) if !row { path_beg /api/user/ }',
      ],
      allow: [
        ...answersToKnown(gateway),
        refuse({
          status: 403,
          message: 'POST /v1/messages/count_tokens is not offered; clients then estimate (group: count-tokens).',
          when: ['{ method POST } { path /v1/messages/count_tokens }'],
        }),
        refuse({
          status: 403,
          message: `${said} is not enabled on this server (group: %[var(txn.closed)]).`,
          when: ['!row { var(txn.closed) -m found }'],
        }),
        'http-request set-var(txn.hint) var(txn.mp),map_reg({{files}}/hints.map) if !row',
        refuse({ status: 403, message: `${said} %[var(txn.hint)]`, when: ['{ var(txn.hint) -m found }'] }),
        ...(open.includes('connect') ? [forBrowsers] : []),
        refuse({ status: 403, message: `${said} is not an endpoint of this server.`, when: ['!row'] }),
      ],
    },
    proof,
    files: {
      'routes.map': `${routes(gateway).join('\n')}\n`,
      'closed.map': `${closed(gateway).join('\n')}\n`,
      'hints.map': hints(open),
    },
  }
}

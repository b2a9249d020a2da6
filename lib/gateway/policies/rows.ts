import { bitOf } from '../../people/records.ts'
import { closedRows, type Group, gatewayRows, modelPath, openable, openRows } from '../../site/endpoints.ts'
import { openGroups } from '../../site/settings.ts'
import { hints } from '../base-urls.ts'
import type { Gateway, Policy } from '../policy.ts'
import { rows as proof } from '../proofs/rows.ts'
import { refuse } from '../refusal.ts'

const fixed = (path: string): boolean => !path.includes('{')

/** `METHOD:path` -> `group|backend|bit of the group`; map keys may not hold blanks. */
function routes(gateway: Gateway): string[] {
  const rows = openRows(openGroups(gateway.settings)).filter((row) => fixed(row.path))
  return rows.map((row) => `${row.method}:${row.path} ${row.group}|${row.backend}|${bitOf(row.group)}`)
}

const called = (group: Group): string => (openable(group) ? group : `${group}, never opened`)

function closed(gateway: Gateway): string[] {
  const rows = closedRows(openGroups(gateway.settings)).filter((row) => fixed(row.path) && row.group !== 'count-tokens')
  const lines = rows.map((row) => `${row.method}:${row.path} ${called(row.group)}`)
  return [...lines, `/api/blobs/ ${called('manage')}`, `/api/user/ ${called('account')}`]
}

function ownAnswers(gateway: Gateway): string[] {
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
          'http-request return status 200 content-type text/plain string "ok" if { method GET HEAD } { path /healthz } { srv_is_up(inference/engine) }',
          'http-request return status 503 content-type text/plain hdr retry-after 5 string "Ollama is down" if { method GET HEAD } { path /healthz }',
        ]
      : []),
  ]
}

const said = '%[var(txn.method),json(utf8s)] %[var(txn.path),json(utf8s)]'

/** Exact method and path, or nothing: the table of endpoints as HAProxy's maps. */
export function rows(gateway: Gateway): Policy {
  const open = openGroups(gateway.settings)
  const model = open.includes('openai')
    ? [
        `http-request set-var(txn.row) str(openai|metadata|${bitOf('openai')}) if !{ var(txn.row) -m found } { method GET } { path_beg /v1/models/ } { path_len 12:611 } { path,url_dec,length le 211 } { path -m reg '${modelPath}' }`,
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

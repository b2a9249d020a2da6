import { places } from '../../platform/here.ts'
import { hasNodes } from '../nodes.ts'
import type { Gateway, Policy } from '../policy.ts'
import { ownList } from '../proofs/limited.ts'
import { body, refuse } from '../refusal.ts'
import { judges } from './models.ts'

const isList = 'listed { path /v1/models /api/tags }'

/** Without the observer a list lies in a map, in base64; none that is too long for it is ever there in part. */
const answered = (path: string, map: string): string =>
  `http-request return status 200 content-type application/json lf-string '%[var(txn.who),map_str({{keys}}/${map}),b64dec]' if listed { path ${path} } { var(txn.who),map_str({{keys}}/${map}) -m found }`

const kept: Policy['lines'] = {
  limit: [
    answered('/v1/models', 'list-v1.map'),
    answered('/api/tags', 'list-api.map'),
    refuse({
      status: 503,
      message: 'the models of %[var(txn.who)] are not known to this gateway; the owner sees why with rop status.',
      when: [isList],
      headers: { 'retry-after': '5' },
    }),
  ],
}

const reply = (message: string): string =>
  `content-type application/json hdr retry-after 5 hdr x-denied-by lists lf-string '${body(503, message)}'`
const silent =
  'the observer of this server does not answer, and it tells which models %[var(txn.who)] may see; try again shortly.'

/** The observer, which makes each list when it is asked. It alone is asked: where it fails, nobody sees the list of all. */
const backend = (gateway: Gateway): string =>
  [
    'backend lists',
    'no log',
    'retries 0',
    // An Ollama may take its time; what nodes have is written down.
    `timeout server ${hasNodes(gateway) ? '5s' : '15s'}`,
    'http-request set-path "%[path]/%[var(txn.who)]"',
    `http-response deny status 503 ${reply('the model list of %[var(txn.who)] is not in force yet; the owner runs rop apply.')} if { status 404 }`,
    `http-response deny status 503 ${reply('Ollama does not tell which models it has; try again shortly.')} if !{ status 200 }`,
    ...[502, 503, 504].map((status) => `http-error status ${status} ${reply(silent)}`),
    'http-after-response set-status 503 if { status 502 504 }',
    `server lists "unix@${places(gateway).listsSocket}"`,
  ].join('\n    ')

/** What whoever has a list of models is told when asking which models there are. */
export function lists(gateway: Gateway): Policy {
  if (!judges(gateway)) return { name: 'lists', lines: {} }
  if (gateway.settings.observer === 'off') return { name: 'lists', lines: kept }
  return {
    name: 'lists',
    lines: {
      limit: [`http-request set-var(txn.backend) str(lists) if ${isList}`],
      rewrite: ['use_backend lists if { var(txn.backend) -m str lists }'],
    },
    sections: [backend(gateway)],
    proof: ownList,
  }
}

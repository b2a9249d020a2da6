import type { ApiKind } from '../../../site/service-kinds.ts'
import type { Service } from '../../../site/services.ts'
import { openGroups } from '../../../site/settings.ts'
import { conditionLines } from '../../listeners.ts'
import type { Gateway, Policy, Slot } from '../../policy.ts'
import { body, refuse, sign } from '../../refusal.ts'
import { serviceKeysMap } from '../../services.ts'
import { asked } from '../asked.ts'
import { bandwidth } from '../bandwidth.ts'
import { bodies } from '../bodies.ts'
import { keys } from '../keys.ts'
import { limits } from '../limits.ts'
import { listeners } from '../listeners.ts'
import { models } from '../models.ts'
import { revoked } from '../revoked.ts'
import { passedHeaders } from '../rewrite.ts'
import { malformed } from '../shape.ts'
import { timeouts } from '../timeouts.ts'
import { nameRule } from '../tls.ts'
import { dropped } from './headers.ts'

const deny = (status: number, message: string, ...when: string[]): string =>
  sign(refuse({ status, message, when: when.length > 0 ? when : undefined }), 'services')

/** The same rules of who may ask how much as for the engines, but for what these answer without a key. */
function judgedBy(gateway: Gateway): (slot: Slot) => string[] {
  const groups = openGroups(gateway.settings).filter((group) => group !== 'connect')
  const strict = { ...gateway, settings: { ...gateway.settings, keyless: [], groups } }
  const list: Policy[] = [
    ...[listeners(strict), keys(strict), timeouts(strict), limits(strict), bandwidth(strict), bodies(strict)],
    ...[models(strict), asked(), revoked(strict)],
  ]
  return (slot) => list.flatMap(({ name, lines }) => (lines[slot] ?? []).map((rule) => sign(rule, name)))
}

/** Slots of the engines are none of a service's. */
const ofEngines = (rule: string): boolean => /srv_conn\(inference|be_conn\(inference/.test(rule)

/** A browser, and whoever only looks (HEAD), is sent to where people sign in, where there is such a page. */
const signIn = ({ signIn: page }: Service): string[] =>
  page === undefined
    ? []
    : [
        `http-request redirect location ${page} code 302 if !{ req.fhdr(authorization) -m found } { method GET } { req.fhdr(accept) -m sub text/html }`,
        `http-request redirect location ${page} code 302 if !{ req.fhdr(authorization) -m found } { method HEAD }`,
      ]

const rows = (service: Service): string[] => [
  `http-request set-var(txn.row) var(txn.mp),map_reg({{files}}/service-${service.id}.map)`,
  'http-request set-var(txn.group) var(txn.row),field(1,|)',
  'http-request set-var(txn.backend) var(txn.row),field(2,|)',
  'acl row var(txn.row) -m found',
  'acl inference var(txn.backend) -m str inference',
]

/** The service's own key in place of the caller's. */
const engineKey = ({ id, key }: Service, { key: { header, before } }: ApiKind): string[] =>
  key === undefined
    ? []
    : [`http-request set-header ${header} "${before}%[str(${id}),map_str({{keys}}/${serviceKeysMap})]"`]

const silent = ({ kind: { what } }: Service): string[] =>
  [502, 503, 504].map(
    (status) =>
      `http-error status ${status} content-type application/json ${status === 503 ? 'hdr retry-after 5 ' : ''}lf-string '${body(status, `${what} ${said[status]}`)}'`,
  )
const said: Record<number, string> = {
  502: 'gave no valid answer.',
  503: 'does not answer, or is restarting; try again shortly.',
  504: 'stayed silent for too long.',
}

/** A program that programs ask: exact rows, with a key of the gateway's. */
export function apiRules(gateway: Gateway, service: Service, kind: ApiKind): string[] {
  const of = judgedBy(gateway)
  const { what } = kind
  return [
    'no log',
    ...conditionLines(gateway),
    ...silent(service),
    ...nameRule,
    deny(
      421,
      'this connection was made for another name than its Host header says; make a new one for each name.',
      '!{ ssl_fc_sni,lower,strcmp(txn.asked) eq 0 }',
    ),
    ...malformed.map(([message, ...when]) => deny(400, message, ...when)),
    deny(426, 'no WebSocket here; use plain HTTP.', '{ req.fhdr(upgrade) -m found }'),
    deny(415, 'compressed request bodies are not taken; send plain JSON.', '{ req.fhdr(content-encoding) -m found }'),
    ...signIn(service),
    ...(kind.offered
      ? [
          `http-request set-header x-api-key %[req.fhdr(${kind.offered})] if !{ req.fhdr(authorization) -m found } { req.fhdr(${kind.offered}) -m found }`,
        ]
      : []),
    ...of('identify'),
    'http-request set-var-fmt(txn.mp) "%[method]:%[path]"',
    ...rows(service),
    ...of('authenticate'),
    deny(403, `%[var(txn.method),json(utf8s)] %[var(txn.path),json(utf8s)] is no endpoint of ${what} here.`, '!row'),
    ...of('allow'),
    ...of('limit'),
    ...of('inspect').filter((rule) => !ofEngines(rule)),
    `http-request del-header '^(?!(${passedHeaders.join('|')})$)' -m reg`,
    `http-request set-header host ${service.backend}`,
    ...engineKey(service, kind),
    ...of('inference'),
    sign(
      `http-response deny status 502 content-type application/json lf-string '${body(502, `a web page came instead of an answer of ${what}; the owner sees with rop test what is there.`)}' if { res.fhdr(content-type) -i -m beg text/html }`,
      'services',
    ),
    ...dropped(kind),
  ]
}

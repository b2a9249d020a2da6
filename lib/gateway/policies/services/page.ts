import type { PageKind } from '../../../site/service-kinds.ts'
import type { Service } from '../../../site/services.ts'
import { asksCertificates } from '../../../site/settings.ts'
import { certificateUse, conditionLines } from '../../listeners.ts'
import type { Gateway } from '../../policy.ts'
import { pageRefusal, pageSaid, sign } from '../../refusal.ts'
import { certifiedName } from '../../services.ts'
import { certified } from '../keys.ts'
import { malformed } from '../shape.ts'
import { nameRule } from '../tls.ts'
import { dropped, foreignHeaders, forwarded } from './headers.ts'

const deny = (status: number, message: string, ...when: string[]): string =>
  sign(pageRefusal({ status, message, when }), 'services')

const upgraded = '{ req.fhdr(upgrade) -m found }'

/** A WebSocket is for the paths that the kind names, and for the page's own origin: a browser sends cookies along from anywhere. */
function sockets({ websockets }: PageKind): string[] {
  const paths = websockets.length > 0 ? [`!{ path_beg ${websockets.join(' ')} }`] : ['']
  return [
    deny(
      426,
      'no WebSocket at this path.',
      `${upgraded} !{ req.fhdr(upgrade) -i -m str websocket }`,
      ...paths.map((path) => `${upgraded} ${path}`.trim()),
    ),
    'http-request set-var-fmt(txn.self) "https://%[req.fhdr(host),lower]"',
    deny(
      403,
      'a WebSocket from a page of another origin.',
      `${upgraded} !{ req.fhdr(origin),lower,strcmp(txn.self) eq 0 }`,
      `${upgraded} { req.fhdr_cnt(origin) gt 1 }`,
    ),
  ]
}

/** How much a request may bring. Browsers say it before they send it. */
const uploads = ({ upload }: PageKind): string[] => [
  deny(411, 'say how long the upload is (Content-Length).', '{ req.fhdr(transfer-encoding) -m found }'),
  deny(
    413,
    `the upload is over ${upload / 1024 ** 2} MB.`,
    `{ req.body_size gt ${upload} }`,
    '{ req.fhdr(content-length),length gt 11 }',
  ),
]

/** Listeners on which nobody is shown a page without a client certificate. */
function strictFor(gateway: Gateway, service: Service): string[] {
  const [name, where]: [string, string[]] = [certifiedName(gateway, service), service.listeners]
  return gateway.listeners
    .filter((one) => where.includes(one.name) && certificateUse(one, name) === 'required')
    .map((one) => one.name)
}

/** A page has its own login; a client certificate is asked for where the listener does. */
function certificate(gateway: Gateway, service: Service): string[] {
  if (!asksCertificates(gateway.settings)) return []
  const strict = strictFor(gateway, service)
  const needed = 'a client certificate that is known here is needed.'
  return [
    ...certified,
    'http-request set-var(txn.who) var(txn.certified),field(1,|) if { var(txn.certified) -m found }',
    ...(strict.length > 0
      ? [deny(401, needed, `{ so_name ${strict.join(' ')} } !{ var(txn.certified) -m found }`)]
      : []),
  ]
}

/** What a browser is told where the service itself gives no answer. */
const silent = ({ kind }: Service): string[] =>
  [502, 503, 504].map((status) =>
    pageSaid(status, `${kind.what} does not answer at the moment; try again in a minute.`),
  )

/** Who is signed in: the first to say so is what stands in front of the page, and a page that says it, too, comes behind. */
const signedIn = (header: string): string =>
  `http-response set-var(txn.who) res.fhdr(${header},1),lower if { res.fhdr(${header}) -m found }`

/** A page for people as HAProxy's rules. */
export const pageRules = (gateway: Gateway, service: Service, kind: PageKind): string[] => [
  'no log',
  ...conditionLines(gateway),
  ...silent(service),
  `http-request set-var(txn.group) str(${service.id})`,
  ...nameRule,
  deny(421, 'this connection was made for another name.', '!{ ssl_fc_sni,lower,strcmp(txn.asked) eq 0 }'),
  ...malformed.map(([message, ...when]) => deny(400, message, ...when)),
  ...certificate(gateway, service),
  deny(405, 'this page takes no such method.', `!{ method ${kind.methods.join(' ')} }`),
  ...sockets(kind),
  ...uploads(kind),
  ...foreignHeaders,
  ...forwarded,
  ...(kind.who ? [signedIn(kind.who)] : []),
  ...dropped(kind),
]

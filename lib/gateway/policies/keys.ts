import { lifetime, ruleLines } from '../../people/identities.ts'
import { keyless as none, probing, record } from '../../people/records.ts'
import { expandGroups, type Group, openRows } from '../../site/endpoints.ts'
import {
  asksCertificates,
  asksKeys,
  asksNobody,
  counting,
  identifies,
  openGroups,
  type Settings,
} from '../../site/settings.ts'
import type { Check } from '../../steps/step.ts'
import { hasPublic, hasStrict, several, under } from '../listeners.ts'
import type { Gateway, Policy } from '../policy.ts'
import { wrongCounted } from '../proofs/counted.ts'
import { refusedAs } from '../proofs/refused.ts'
import { bearer, type Target } from '../proofs/target.ts'
import { refuse } from '../refusal.ts'
import { ownProbe } from './own-probes.ts'
import { keptBy } from './peers.ts'

const final = { 'x-should-retry': 'false' }
/** What goes with every 401: whoever gets it need not try again. */
export const challenge = { 'www-authenticate': `"Bearer realm=\\"gateway\\""`, ...final }
const how = 'send it as Authorization: Bearer KEY; the owner of this server makes one with rop keys add.'
/** What is wrong, and that nobody can do better where no key was made. */
const orNone = (wrong: string): string =>
  `%[str(${none}),map_str({{keys}}/keys.map,0),add(0),bool,iif(no API key was made yet,${wrong})]; ${how}`

/** The one place that takes the key out of a request: a bearer counts, the other header only where there is none but a word that clients send for want of a key. */
const extract = [
  refuse({
    status: 400,
    message: 'the API key is given more than once.',
    when: ['{ req.fhdr_cnt(authorization) gt 1 }', '{ req.fhdr_cnt(x-api-key) gt 1 }'],
  }),
  'http-request set-var(txn.key) http_auth_bearer if { req.fhdr(authorization) -m found }',
  // A browser can send no other: the page takes the key as a password, and no other row does.
  'http-request set-var(txn.key) http_auth_pass if { path /connect }',
  'http-request unset-var(txn.key) if { var(txn.key) -m str ollama }',
  'http-request set-var(txn.key) req.fhdr(x-api-key) if !{ var(txn.key) -m found } { req.fhdr(x-api-key),length gt 0 } !{ req.fhdr(x-api-key) -m str ollama }',
  'http-request set-var(txn.offered) bool(true) if { var(txn.key) -m found }',
  'http-request set-var(txn.hash) var(txn.key),sha2(256),hex if { var(txn.key) -m found }',
  'http-request set-var(txn.record) var(txn.hash),map_str({{keys}}/keys.map) if { var(txn.hash) -m found }',
  'http-request unset-var(txn.key)',
]

/** Whom the tailnet has at this address. A key that is offered counts alone, right or wrong; headers that claim an identity count nowhere. */
const named = [
  'http-request set-var(txn.record) src,map_ip({{keys}}/people.map) if !{ var(txn.offered) -m found }',
  'http-request set-var(txn.named) bool(true) if !{ var(txn.offered) -m found } { var(txn.record) -m found }',
]

/** One that claims to be good for longer than any refresh gives was written before somebody set the clock back; corrections by some seconds are none. */
const inTime = `http-request unset-var(txn.who) if { var(txn.named) -m found } { var(txn.left) -m int gt ${lifetime + 10} }`

/** A certificate that is known counts before any key; sessions are taken up again across listeners, so it is looked up at each request. */
export const certified = [
  'http-request set-var(txn.certificate) ssl_c_der,sha2(256),hex if { ssl_c_used } { ssl_c_verify 0 }',
  'http-request set-var(txn.certified) var(txn.certificate),map_str({{keys}}/certificates.map) if { var(txn.certificate) -m found }',
  'http-request set-var(txn.record) var(txn.certified) if { var(txn.certified) -m found }',
  'http-request set-var(txn.offered) bool(true) if { var(txn.certified) -m found }',
  'http-request unset-var(txn.hash) if { var(txn.certified) -m found }',
]

const timed = [
  `http-request set-var(txn.left) ${record.until},sub(txn.now)`,
  `http-request set-var(txn.who) ${record.name} if { var(txn.left) -m int gt 0 }`,
]

/** Where nobody needs a key, those of a running test.ts are the only ones that are looked at. */
const probed = [
  'http-request set-var(txn.record) http_auth_bearer,sha2(256),hex,map_str({{keys}}/keys.map) if { req.fhdr(authorization) -m sub rop_ }',
  `http-request unset-var(txn.record) if !{ var(txn.record) -m beg -- ${probing} }`,
  `http-request set-var(txn.left) ${record.until},sub(txn.now)`,
  'http-request unset-var(txn.record) if { var(txn.record) -m found } !{ var(txn.left) -m int gt 0 }',
]

/** Without keys a rule only takes away, so one that is old is better than none. */
const ruled = ['http-request set-var(txn.record) src,map_ip({{keys}}/people.map) if !{ var(txn.record) -m found }']

const called = [`http-request set-var(txn.who) ${record.name} if { var(txn.record) -m found }`]

const old = `the list of who is who on the tailnet is older than ${lifetime / 60} minutes, so nobody gets in by it; the owner sees why with rop status.`

/** An identity that nobody has confirmed for too long is told apart from none. */
const confirmed = [
  'acl named var(txn.named) -m found',
  refuse({ status: 403, message: old, when: ['named !known !keyless { path_beg /api/ }'] }),
  refuse({ status: 401, message: old, when: ['named !known !keyless'], headers: challenge }),
]

/** Groups that need no key know no wrong one: their clients send any word as a key; and a key that has ended is no guess. An address is banned by a mark in the table; nothing more is counted then, so the row, and the ban with it, ends a minute after the last count. */
const ban = (wrongAMinute: number, own: string): string[] => [
  'acl guessed var(txn.wrong) -m found',
  'http-request set-var(txn.wrong) bool(true) if offered !{ var(txn.record) -m found } !keyless',
  'acl banned src,table_gpt0(strangers) gt 0',
  // Our own wrong keys count, as test.ts proves, but against an address that nobody has (RFC 6666).
  `http-request track-sc2 ipv6(100::1) table strangers if guessed !banned ${own}`,
  'http-request track-sc2 src table strangers if guessed !banned',
  'http-request sc-inc-gpc0(2) if guessed !banned',
  `http-request sc-set-gpt0(2) 1 if { sc2_gpc0_rate(strangers) gt ${wrongAMinute} } !${own}`,
  refuse({
    status: 429,
    message: `over ${wrongAMinute} wrong API keys came from this address within a minute; wait a minute.`,
    when: ['guessed banned'],
    headers: { 'retry-after': '%[src,table_expire(strangers),div(1000),add(1)]', ...final },
  }),
]

/** What needs no key: groups, and a refusal that has no row to have its group from. */
const free = (keyless: Group[]): string[] => [
  `acl keyless var(txn.group) -m str ${keyless.join(' ')}`,
  ...(keyless.includes('count-tokens') ? ['acl keyless var(txn.mp) -m str POST:/v1/messages/count_tokens'] : []),
]

/** The same where there are listeners on which nothing is without a key. */
const freeBut = (keyless: Group[]): string[] => [
  'http-request set-var(txn.spared) var(txn.group) if !strict',
  ...(keyless.includes('count-tokens')
    ? [
        'http-request set-var(txn.spared) str(count-tokens) if !strict { var(txn.mp) -m str POST:/v1/messages/count_tokens }',
      ]
    : []),
  `acl keyless var(txn.spared) -m str ${keyless.join(' ')}`,
]

/** The page needs no key: without one it names no model. One that is offered must be right, and `?key` has the browser ask for it. */
const pageShown = (gateway: Gateway): string[] => [
  `http-request set-var(txn.shown) bool(true) if page known or page !offered !{ query -m str key }${hasStrict(gateway) ? ' !strict' : ''}`,
  ...(asksNobody(gateway.settings) ? ['http-request set-var(txn.shown) bool(true) if page unasked'] : []),
  'acl keyless var(txn.shown) -m found',
]

const asking = refuse({
  status: 401,
  message:
    'no API key was given, or none that counts here. The key is the password, and any word does as name; without one see /connect.',
  when: ['page !keyless'],
  headers: { 'www-authenticate': `"Basic realm=\\"API key as password\\""`, ...final },
  plain: true,
})

/** On a public listener nobody learns whether a key was ever one, and one that has ended is a guess. */
const alike = {
  guessed: 'http-request set-var(txn.wrong) bool(true) if outside offered !known',
  refusals: [
    refuse({
      status: 403,
      message: `an API key that is known here is needed; ${how}`,
      when: ['outside !known { path_beg /api/ }'],
    }),
    refuse({
      status: 401,
      message: `an API key that is known here is needed; ${how}`,
      when: ['outside !known'],
      headers: challenge,
    }),
  ],
}

const judge = (gateway: Gateway, keyless: Group[], page: boolean): string[] => {
  const { settings } = gateway
  const rules = refusals(gateway, page)
  return [
    `acl known var(txn.${asksNobody(settings) ? 'known' : 'who'}) -m found`,
    'acl offered var(txn.offered) -m found',
    ...(hasStrict(gateway) ? freeBut(keyless) : free(keyless)),
    ...(page ? pageShown(gateway) : []),
    ...(asksNobody(settings) ? under('!unasked', rules) : rules),
  ]
}

const refusals = (gateway: Gateway, page: boolean): string[] => [
  ...(gateway.settings.access === 'either' ? confirmed : []),
  ...(hasPublic(gateway) ? [alike.guessed] : []),
  ...ban(gateway.settings.ban_after, ownProbe(gateway.settings)),
  ...(page ? [asking] : []),
  ...(hasPublic(gateway) ? alike.refusals : []),
  refuse({
    status: 401,
    message: 'this API key has expired.',
    when: ['!known !keyless { var(txn.record) -m found }'],
    headers: challenge,
  }),
  refuse({
    status: 401,
    message: orNone('this API key is not known here'),
    when: ['!known !keyless offered'],
    headers: challenge,
  }),
  // The ollama command takes a 401 for "sign in to our cloud" (clients.md §12.2).
  refuse({ status: 403, message: orNone('an API key is needed'), when: ['!known !keyless { path_beg /api/ }'] }),
  refuse({ status: 401, message: orNone('an API key is needed'), when: ['!known !keyless'], headers: challenge }),
]

const granted = [
  'http-request set-var(txn.bit) var(txn.row),field(3,|),add(0)',
  `http-request set-var(txn.granted) ${record.groups},and(txn.bit) if known`,
  refuse({
    status: 403,
    message: '%[var(txn.who)] may not use the group %[var(txn.group)].',
    when: ['row known !keyless !{ var(txn.granted) -m int gt 0 }'],
  }),
]

/** What is answered without a key; the page judges that itself, since a wrong key on it is a guess. */
export const keylessGroups = (settings: Settings): Group[] => [
  'probe',
  ...expandGroups(settings.keyless).filter((group) => group !== 'connect'),
]

/** Who asks, by key or by the tailnet's word, and what they may do. Nothing of it where whoever the tailnet lets in may do everything. */
export function keys(gateway: Gateway): Policy {
  const keyless = keylessGroups(gateway.settings)
  const page = openGroups(gateway.settings).includes('connect')
  if (!asksKeys(gateway.settings))
    return {
      name: 'keys',
      lines: counting(gateway.settings)
        ? rules([...keyless, ...(page ? (['connect'] as const) : [])], identifies(gateway.settings))
        : {},
    }
  return {
    name: 'keys',
    lines: {
      identify: asksNobody(gateway.settings)
        ? [
            ...identify(gateway).flatMap((rule) => (readsRequest(rule) ? under('!unasked', [rule]) : [rule])),
            ...under('unasked', recorded(gateway.settings.access === 'tailnet' && identifies(gateway.settings))),
            // Whoever is counted by address (limits.ts) is called by it, and known to nobody.
            'http-request set-var(txn.known) bool(true) if { var(txn.who) -m found }',
          ]
        : identify(gateway),
      authenticate: judge(gateway, keyless, page),
      allow: granted,
    },
    sections: [
      `backend strangers\n    stick-table type ipv6 size 20k expire 60s store gpt0,gpc0,gpc0_rate(60s) ${keptBy}`,
    ],
    // What is asked on other listeners is proven there (listeners.ts).
    proof: (target) =>
      gateway.settings.access === 'tailnet' ? [] : [...proofs(target, keyless), ...claimed(target, gateway)],
  }
}

/** Who has which key, and whom the tailnet has where that counts. */
function identify(gateway: Gateway): string[] {
  const either = gateway.settings.access === 'either'
  return [
    ...extract,
    ...(asksCertificates(gateway.settings) ? certified : []),
    ...(either ? (several(gateway) ? under('from_tailnet', named) : named) : []),
    ...timed,
    ...(either ? [inTime] : []),
  ]
}

/** What reads only variables finds none where nobody is asked, since nothing has set them. */
const readsRequest = (rule: string): boolean => /req\.|http_auth|ssl_c_/.test(rule)

const recorded = (people: boolean): string[] => [...probed, ...(people ? ruled : []), ...called]

const rules = (keyless: Group[], people: boolean): Policy['lines'] => ({
  identify: recorded(people),
  authenticate: ['acl known var(txn.record) -m found', `acl keyless var(txn.group) -m str ${keyless.join(' ')}`],
  allow: granted,
})

/** Tailscale's own proxy sets such headers; whoever sends them here has made them up. */
function claimed(target: Target, { settings }: Gateway): Check[] {
  const login = [...ruleLines(settings).keys()].find((rule) => rule.includes('@'))
  if (settings.access !== 'either' || !login || settings.keyless.length > 0) return []
  return [
    refusedAs(target, {
      id: 'keys.claimed',
      title: 'Nobody becomes somebody by a header (Tailscale-User-Login)',
      status: 401,
      path: '/v1/models',
      headers: { authorization: '', 'tailscale-user-login': login },
    }),
  ]
}

/** A group that needs no key proves nothing about keys. */
const proofs = (target: Target, keyless: Group[]): Check[] => [
  ...(keyless.includes('openai') ? [] : asked(target, keyless)),
  ...(keyless.includes('metadata')
    ? []
    : [
        refusedAs(target, {
          id: 'keys.missing-native',
          title: 'Without an API key /api/ is refused with 403, as the ollama command needs it',
          status: 403,
          headers: { authorization: 'Bearer ollama' },
        }),
      ]),
]

const asked = (target: Target, keyless: Group[]): Check[] => [
  refusedAs(target, {
    id: 'keys.missing',
    title: 'Without an API key nothing is answered',
    status: 401,
    path: '/v1/models',
    headers: { authorization: '' },
  }),
  refusedAs(target, {
    id: 'keys.unknown',
    title: 'An unknown API key is refused',
    status: 401,
    path: '/v1/models',
    headers: { authorization: 'Bearer rop_unknown' },
  }),
  refusedAs(target, {
    id: 'keys.basic',
    title: 'A good API key as a password opens nothing but the page',
    status: 401,
    path: '/v1/models',
    headers: { authorization: `Basic ${Buffer.from(`x:${target.keys?.free}`).toString('base64')}` },
  }),
  wrongCounted(target),
  refusedAs(target, {
    id: 'keys.expired',
    title: 'An API key that has ended is refused',
    status: 401,
    path: '/v1/models',
    headers: bearer(target, 'expired'),
  }),
  ...openRows(target.groups)
    .filter(({ group }) => !keyless.includes(group))
    .slice(0, 1)
    .map(({ method, path }) =>
      refusedAs(target, {
        ...{ method, path, status: 403 },
        id: 'keys.groups',
        title: 'An API key opens its own groups only',
        says: 'may not use the group',
        headers: bearer(target, 'narrow'),
      }),
    ),
]

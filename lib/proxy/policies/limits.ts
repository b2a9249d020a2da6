import { identifies } from '../../identities/maps.ts'
import type { Settings } from '../../settings.ts'
import type { Gateway, Policy } from '../policy.ts'
import { refuse } from '../refusal.ts'

const ofRecord = [
  'http-request set-var(txn.minute) var(txn.record),field(4,|),add(0) if known inference',
  'http-request set-var(txn.most) var(txn.record),field(5,|),add(0) if known inference',
]

/** Everybody whom no rule names: by address, all alike. */
function ofSettings({ per_minute = 0, concurrent = 0 }: Settings['limits'], unknown: string): string[] {
  return [
    `http-request set-var(txn.minute) int(${per_minute}) if inference${unknown}`,
    `http-request set-var(txn.most) int(${concurrent}) if inference${unknown}`,
    `http-request set-var(txn.who) src if inference${unknown}`,
  ]
}

/** Where a person's limits stand: in their record (0 is none), or in the settings for every address alike. */
function sources({ settings }: Gateway): string[] {
  const { access, limits } = settings
  return [
    ...(access !== 'tailnet' || identifies(settings) ? ofRecord : []),
    ...(access === 'tailnet' ? ofSettings(limits, identifies(settings) ? ' !known' : '') : []),
    'acl counted var(txn.who) -m found',
  ]
}

/** Read first, counted later: what is refused here uses up nothing; what is refused behind it (its model, a full queue) counts. The rate slides, so the wait is an estimate within 1 to 60 s. */
const rules = [
  'http-request set-var(txn.over) var(txn.who),table_http_req_rate(people),sub(txn.minute),add(1) if { var(txn.minute) -m int gt 0 }',
  'http-request set-var(txn.wait) var(txn.over),mul(60),div(txn.minute),add(1) if { var(txn.over) -m int gt 0 }',
  'http-request set-var(txn.wait) int(60) if { var(txn.wait) -m int gt 60 }',
  refuse({
    status: 429,
    message: '%[var(txn.who)] may start %[var(txn.minute)] requests a minute.',
    when: ['{ var(txn.over) -m int gt 0 }'],
    headers: { 'retry-after': '%[var(txn.wait)]' },
  }),
  'http-request set-var(txn.beyond) var(txn.who),table_conn_cur(people),sub(txn.most),add(1) if { var(txn.most) -m int gt 0 }',
  refuse({
    status: 429,
    message: '%[var(txn.who)] may have %[var(txn.most)] requests running at once.',
    when: ['{ var(txn.beyond) -m int gt 0 }'],
    headers: { 'retry-after': '5' },
  }),
  'http-request track-sc1 var(txn.who) table people if counted inference',
  // The table by which a revoked key's own streams are found (haproxy-policy.md §10).
  'http-request set-var-fmt(txn.stream) "%[var(txn.who)]|%[src]:%[src_port]" if counted inference',
  'http-request track-sc2 var(txn.stream) table streams if { var(txn.stream) -m found }',
  // Who has much under way waits behind who has little.
  'http-request set-priority-class var(txn.who),table_conn_cur(people) if counted inference',
]

/** How much each person may have, by key, identity or address. Without keys, rules and limits there is nothing to count. */
export function limits(gateway: Gateway): Policy {
  const { access, limits: wanted } = gateway.settings
  const limited = identifies(gateway.settings) || wanted.per_minute || wanted.concurrent
  if (access === 'tailnet' && !limited) return { name: 'limits', lines: {} }
  return {
    name: 'limits',
    lines: { limit: [...sources(gateway), ...rules] },
    sections: [
      'backend people\n    stick-table type string len 120 size 20k expire 2m store http_req_rate(60s),conn_cur',
      'backend streams\n    stick-table type string len 180 size 20k expire 1m store conn_cur',
    ],
  }
}

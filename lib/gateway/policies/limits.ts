import { exempt, plain, record } from '../../people/records.ts'
import { asksKeys, asksNobody, budgeted, counting, type Settings } from '../../site/settings.ts'
import { under } from '../listeners.ts'
import { hasNodes, slotsTaken } from '../nodes.ts'
import type { Gateway, Policy } from '../policy.ts'
import { addressCounted, handedOver } from '../proofs/counted.ts'
import { limited, spent } from '../proofs/limited.ts'
import { refuse } from '../refusal.ts'
import { bothOf, livesThere, moreCounters, runningTables } from './both.ts'
import { atOnce, type Counted, counted, counts, there, tracked } from './counting.ts'
import { ownProbe } from './own-probes.ts'
import { keptBy } from './peers.ts'
import { shared } from './shared.ts'

/** Nobody but a running test.ts has a record where neither keys nor rules count. */
const ofRecord = [
  `http-request set-var(txn.minute) ${record.perMinute},add(0) if known inference`,
  `http-request set-var(txn.most) ${record.concurrent},add(0) if known inference`,
  `http-request set-var(txn.burst) ${record.burst},add(0) if !${plain} known inference`,
  `http-request set-var(txn.waiting) ${record.waiting},add(0) if !${plain} known inference`,
]

/** Everybody whom no rule names: by address, all alike. */
function ofSettings(settings: Settings): string[] {
  const { per_minute = 0, concurrent = 0, burst = 0, waiting = 0 } = settings.limits
  return [
    `http-request set-var(txn.minute) int(${per_minute}) if inference !known`,
    `http-request set-var(txn.most) int(${concurrent}) if inference !known`,
    `http-request set-var(txn.burst) int(${burst}) if inference !known`,
    `http-request set-var(txn.waiting) int(${waiting}) if inference !known`,
    `http-request set-var(txn.who) src if inference !known`,
    // What test.ts asks without a key counts for this address, but under a name of its own.
    `http-request set-var-fmt(txn.who) "${exempt}%[var(txn.who)]" if inference !known ${ownProbe(settings)}`,
  ]
}

/** Whoever has given no key where one is asked for is not counted: they get what needs none. */
const where = (settings: Settings, rules: string[]): string[] => (asksKeys(settings) ? under('unasked', rules) : rules)

/** Where a person's limits stand: in their record (0 is none), or in the settings for every address alike. */
function sources({ settings }: Gateway): string[] {
  return [
    ...ofRecord,
    ...(asksNobody(settings) ? where(settings, ofSettings(settings)) : []),
    'acl counted var(txn.who) -m found',
  ]
}

/** Seconds; what would last longer was written before somebody set the clock back. */
const longestDay = 25 * 3600

/** Who has used up a share of the day (the observer says so) is told when the next begins: over a minute, so that no client stays to wait. */
const budgets = [
  'http-request set-var(txn.spent) var(txn.who),map_str({{keys}}/spent.map) if counted inference',
  'http-request set-var(txn.rest) var(txn.spent),field(1,|),sub(txn.now) if { var(txn.spent) -m found }',
  refuse({
    status: 429,
    message:
      '%[var(txn.who)] has used up its %[var(txn.spent),field(2,|)] of this day; it begins anew on %[var(txn.spent),field(3,|)].',
    when: [`{ var(txn.rest) -m int 1:${longestDay} }`],
    headers: { 'retry-after': '%[var(txn.rest),add(60)]', 'x-should-retry': 'false' },
  }),
]

const personIn = (gateway: Gateway): Counted => ({
  ...{ key: 'var(txn.who)', table: 'people', counter: 1, called: '%[var(txn.who)]', suffix: '' },
  both: bothOf(gateway, 'people', 6),
})

/** Who has much under way waits behind who has little. */
const fair = (gateway: Gateway): string[] => [
  'http-request set-priority-class sc_conn_cur(1,people) if counted inference',
  ...(hasNodes(gateway) ? ['http-request set-var(txn.prio) sc_conn_cur(1,people) if counted inference'] : []),
]

/** HAProxy cannot tell a person's waiting requests from the running ones, so while every slot is taken both count; once the body is here, as in queue.ts. */
const waiting = (gateway: Gateway, person: Counted): string[] => [
  `http-request set-var(txn.queued) sc1_conn_cur(people)${there(person)},sub(txn.waiting) if { var(txn.waiting) -m int gt 0 }`,
  refuse({
    status: 429,
    message: `every slot is taken, and %[var(txn.who)] may then have %[var(txn.waiting)] requests under way.`,
    when: [`{ var(txn.queued) -m int gt 0 } ${slotsTaken(gateway)}`],
    headers: { 'retry-after': '5' },
  }),
]

/** How much each person may have, by key, identity or address, and all of them together. Without keys, rules and limits there is nothing to count. */
export function limits(gateway: Gateway): Policy {
  const person = personIn(gateway)
  const together = shared(gateway)
  if (!counting(gateway.settings)) return { name: 'limits', lines: {} }
  return {
    name: 'limits',
    lines: {
      global: [...together.global, ...moreCounters(gateway)],
      limit: [
        ...sources(gateway),
        ...(budgeted(gateway.settings) ? budgets : []),
        ...livesThere(gateway),
        ...atOnce(person, ['txn.waiting']),
        ...together.reads,
        ...tracked(person, 'counted inference'),
        ...fair(gateway),
        ...together.tracks,
      ],
      inspect: waiting(gateway, person),
      // In the backend, so behind whatever else refuses, and without the pause that HAProxy makes between many rules.
      inference: counted([person, ...together.scopes]),
    },
    sections: [
      `backend people\n    stick-table type string len 120 size 20k expire 2m store ${counts} ${keptBy}`,
      ...together.sections,
      ...runningTables([person, ...together.scopes.slice(0, 1)].flatMap(({ both }) => both ?? [])),
    ],
    files: together.files,
    proof: (target) => [
      ...limited(target),
      ...(gateway.settings.access === 'tailnet' ? addressCounted(target) : []),
      ...(budgeted(gateway.settings) ? spent(target) : []),
      ...together.proof(target),
      handedOver(),
    ],
  }
}

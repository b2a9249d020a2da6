import { probing } from '../../people/records.ts'
import { refuse } from '../refusal.ts'
import { type Both, elsewhere, here } from './both.ts'

/** Whom a limit is about. */
export interface Counted {
  /** the key in the stick table */
  key: string
  table: string
  /** the number of its counter */
  counter: number
  /** how a refusal calls it */
  called: string
  /** how the variables of its limits end: `txn.minute`, `txn.burst` and `txn.most` with this behind; 0 is no limit */
  suffix: string
  /** where what runs at two gateways is added up */
  both?: Both
}

/** What a limit of requests counts over, and where its numbers are in a row of the table. */
interface Span {
  name: 'minute' | 'burst'
  ms: number
  words: string
  /** index of the time (ms, its low 32 bits) at which the span began */
  began: number
  /** index of how many were counted before it */
  before: number
  /** index of how many were given back, ever */
  back: number
}

const spans: Span[] = [
  { name: 'minute', ms: 60_000, words: 'a minute', began: 0, before: 1, back: 1 },
  { name: 'burst', ms: 10_000, words: 'in 10 seconds', began: 2, before: 3, back: 2 },
]

/** What a stick table holds of each of them: what was counted and given back, the spans, and the rate for whoever looks from outside. */
export const counts = 'gpc(3),gpc_rate(1,60s),gpt(4),conn_cur'

const variable = ({ suffix }: Counted, name: string): string => `txn.${name}${suffix}`

/** How long (ms) before this request the span began. HAProxy keeps 32 bits, so a beginning in the future is one of long ago. */
const age = ({ counter }: Counted, { began }: Span): string =>
  `sc_get_gpt(${began},${counter}),neg,add(txn.ms),and(${2 ** 32 - 1})`

/** One limit, as rules see it. */
interface Limit {
  counted: Counted
  span: Span
  /** variables: the limit itself, how old its span is, what counts so far, and how long it still refuses, all of them unset without it */
  most: string
  age: string
  count: string
  wait: string
}

const limitsOf = (counted: Counted): Limit[] =>
  spans.map((span) => ({
    ...{ counted, span, most: variable(counted, span.name) },
    age: variable(counted, `${span.name}_age`),
    count: variable(counted, `${span.name}_count`),
    wait: variable(counted, `${span.name}_wait`),
  }))

/** A span begins with the first request that is counted in it, and the next one passes when it is over. */
const looked = ({ counted, span, most, age: old, count, wait }: Limit): string[] => [
  `http-request set-var(${old}) ${age(counted, span)} if { var(${most}) -m int gt 0 }`,
  `http-request set-var(${count}) sc_get_gpc(${span.back},${counted.counter}),neg,add(${variable(counted, 'turn')}) if { var(${old}) -m found }`,
  `http-request set-var(${wait}) var(${old}),neg,add(${span.ms}) if { var(${old}) -m int lt ${span.ms} } { sc_get_gpt(${span.before},${counted.counter}),neg,add(${count}),sub(${most}) ge 0 }`,
]

/** Of several limits the one refuses that does so for longest, since before that the next request would not pass. */
const refused = ({ counted, span, most, wait }: Limit, others: Limit[]): string =>
  refuse({
    status: 429,
    message: `${counted.called} may start %[var(${most})] requests ${span.words}.`,
    when: [
      [`{ var(${wait}) -m found }`, ...others.map((other) => `!{ var(${other.wait}),sub(${wait}) gt 0 }`)].join(' '),
    ],
    headers: { 'retry-after': `%[var(${wait}),add(999),div(1000)]` },
  })

/** The first that comes when a span is over begins the next. */
const begun = ({ counted: { counter }, span, age, count }: Limit): string[] => [
  `http-request sc-set-gpt(${span.before},${counter}) var(${count}) if { var(${age}) -m int ge ${span.ms} }`,
  `http-request sc-set-gpt(${span.began},${counter}) var(txn.ms) if { var(${age}) -m int ge ${span.ms} }`,
]

/**
 * What was not served after all (no slot came free in time) is given back, unless its span is over; and of what everybody
 * shares, what test.ts asks. HAProxy 2.6 has no action for it behind an answer, but a fetch that counts.
 */
function returned({ counted, span, age: old }: Limit): string[] {
  const same = `{ var(${old}) -m found } { ${age(counted, span)} lt ${span.ms} }`
  const back = `set-var(txn.back) sc_inc_gpc(${span.back},${counted.counter})`
  // Not behind the answer: there what is no refusal passes no rule (log.ts).
  const probed = `http-response ${back} if !{ status 503 } { var(txn.who) -m beg -- ${probing}+ } ${same}`
  return [`http-after-response ${back} if { status 503 } ${same}`, ...(counted.key === 'var(txn.who)' ? [] : [probed])]
}

/**
 * Limits of requests, for the backend: behind whatever else refuses, so that a refusal costs nobody a share, and without the
 * pause that HAProxy 3.2 and newer make after 50 rules, in which others would read what is not counted yet.
 */
export function counted(all: Counted[]): string[] {
  const limits = all.flatMap(limitsOf)
  return [
    'http-request set-var(txn.ms) date(0,ms)',
    ...all.map((one) => `http-request set-var(${variable(one, 'turn')}) sc_get_gpc(0,${one.counter})`),
    ...limits.flatMap(looked),
    ...limits.map((limit) =>
      refused(
        limit,
        limits.filter((other) => other !== limit),
      ),
    ),
    ...limits.flatMap(begun),
    ...all.map(({ counter }) => `http-request sc-inc-gpc(0,${counter})`),
    ...limits.flatMap(returned),
  ]
}

const tooMany = (counted: Counted, when: string): string =>
  refuse({
    status: 429,
    message: `${counted.called} may have %[var(${variable(counted, 'most')})] requests running at once.`,
    when: [when],
    headers: { 'retry-after': '5' },
  })

/** What runs at the other of two gateways, to be added to what runs here; nothing where there is one. */
export const there = (counted: Counted): string => (counted.both ? `,add(${variable(counted, 'there')})` : '')

/** Refuses what is more than may run at once; `also` are variables of more such limits. */
export function atOnce(counted: Counted, also: string[] = []): string[] {
  const [most, beyond] = [variable(counted, 'most'), variable(counted, 'beyond')]
  const { key, both } = counted
  return [
    ...(both ? elsewhere({ key, both, most: [most, ...also], there: variable(counted, 'there') }) : []),
    `http-request set-var(${beyond}) ${key},table_conn_cur(${counted.table})${there(counted)},sub(${most}),add(1) if { var(${most}) -m int gt 0 }`,
    tooMany(counted, `{ var(${beyond}) -m int gt 0 }`),
  ]
}

/** Follows a request while it is under way. Two threads may have read at the same moment, so what is running is looked at once more; then never too many run, and both of two that tie may be refused. */
export function tracked(counted: Counted, when: string): string[] {
  const [most, tied] = ['most', 'tied'].map((name) => variable(counted, name))
  const { counter, key, table, both } = counted
  return [
    `http-request track-sc${counter} ${key} table ${table} if ${when}`,
    `http-request set-var(${tied}) sc_conn_cur(${counter},${table})${there(counted)},sub(${most}) if ${when} { var(${most}) -m int gt 0 }`,
    tooMany(counted, `{ var(${tied}) -m int gt 0 }`),
    ...(both ? here({ key, both }, when) : []),
  ]
}

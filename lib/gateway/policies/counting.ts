import { refuse } from '../refusal.ts'

/** Whom a limit is about: its key in a stick table, and how a refusal calls it. */
export interface Counted {
  key: string
  table: string
  called: string
  /** the variable with how many may run at once; 0 is no limit */
  most: string
}

/** A rate over so many seconds. It slides, so the wait is an estimate within 1 to 60 s. */
const rate = ({ key, table, called }: Counted, limit: string, count: string, seconds: number, words: string) => [
  `http-request set-var(txn.over) ${key},table_${count}(${table}),sub(${limit}),add(1) if { var(${limit}) -m int gt 0 }`,
  `http-request set-var(txn.wait) var(txn.over),mul(${seconds}),div(${limit}),add(1) if { var(txn.over) -m int gt 0 }`,
  `http-request set-var(txn.wait) int(${Math.min(60, seconds + 1)}) if { var(txn.wait) -m int gt ${Math.min(60, seconds + 1)} }`,
  refuse({
    status: 429,
    message: `${called} may start %[var(${limit})] requests ${words}.`,
    when: ['{ var(txn.over) -m int gt 0 }'],
    headers: { 'retry-after': '%[var(txn.wait)]' },
  }),
]

/** Read first, counted later: what is refused here uses up nothing; what is refused behind it (its model, a full queue) counts. */
export const checked = (counted: Counted): string[] => [
  ...rate(counted, 'txn.minute', 'http_req_rate', 60, 'a minute'),
  ...rate(counted, 'txn.burst', 'gpc0_rate', 10, 'in 10 seconds'),
  `http-request set-var(txn.beyond) ${counted.key},table_conn_cur(${counted.table}),sub(${counted.most}),add(1) if { var(${counted.most}) -m int gt 0 }`,
  tooMany(counted, '{ var(txn.beyond) -m int gt 0 }'),
]

const tooMany = ({ called, most }: Counted, when: string): string =>
  refuse({
    status: 429,
    message: `${called} may have %[var(${most})] requests running at once.`,
    when: [when],
    headers: { 'retry-after': '5' },
  })

/** Counts a request in the counter of that number. Two threads may have read at the same moment, so what is running is looked at once more; then never too many run, and both of two that tie may be refused. */
export const tracked = (counted: Counted, counter: number, when: string): string[] => [
  `http-request track-sc${counter} ${counted.key} table ${counted.table} if ${when}`,
  `http-request sc-inc-gpc0(${counter}) if ${when}`,
  `http-request set-var(txn.tied) sc_conn_cur(${counter},${counted.table}),sub(${counted.most}) if ${when} { var(${counted.most}) -m int gt 0 }`,
  tooMany(counted, '{ var(txn.tied) -m int gt 0 }'),
]

/** What a stick table holds of each of them. */
export const counts = 'http_req_rate(60s),gpc0,gpc0_rate(10s),conn_cur'

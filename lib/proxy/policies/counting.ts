import { refuse } from '../refusal.ts'

/** Whom a limit is about: its key in a stick table, and how a refusal calls it. */
export interface Counted {
  key: string
  table: string
  called: string
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
  `http-request set-var(txn.beyond) ${counted.key},table_conn_cur(${counted.table}),sub(txn.most),add(1) if { var(txn.most) -m int gt 0 }`,
  refuse({
    status: 429,
    message: `${counted.called} may have %[var(txn.most)] requests running at once.`,
    when: ['{ var(txn.beyond) -m int gt 0 }'],
    headers: { 'retry-after': '5' },
  }),
]

/** What a stick table holds of each of them. */
export const counts = 'http_req_rate(60s),gpc0,gpc0_rate(10s),conn_cur'

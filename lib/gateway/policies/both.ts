import { endsOf, nameOf } from '../pair.ts'
import type { Gateway } from '../policy.ts'
import { eitherOf, type Since, since } from './since.ts'

/** The first HAProxy that can learn from another what runs there (`recv-only`). */
const sumNeeds: Since = [3, 2]

/** Of two gateways: the tables in which each writes what runs at it, and the number of this one's counter there. */
export interface Both {
  own: string
  other: string
  counter: number
  /** where the two cannot add up what runs, each has half */
  half: boolean
}

/** A table of one of the two, which both call the same. */
const tableOf = (what: string, address: string): string => `${what}:${nameOf(address)}`

/** Where what runs is added up, for one of the tables that count it; undefined where this gateway is none of two. */
export function bothOf(gateway: Gateway, table: string, counter: number): Both | undefined {
  const ends = endsOf(gateway)
  return (
    ends && {
      own: tableOf(`${table}-at-once`, ends.own),
      other: tableOf(`${table}-at-once`, ends.other),
      counter,
      half: gateway.settings.vip?.at_once === 'half',
    }
  )
}

/** Who has a counter, and the variables in which a limit and what runs at the other gateway stand. */
interface Asked {
  key: string
  both: Both
  /** variables of what may run at once */
  most: string[]
  there: string
}

const halved = (name: string): string =>
  `http-request set-var(${name}) var(${name}),add(1),div(2) if { var(${name}) -m found }`

/**
 * How many run at the other gateway. A row that another worker wrote than the one that lives there is of answers that were cut,
 * or that nobody follows any more, and does not count. Where HAProxy cannot know, each of the two has half, rounded up.
 */
export const elsewhere = ({ key, both, most, there }: Asked): string[] => [
  `http-request set-var(${there}) int(0) if inference`,
  ...eitherOf(
    sumNeeds,
    [
      `http-request set-var(${there}) ${key},table_conn_cur(${both.other}) if inference { ${key},table_gpt(0,${both.other}),sub(txn.worker) eq 0 }`,
    ],
    both.half ? most.map(halved) : [],
  ),
]

/** Which worker lives at the other gateway; 0 is none. */
export const livesThere = (gateway: Gateway): string[] => {
  const ends = endsOf(gateway)
  return ends
    ? since(sumNeeds, [
        `http-request set-var(txn.worker) str(worker),table_gpt(0,${tableOf('alive', ends.other)}) if inference`,
      ])
    : []
}

/** Writes down that a request runs here, for the other gateway. */
export const here = ({ key, both: { own, counter } }: Pick<Asked, 'key' | 'both'>, when: string): string[] =>
  since(sumNeeds, [
    `http-request track-sc${counter} ${key} table ${own} if ${when}`,
    `http-request sc-set-gpt(0,${counter}) pid if ${when}`,
  ])

/** Counters beside those of one gateway alone. */
export const moreCounters = (gateway: Gateway): string[] =>
  endsOf(gateway) ? since(sumNeeds, ['tune.stick-counters 10']) : []

const length = 120
/** A row lasts as long as a request may run; of a worker that has gone none counts. */
const twins = ({ own, other }: Pick<Both, 'own' | 'other'>, size: string, expire: string): string[] => {
  const table = `stick-table type string len ${length} size ${size} expire ${expire} store conn_cur,gpt(1)`
  return [`backend ${own}`, `    ${table} peers state`, `backend ${other}`, `    ${table} recv-only peers state`]
}

/** The two tables of what runs at each gateway, for each of these. */
export const runningTables = (both: Both[]): string[] =>
  both.length === 0
    ? []
    : [
        since(
          sumNeeds,
          both.flatMap((one) => twins(one, '20k', '24h')),
        ).join('\n'),
      ]

/** ms after which a gateway that says nothing is taken for dead, so that what ran there counts no more. */
const silence = '5s'

/** Each gateway asks itself every second, and so writes down for the other which worker of it lives. */
export function alive(gateway: Gateway, socket: string): string[] {
  const ends = endsOf(gateway)
  if (!ends) return []
  const [own, other] = [tableOf('alive', ends.own), tableOf('alive', ends.other)]
  const asks = ['backend own-pulse', '    option httpchk GET /pulse', `    server own "unix@${socket}" check inter 1s`]
  return [since(sumNeeds, [...twins({ own, other }, '1', silence), ...asks]).join('\n')]
}

/** What the health of the gateway answers to that. */
export const pulse = (gateway: Gateway): string[] => {
  const ends = endsOf(gateway)
  return ends
    ? since(sumNeeds, [
        `    http-request track-sc0 str(worker) table ${tableOf('alive', ends.own)} if { path /pulse }`,
        '    http-request sc-set-gpt(0,0) pid if { path /pulse }',
        '    http-request return status 200 if { path /pulse }',
      ])
    : []
}

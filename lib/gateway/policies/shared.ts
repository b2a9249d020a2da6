import { exempt } from '../../people/records.ts'
import type { Endpoint } from '../../site/endpoints.ts'
import type { Settings } from '../../site/settings.ts'
import type { Check } from '../../steps/step.ts'
import type { Gateway } from '../policy.ts'
import { sharedCounted } from '../proofs/counted.ts'
import { modelRows, type Target } from '../proofs/target.ts'
import { bothOf } from './both.ts'
import { atOnce, type Counted, counts, tracked } from './counting.ts'
import { keptBy } from './peers.ts'
import { type Since, since } from './since.ts'

type Wanted = Settings['limits']
type Together = NonNullable<Wanted['all']>

/** The first HAProxy that can follow more than three counters in one request (tune.stick-counters). */
export const sharedNeeds: Since = [2, 8]

/** Bytes a second are not counted here, but in bandwidth.ts. */
const counting = ({ groups = {} }: Wanted): boolean =>
  Object.values(groups).some(({ per_second: _, ...counted }) => Object.keys(counted).length > 0)

/** The settings that ask for it, as the owner writes them. */
export const sharedLimits = (limits: Wanted): string[] =>
  (['all', 'groups', 'rows'] as const)
    .filter((name) => (name === 'groups' ? counting(limits) : limits[name] !== undefined))
    .map((name) => `limits.${name}`)

const scopes: Record<string, Omit<Counted, 'counter'>> = {
  all: { table: 'together', key: 'str(all)', called: 'all people together', suffix: '_all' },
  groups: {
    ...{ table: 'together', key: 'var(txn.group)', suffix: '_group' },
    called: 'all people together in the group %[var(txn.group)]',
  },
  rows: {
    ...{ table: 'together', key: 'var(txn.mp)', suffix: '_row' },
    called: 'all people together at %[var(txn.path),json(utf8s)]',
  },
}

const written = ({ per_minute = 0, burst = 0, concurrent = 0 }: Together = {}): string =>
  [per_minute, burst, concurrent].join('|')

/** `all`, a group, or `METHOD:path` -> `requests a minute|in 10 seconds|at once`. */
function together({ all, groups = {}, rows = {} }: Wanted): string {
  const lines = [
    ...(all ? [`all ${written(all)}`] : []),
    ...Object.entries(groups).map(([group, limits]) => `${group} ${written(limits)}`),
    ...Object.entries(rows).map(([row, limits]) => `${row.replace(' ', ':')} ${written(limits)}`),
  ]
  return `${lines.join('\n')}\n`
}

const read = ({ key, suffix }: Counted): string[] => [
  `http-request set-var(txn.together) ${key},map_str({{files}}/together.map,0|0|0) if inference !unlimited`,
  ...['minute', 'burst', 'most'].map(
    (name, at) =>
      `http-request set-var(txn.${name}${suffix}) var(txn.together),field(${at + 1},|),add(0) if inference !unlimited`,
  ),
]

interface Shared {
  global: string[]
  /** what is counted, and how much of it may be */
  scopes: Counted[]
  reads: string[]
  tracks: string[]
  sections: string[]
  files: Record<string, string>
  proof(target: Target): Check[]
}

/** Each kind of limit, by one row that it holds for. */
function proofs(target: Target, { all, groups = {}, rows = {} }: Wanted): Check[] {
  const open = modelRows(target)
  const named = ({ method, path }: Endpoint) => `${method} ${path}`
  const kinds = [
    { called: 'all', row: all && open[0], of: () => 'all', says: 'together may' },
    {
      called: 'groups',
      row: open.find(({ group }) => group in groups),
      of: ({ group }: Endpoint) => group,
      says: 'together in the group',
    },
    {
      called: 'rows',
      row: open.find((row) => named(row) in rows),
      of: (row: Endpoint) => named(row).replace(' ', ':'),
      says: 'together at',
    },
  ]
  const asked = sharedLimits({ all, groups, rows })
  return kinds.flatMap(({ row, of, ...kind }) =>
    row && asked.includes(`limits.${kind.called}`) ? [sharedCounted(target, { ...kind, row, counter: of(row) })] : [],
  )
}

/** Limits that everybody shares: in all, in a group, at one row of the table. Each needs a counter of its own beside those of a person. */
export function shared(gateway: Gateway): Shared {
  const { limits } = gateway.settings
  const names = sharedLimits(limits)
  if (names.length === 0)
    return { global: [], scopes: [], reads: [], tracks: [], sections: [], files: {}, proof: () => [] }
  const wanted = Object.entries(scopes)
    .filter(([name]) => names.includes(`limits.${name}`))
    .map(([, scope], at): Counted => ({ ...scope, counter: at + 3, both: bothOf(gateway, scope.table, at + 7) }))
  return {
    global: since(sharedNeeds, ['tune.stick-counters 6'], names),
    scopes: wanted,
    reads: [
      `acl unlimited var(txn.who) -m beg -- ${exempt}`,
      ...wanted.flatMap((scope) => [...read(scope), ...atOnce(scope)]),
    ],
    tracks: wanted.flatMap((scope) => tracked(scope, 'inference !unlimited')),
    sections: [`backend together\n    stick-table type string len 80 size 1k expire 2m store ${counts} ${keptBy}`],
    files: { 'together.map': together(limits) },
    proof: (target) => proofs(target, limits),
  }
}

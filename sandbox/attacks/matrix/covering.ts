import { createRequire } from 'node:module'

/** By names of factors: a value of each. */
export type Row = Record<string, unknown>
/** The values of each factor; two of them are the same when they are written alike. */
export type Factors = Record<string, readonly unknown[]>

// Its one bundle has no names that every loader of modules sees.
const { criteria, make, sorters } = createRequire(import.meta.url)('covertable') as typeof import('covertable')

/** Any two values of two factors. */
type Pair = [[string, unknown], [string, unknown]]

function pairsOf(entries: [string, unknown][]): Pair[] {
  return entries.flatMap((one, at) =>
    entries.slice(at + 1).flatMap((other): Pair[] => (one[0] === other[0] ? [] : [[one, other]])),
  )
}

const holds = (row: Row, pair: Pair): boolean => pair.every(([name, value]) => row[name] === value)

/** The pairs that no row holds. */
export function missing(factors: Factors, rows: Row[]): Pair[] {
  const places = ([one, other]: Pair) => `${[one, other].map(([name, value]) => [name, factors[name]?.indexOf(value)])}`
  const held = new Set(
    rows.flatMap((row) => pairsOf(Object.keys(factors).map((name) => [name, row[name]])).map(places)),
  )
  const all = Object.entries(factors).flatMap(([name, values]) =>
    values.map((value): [string, unknown] => [name, value]),
  )
  return pairsOf(all).filter((pair) => !held.has(places(pair)))
}

/** The generator gives up a row in which nothing allowed fits any more, with the pairs that only such rows had: they are laid over other rows. */
function rest(factors: Factors, rows: Row[], allowed: (row: Row) => boolean): Row[] {
  const more: Row[] = []
  for (let open = missing(factors, rows); open.length > 0; ) {
    const [first, ...others] = open
    const begun = first && rows.map((row) => ({ ...row, ...Object.fromEntries(first) })).find(allowed)
    const row = first && begun && filled(begun, first, others, allowed)
    if (row) more.push(row)
    open = row ? others.filter((pair) => !holds(row, pair)) : others
  }
  return more
}

/** Further pairs in the same row, as far as they go together. */
function filled(begun: Row, first: Pair, others: Pair[], allowed: (row: Row) => boolean): Row {
  let row = begun
  const fixed = new Set(first.map(([name]) => name))
  for (const pair of others) {
    if (pair.some(([name, value]) => fixed.has(name) && row[name] !== value)) continue
    const next = { ...row, ...Object.fromEntries(pair) }
    if (!allowed(next)) continue
    row = next
    for (const [name] of pair) fixed.add(name)
  }
  return row
}

/** Rows that are allowed, and few, in which any two values stand together that ever may; the same for the same seed. */
export function covering(factors: Factors, seed: string, allowed: (row: Row) => boolean): Row[] {
  const lists = Object.fromEntries(Object.entries(factors).map(([name, values]) => [name, [...values]]))
  const rows = make(lists, { sorter: sorters.hash, criterion: criteria.simple, seed, preFilter: allowed })
  return [...rows, ...rest(factors, rows, allowed)]
}

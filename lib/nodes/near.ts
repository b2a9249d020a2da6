import { classesOf } from '../site/engines.ts'
import type { Node } from '../site/nodes.ts'
import { mostModels } from './ask.ts'
import { isPlain, type Known, oneSpelling } from './table.ts'

/** Fewer letters say nothing of what was meant, and more names nobody reads in an error. */
const [fewest, most] = [3, 3]

/** How many letters two names begin with alike. */
function shared(one = '', other = ''): number {
  let at = 0
  while (at < one.length && one[at] === other[at]) at += 1
  return at
}

/** What these nodes have, by the spelling of the table, as they write it themselves; sorted. */
const namesOf = (nodes: Node[], known: Known): [string, string][] => [
  ...new Map(
    nodes
      .flatMap(({ name }) => (known.get(name) ?? []).slice(0, mostModels))
      .map(({ name }): [string, string] => [oneSpelling(name), name])
      .filter(([spelled]) => isPlain(spelled))
      .sort(([one], [other]) => (one < other ? -1 : 1)),
  ),
]

/** Where each of the sorted names parts from those beside it: of all beginnings only these tell names apart. */
function beginnings(names: [string, string][]): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const [at, [spelled, name]] of names.entries()) {
    const [before, behind] = [shared(spelled, names[at - 1]?.[0]), shared(spelled, names[at + 1]?.[0])]
    const lengths = [fewest, before, behind, Math.max(before, behind) + 1]
    for (const length of new Set(lengths.filter((one) => one >= fewest))) {
      const beginning = spelled.slice(0, length)
      const alike = found.get(beginning) ?? []
      if (alike.length < most) found.set(beginning, [...alike, name])
    }
  }
  return found
}

/** Which models somebody may have meant who asked for one that no node has: `class of the row|beginning of a name` -> at most three that begin so. The gateway looks for the longest beginning. */
export function nearLines(nodes: Node[], known: Known): Map<string, string> {
  const kinds = [...new Set(nodes.flatMap(({ engine }) => classesOf(engine)))]
  return new Map(
    kinds.flatMap((kind) => {
      const serving = nodes.filter(({ engine }) => classesOf(engine).includes(kind))
      return [...beginnings(namesOf(serving, known))].map(([beginning, names]): [string, string] => [
        `${kind}|${beginning}`,
        names.join(', '),
      ])
    }),
  )
}

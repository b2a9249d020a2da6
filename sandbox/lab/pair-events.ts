import { eventually } from './gateway.ts'
import type { Pair, Side } from './pair.ts'

export const other = (side: Side): Side => (side === 'a' ? 'b' : 'a')

/** Which gateway has the address, once one alone has it, and answers. */
export async function master(pair: Pair): Promise<Side> {
  let found: Side | undefined
  await eventually('one gateway has the address, and answers', () => {
    found = (['a', 'b'] as const).find((side) => pair[side].holds())
    return found !== undefined && !pair[other(found)].holds() && pair.samples().at(-1)?.side === found
  })
  return found ?? 'a'
}

/** ms without an answer from what is done to this gateway until the other one answers. */
export async function gap(pair: Pair, side: Side, work: () => unknown): Promise<number> {
  await work()
  await eventually(`${other(side)} answers`, () => pair.samples().at(-1)?.side === other(side))
  const all = pair.samples()
  const last = all.findLastIndex((sample) => sample.side === side)
  return (all[last + 1]?.ms ?? Number.POSITIVE_INFINITY) - (all[last]?.ms ?? 0)
}

/** The longest time in ms for which the cards of both had the address. */
export function both(pair: Pair): number {
  const [mine, theirs] = [pair.a.times(), pair.b.times()]
  const shared = mine.flatMap((one) =>
    theirs.map((two) => Math.min(one.until, two.until) - Math.max(one.from, two.from)),
  )
  return Math.max(0, ...shared)
}

/** What may happen to the gateway that has the address, and how it is itself again. */
export const events: Record<string, { happens(pair: Pair, side: Side): void; ends(pair: Pair, side: Side): unknown }> =
  {
    'planned move (Keepalived stopped)': {
      happens: (pair, side) => void pair[side].keepalived?.kill('SIGTERM'),
      ends: (pair, side) => pair[side].startKeepalived(),
    },
    'HAProxy killed': {
      happens: (pair, side) => pair[side].kill(),
      ends: (pair, side) => pair[side].startHaproxy(),
    },
    'Keepalived killed': {
      happens: (pair, side) => void pair[side].keepalived?.kill('SIGKILL'),
      ends: (pair, side) => pair[side].startKeepalived(),
    },
    'cable cut': {
      happens: (pair, side) => pair[side].link('down'),
      ends: (pair, side) => pair[side].link('up'),
    },
  }

/** A request that comes at some time and takes so long (both ms), at one of some nodes. */
export interface Arrival {
  model: string
  at: number
  takes: number
}

/** Nodes with so many slots each, and which of them have which model: sets that overlap, so that no single queue would do. */
export interface Plan {
  nodes: number
  slots: number
  has: Record<string, number[]>
}

export const modelsOf = ({ has }: Plan, node: number): string[] =>
  Object.keys(has).filter((model) => has[model]?.includes(node))

/** Chance that is the same in each run (mulberry32). */
function chance(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** So many that come by chance and take so long on average (ms), stretched until what they take is this load in fact; Infinity: all at once. */
export function arrivals({ has, nodes, slots }: Plan, count: number, mean: number, load: number): Arrival[] {
  const next = chance(1)
  const models = Object.keys(has)
  let at = 0
  const all = Array.from({ length: count }, () => {
    at += -Math.log(1 - next())
    return { at, takes: mean * (0.25 + 1.5 * next()), model: models[Math.floor(next() * models.length)] ?? '' }
  })
  const stretch = all.reduce((sum, { takes }) => sum + takes, 0) / (load * nodes * slots * at)
  return all.map((one) => ({ ...one, at: one.at * stretch }))
}

/** What each would wait with one queue for all: a slot takes the first that its node can answer, and of nodes the freest is taken. Greedy, so not the least that there could be; ms. */
export function ideal({ has, nodes, slots }: Plan, all: Arrival[]): number[] {
  const free = Array.from({ length: nodes }, () => slots)
  const waits = all.map(() => 0)
  let waiting: number[] = []
  const ends: { at: number; node: number }[] = []
  const give = (now: number) => {
    waiting = waiting.filter((one) => {
      const [node] = (has[all[one]?.model ?? ''] ?? [])
        .filter((candidate) => (free[candidate] ?? 0) > 0)
        .sort((left, right) => (free[right] ?? 0) - (free[left] ?? 0))
      if (node === undefined) return true
      free[node] = (free[node] ?? 0) - 1
      waits[one] = now - (all[one]?.at ?? 0)
      ends.push({ at: now + (all[one]?.takes ?? 0), node })
      ends.sort((left, right) => left.at - right.at)
      return false
    })
  }
  const until = (time: number) => {
    while (ends[0] && ends[0].at <= time) {
      const end = ends.shift() as { at: number; node: number }
      free[end.node] = (free[end.node] ?? 0) + 1
      give(end.at)
    }
  }
  for (const [one, { at }] of all.entries()) {
    until(at)
    waiting.push(one)
    give(at)
  }
  until(Number.POSITIVE_INFINITY)
  return waits
}

export const mean = (values: number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length

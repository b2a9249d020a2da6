import type { Combination } from './refusals.ts'

/** The parts of a combination without which it is no longer red; the version of HAProxy stays. Halves are left out first, then less (delta debugging, Zeller 1999). */
export async function smallest(
  whole: Combination,
  red: (combination: Combination) => Promise<boolean>,
): Promise<Combination> {
  const { haproxy, ...rest } = whole
  let parts = Object.entries(rest)
  for (let size = Math.ceil(parts.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < parts.length; ) {
      const fewer = [...parts.slice(0, at), ...parts.slice(at + size)]
      if (await red({ haproxy, ...Object.fromEntries(fewer) })) parts = fewer
      else at += size
    }
  }
  return { haproxy, ...Object.fromEntries(parts) }
}

import type { Result } from './step.ts'

/** A miss that rests on no other. */
export interface Diagnosis {
  result: Result
  /** ids of what could not be looked at for it */
  follows: string[]
}

/** The misses in the order in which their checks were made, which is that of causes, each with what follows from it. */
export function diagnose(results: Result[]): Diagnosis[] {
  const root = (result: Result | undefined): Result | undefined =>
    result === undefined || result.state === 'missed' ? result : root(results.find(({ id }) => id === result.rests))
  return results
    .filter(({ state }) => state === 'missed')
    .map((result) => ({
      result,
      follows: results.filter((one) => one.rests !== undefined && root(one) === result).map(({ id }) => id),
    }))
}

import { advisories } from './hostile/advisories.ts'
import type { Hostile } from './hostile/form.ts'
import { headers } from './hostile/headers.ts'
import { later } from './hostile/later.ts'
import { targets } from './hostile/targets.ts'

export type { Hostile }

/** All of them: the table of 148 (targets, framing and headers), the holes found later, and one for each advisory. */
export const hostile: Hostile[] = [...targets, ...headers, ...later, ...advisories]

/** The result for this version of HAProxy, as alternatives of statuses, and whether the engine may hear of it. */
export function expected(
  { expect }: Hostile,
  [major, minor]: [number, number],
): { results: string[]; reaches: boolean } {
  const columns = expect.split(' / ')
  const column = major * 100 + minor < 300 ? 0 : major * 100 + minor < 302 ? 1 : major * 100 + minor < 304 ? 2 : 3
  const text = (columns.length === 4 ? columns[column] : columns[0]) ?? ''
  return { results: text.replace('→', '').trim().split('|'), reaches: text.includes('→') }
}

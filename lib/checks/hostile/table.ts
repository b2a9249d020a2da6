import { advisories, lessons } from './advisories.ts'
import type { Hostile } from './form.ts'
import { headers } from './headers.ts'
import { later } from './later.ts'
import { targets } from './targets.ts'

export type { Hostile }

/** By theme: the table of 148 (paths, then framing and headers), holes found later, advisories, and lessons of other gateways. */
export const themes = { path: targets, framing: headers, found: later, advisory: advisories, lesson: lessons }

/** All of them. */
export const hostile: Hostile[] = Object.values(themes).flat()

/** Major and minor version of HAProxy, such as [2, 6]. */
export type Version = [number, number]

/** One result that may come, and whether the engine hears of the request then. */
export interface Alternative {
  result: string
  reaches: boolean
}

/** What may come of a request with this version of HAProxy; its point releases differ, too. */
export function expected({ expect }: Hostile, [major, minor]: Version): Alternative[] {
  const columns = expect.split(' / ')
  const column = major * 100 + minor < 300 ? 0 : major * 100 + minor < 302 ? 1 : major * 100 + minor < 304 ? 2 : 3
  const text = (columns.length === 4 ? columns[column] : columns[0]) ?? ''
  return text.split('|').map((one) => ({ result: one.replace('→', '').trim(), reaches: one.includes('→') }))
}

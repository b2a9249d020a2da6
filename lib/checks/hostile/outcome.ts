import type { Version } from './table.ts'

/** An outcome in the table's words: statuses joined by `+`, else `close`, or `silence` while the connection stands. */
export function resultOf(statuses: number[], end: string): string {
  if (statuses.length > 0) return statuses.join('+')
  return end === 'open' ? 'silence' : 'close'
}

/**
 * Why clients could not read this answer; undefined when they can: an error is JSON on one line in our own words.
 * HTML only where HAProxy before 3.2 parses (haproxy-policy.md §2.2).
 */
export function unreadable(
  status: number,
  type: string | undefined,
  body: string,
  [major, minor]: Version,
): string | undefined {
  if (status < 400) return undefined
  const old = major * 100 + minor < 302
  if (old && /text\/html/.test(type ?? '') && [400, 408, 422].includes(status)) return undefined
  if (type !== 'application/json') return `${status} as ${type}`
  const text = message(body)
  return text?.startsWith('Gateway: ') && !body.trimEnd().includes('\n') ? undefined : `says ${body.slice(0, 200)}`
}

/** The words of an error in either family's shape; undefined when there are none. */
export function message(body: string): string | undefined {
  try {
    const { error } = JSON.parse(body) as { error?: string | { message?: string } }
    return typeof error === 'string' ? error : error?.message
  } catch {
    return undefined
  }
}

import { type Group, groups, openable } from '../../site/endpoints.ts'
import type { Limits } from '../../site/limits.ts'

/** Every group that can be opened. */
export const every: Limits = { groups: (Object.keys(groups) as Group[]).filter(openable) }

/** Keys that reach one limit each at once. */
export const limited = {
  /** none at all */
  free: {},
  /** one request a minute */
  minute: { perMinute: 1 },
  /** one request in 10 s */
  burst: { burst: 1 },
  /** one request at once */
  single: { concurrent: 1 },
  /** nothing is left of the day */
  spent: {},
  /** none of its own, but those that everybody shares */
  shared: {},
  /** a millisecond to the first byte, and of silence: HAProxy before 3.0 takes the larger of the two */
  hasty: { firstByte: 0.001, silence: 0.001 },
  /** one second for a whole request */
  brief: { whole: 1 },
  /** as few bytes a second as somebody has */
  paced: {},
  /** no group but the one that needs no key */
  narrow: { groups: ['probe'] },
  /** a list of models without any */
  listed: { models: [] },
  /** ended long ago */
  expired: {},
} satisfies Record<string, Limits>

/** The keys of a running test.ts: one without any limit, and one for each limit that is to be seen at work. */
export type ProbeKeys = Record<keyof typeof limited, string>

import { type Group, groups, openable } from '../site/endpoints.ts'
import type { Limits, Registry } from '../site/limits.ts'
import type { Settings } from '../site/settings.ts'

/** 31 December 9999: HAProxy compares numbers, and "never" is one. */
const never = 253_402_300_799

/** Every group as one bit, by its place in the table. */
export const bitOf = (group: Group): number => 2 ** Object.keys(groups).indexOf(group)

const bitsOf = (names: Group[]): number => names.reduce((sum, group) => sum + bitOf(group), 0)

/** What a key without groups of its own may use, as far as settings open it: all but what tells of other people. */
export const allGroups = bitsOf((Object.keys(groups) as Group[]).filter((name) => openable(name) && name !== 'metrics'))

const seconds = (iso: string | undefined): number => (iso ? Math.floor(Date.parse(iso) / 1000) : never)

/** What HAProxy knows of somebody: `name|until (s)|groups (bits)|requests a minute|at once|model list or -|in 10 s|while every slot is taken|ms to the first byte|ms of silence|s of the whole request|ms in the queue|bytes a second`; 0 is no limit. */
export function recordOf(name: string, until: number, own: Limits, common: Settings['limits'] = {}): string {
  return [
    name,
    until,
    (own.groups ? bitsOf(own.groups) : allGroups) + (own.admin ? bitOf('manage') : 0),
    own.perMinute ?? common.per_minute ?? 0,
    own.concurrent ?? common.concurrent ?? 0,
    own.models ? 'list' : '-',
    own.burst ?? common.burst ?? 0,
    own.waiting ?? common.waiting ?? 0,
    (own.firstByte ?? 0) * 1000,
    (own.silence ?? 0) * 1000,
    own.whole ?? 0,
    (own.queue ?? 0) * 1000,
    own.perSecond ?? common.per_second ?? 0,
  ].join('|')
}

/** How the names begin under which a running test.ts asks; keys.ts gives none such. */
export const probing = '-test'
/** And of those that are not held to what everybody shares: test.ts asks every row, and would use it up. */
export const exempt = `${probing}-`

/** `keys.map`: the hash of each key -> its record. */
export function keyLines(registry: Registry, limits: Settings['limits'] = {}): Map<string, string> {
  const lines = Object.entries(registry.keys).flatMap(([name, entry]) =>
    entry.hashes.map(({ sha256, until }): [string, string] => {
      const end = Math.min(seconds(entry.expires), seconds(until))
      return [sha256, recordOf(name, end, entry, limits)]
    }),
  )
  return new Map(lines)
}

/** `budgets.map`, for the observer: who, or `*` for everybody else -> `seconds of generation|bytes of answers` a day; 0 is no end. */
export function budgetLines(
  { keys }: Registry,
  { limits, people }: Partial<Pick<Settings, 'limits' | 'people'>> = {},
): Map<string, string> {
  const own = Object.entries({ ...keys, ...people }).map(([name, { perDay }]) => [name, perDay] as const)
  const all = [['*', limits?.per_day] as const, ...own]
  return new Map(all.flatMap(([who, budget]) => (budget ? [[who, `${budget.seconds ?? 0}|${budget.bytes ?? 0}`]] : [])))
}

import { type Group, groups, openable } from '../site/endpoints.ts'
import type { Entry, Limits, Registry } from '../site/limits.ts'
import type { Settings } from '../site/settings.ts'

/** 31 December 9999: HAProxy compares numbers, and "never" is one. */
const never = 253_402_300_799

/** Every group as one bit, by its place in the table. */
export const bitOf = (group: Group): number => 2 ** Object.keys(groups).indexOf(group)

const bitsOf = (names: Group[]): number => names.reduce((sum, group) => sum + bitOf(group), 0)

/** What a key without groups of its own may use, as far as settings open it: all but what tells of other people. */
export const allGroups = bitsOf((Object.keys(groups) as Group[]).filter((name) => openable(name) && name !== 'metrics'))

const seconds = (iso: string | undefined): number => (iso ? Math.floor(Date.parse(iso) / 1000) : never)

/** What HAProxy knows of somebody, in this order. `until` is in unix time, `groups` are bits, `models` is `list` or `-`; times are in ms but `whole`, which is in s; `perSecond` is in bytes; 0 is no limit. `rare` stands last. */
const fields = [
  'name',
  'until',
  'groups',
  'perMinute',
  'concurrent',
  'models',
  'burst',
  'waiting',
  'firstByte',
  'silence',
  'whole',
  'queue',
  'perSecond',
  'rare',
] as const
type Field = (typeof fields)[number]

/** How a rule of HAProxy's reads each field of the record of whoever asks. */
export const record = Object.fromEntries(
  fields.map((name, at) => [name, `var(txn.record),field(${at + 1},|)`]),
) as Record<Field, string>

/** Limits that few have. Each costs every request something to be read, so the record says last whether there is any. */
const rare = ['burst', 'waiting', 'firstByte', 'silence', 'whole', 'queue'] as const
const none = 'plain'

/** A condition of HAProxy's: whoever asks has none of the rare limits. A record that says nothing of it, as earlier versions wrote them, is read. */
export const plain = `{ var(txn.record) -m end |${none} }`

/** Somebody's record. */
export function recordOf(name: string, until: number, own: Limits, common: Settings['limits'] = {}): string {
  const values: Record<Field, string | number> = {
    name,
    until,
    groups: (own.groups ? bitsOf(own.groups) : allGroups) + (own.admin ? bitOf('manage') : 0),
    perMinute: own.perMinute ?? common.per_minute ?? 0,
    concurrent: own.concurrent ?? common.concurrent ?? 0,
    models: own.models ? 'list' : '-',
    burst: own.burst ?? common.burst ?? 0,
    waiting: own.waiting ?? common.waiting ?? 0,
    firstByte: (own.firstByte ?? 0) * 1000,
    silence: (own.silence ?? 0) * 1000,
    whole: own.whole ?? 0,
    queue: (own.queue ?? 0) * 1000,
    perSecond: own.perSecond ?? common.per_second ?? 0,
    rare: none,
  }
  if (rare.some((limit) => values[limit] !== 0)) values.rare = 'rare'
  return fields.map((field) => values[field]).join('|')
}

const end = fields.indexOf('until')

/** When a record ends (s). */
export const endOf = (line: string): number => Number(line.split('|')[end])

/** The same record with another end (s). */
export const endingAt = (line: string, until: number): string => line.split('|').with(end, `${until}`).join('|')

/** How the names begin under which a running test.ts asks; keys.ts gives none such. */
export const probing = '-test'
/** And of those that are not held to what everybody shares: test.ts asks every row, and would use it up. */
export const exempt = `${probing}-`

/** Under this `keys.map` has a 1 while there is no key at all; no hash is called so. */
export const keyless = 'none'

/** `keys.map`: the hash of each key -> its record. */
export function keyLines(registry: Registry, limits: Settings['limits'] = {}): Map<string, string> {
  const lines = linesOf(registry, limits, ({ hashes }) => hashes)
  return new Map(lines.length > 0 ? lines : [[keyless, '1']])
}

/** `certificates.map`: the SHA-256 of each client certificate (DER) -> the record of whom it was made for. */
export const certificateLines = (registry: Registry, limits: Settings['limits'] = {}): Map<string, string> =>
  new Map(linesOf(registry, limits, ({ certificates = [] }) => certificates))

const linesOf = (
  { keys }: Registry,
  limits: Settings['limits'],
  hashesOf: (entry: Entry) => Entry['hashes'],
): [string, string][] =>
  Object.entries(keys).flatMap(([name, entry]) =>
    hashesOf(entry).map(({ sha256, until }): [string, string] => {
      const end = Math.min(seconds(entry.expires), seconds(until))
      return [sha256, recordOf(name, end, entry, limits)]
    }),
  )

/** `budgets.map`, for the observer: who, or `*` for everybody else -> `seconds of generation|bytes of answers` a day; 0 is no end. */
export function budgetLines(
  { keys }: Registry,
  { limits, people }: Partial<Pick<Settings, 'limits' | 'people'>> = {},
): Map<string, string> {
  const own = Object.entries({ ...keys, ...people }).map(([name, { perDay }]) => [name, perDay] as const)
  const all = [['*', limits?.per_day] as const, ...own]
  return new Map(all.flatMap(([who, budget]) => (budget ? [[who, `${budget.seconds ?? 0}|${budget.bytes ?? 0}`]] : [])))
}

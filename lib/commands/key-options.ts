import { exitCodes, Stop } from '../host/command.ts'
import { called, typed } from '../host/typed.ts'
import { keyName } from '../people/registry.ts'
import { parseBudget } from '../site/budget.ts'
import { expandGroups, type Group, groups, openable, presets } from '../site/endpoints.ts'
import { type Limits, limits, modelGlob } from '../site/limits.ts'
import { didYouMean } from '../site/nearest.ts'
import { inOurWords } from '../site/wanted.ts'
import type { Flags } from './cli.ts'

const units: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/** A time such as 90m, 24h, 30d or 2w in ms. */
function span(text: string, flag: string): number {
  const [, count, unit = ''] = /^(\d{1,5})([smhdw])$/.exec(text) ?? []
  if (count === undefined) throw usage(flag, text, 'a time such as 12h, 30d or 8w')
  return Number(count) * (units[unit] ?? 0)
}

const usage = (flag: string, value: string, wanted: string): Stop =>
  new Stop(exitCodes.usage, `--${flag} ${JSON.stringify(value.slice(0, 80))} is not ${wanted}; nothing was changed.`)

const whole = (text: string, flag: string): number => {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw usage(flag, text, 'a whole number from 1 to 9999, or none')
  return Number(text)
}

function groupList(text: string, flag: string): Limits['groups'] {
  const names = text.split(',').map((name) => name.trim())
  const known = [...Object.keys(presets), ...Object.keys(groups)]
  for (const name of names)
    if (!Object.hasOwn(presets, name) && !Object.hasOwn(groups, name))
      throw usage(flag, name, `a group; known are ${known.join(', ')}${didYouMean(name, known)}`)
  const never = names.find((name) => Object.hasOwn(groups, name) && !openable(name as Group))
  if (never)
    throw usage(flag, never, never === 'manage' ? 'opened by groups, but by --admin' : 'a group that can be opened')
  return expandGroups(names)
}

/** When a key ends: after a time from now, or on a day that is still to come. */
function ending(text: string, flag: string, now: number): string {
  const day = /^\d{4}-\d\d/.test(text)
  const at = day ? Date.parse(`${text}T00:00:00Z`) : now + span(text, flag)
  // The 30th of February is read as a day in March.
  if (Number.isNaN(at) || (day && !new Date(at).toISOString().startsWith(text)))
    throw usage(flag, text, 'a day such as 2027-01-31, or a time such as 30d')
  if (at <= now) throw usage(flag, text, 'in the future')
  return new Date(at).toISOString()
}

/** Names or globs; the expansion is made from what is installed. */
function modelList(text: string, flag: string): Limits['models'] {
  const globs = text.split(',').map((glob) => glob.trim())
  for (const glob of globs)
    if (!modelGlob.safeParse(glob).success) throw usage(flag, glob, 'a model or a pattern such as qwen3*')
  return globs
}

/** A time limit in seconds. */
function within(text: string, flag: string, most: number): number {
  const seconds = span(text, flag) / 1000
  if (seconds < 1 || seconds > most) throw usage(flag, text, `a time from 1s to ${most / 60}m`)
  return seconds
}

function share(text: string, flag: string): Limits['perDay'] {
  const budget = parseBudget(text)
  if (!budget) throw usage(flag, text, 'a share of the day such as 2h, 200MB or 2h,200MB')
  return budget
}

function speed(text: string, flag: string): Limits['perSecond'] {
  const { bytes, seconds } = parseBudget(text) ?? {}
  if (!bytes || seconds || bytes > 1024 ** 3) throw usage(flag, text, 'a size from 1KB to 1GB, such as 200KB')
  return bytes
}

const readers: Record<string, (text: string, flag: string, now: number) => Partial<Limits>> = {
  groups: (text, flag) => ({ groups: groupList(text, flag) }),
  models: (text, flag) => ({ models: modelList(text, flag) }),
  'per-minute': (text, flag) => ({ perMinute: whole(text, flag) }),
  burst: (text, flag) => ({ burst: whole(text, flag) }),
  waiting: (text, flag) => ({ waiting: whole(text, flag) }),
  concurrent: (text, flag) => ({ concurrent: whole(text, flag) }),
  'per-day': (text, flag) => ({ perDay: share(text, flag) }),
  'first-byte': (text, flag) => ({ firstByte: within(text, flag, 2100) }),
  silence: (text, flag) => ({ silence: within(text, flag, 2100) }),
  whole: (text, flag) => ({ whole: within(text, flag, 86_400) }),
  queue: (text, flag) => ({ queue: within(text, flag, 2100) }),
  'per-second': (text, flag) => ({ perSecond: speed(text, flag) }),
  expires: (text, flag, now) => ({ expires: ending(text, flag, now) }),
  note: (text) => ({ note: text.replaceAll(/\s+/g, ' ') }),
}
const fields: Record<string, keyof Limits> = {
  groups: 'groups',
  models: 'models',
  'per-minute': 'perMinute',
  burst: 'burst',
  waiting: 'waiting',
  concurrent: 'concurrent',
  'per-day': 'perDay',
  'first-byte': 'firstByte',
  silence: 'silence',
  whole: 'whole',
  queue: 'queue',
  'per-second': 'perSecond',
  expires: 'expires',
  note: 'note',
}

/** What each option goes with; elsewhere it would be heard by nobody. */
export const only: Record<string, string[]> = {
  ...Object.fromEntries(Object.keys(readers).map((flag) => [flag, ['add', 'limits']])),
  admin: ['add', 'limits'],
  certificate: ['add'],
  qr: ['add', 'rotate'],
  grace: ['rotate'],
  cut: ['revoke'],
}

/** What the flags change of a key's limits; `none` takes one away. Throws `Stop` (exit 2) before anything is touched. */
export function withFlags(before: Limits, flags: Flags, now = Date.now()): Limits {
  const after: Limits = { ...before }
  for (const [flag, read] of Object.entries(readers)) {
    const value = flags[flag]
    if (typeof value !== 'string') continue
    const field = fields[flag]
    if (value === 'none' && field) delete after[field]
    else Object.assign(after, read(value, flag, now))
  }
  if (flags.admin) after.admin = true
  if (after.admin && after.models)
    throw new Stop(
      exitCodes.usage,
      'An admin key may copy and delete every model, so a list of models would mean nothing (--admin, --models); nothing was changed.',
    )
  const { error } = limits.safeParse(after, { reportInput: true, error: inOurWords })
  const [issue] = error?.issues ?? []
  if (issue) throw new Stop(exitCodes.usage, `--${flagOf(issue.path[0])} takes ${issue.message}; nothing was changed.`)
  return after
}

const flagOf = (field: PropertyKey | undefined): string =>
  Object.keys(fields).find((flag) => fields[flag] === field) ?? String(field)

/** How long the old key still counts after a rotation, ms; 0 when not told. */
export const graceOf = (flags: Flags): number => (typeof flags.grace === 'string' ? span(flags.grace, 'grace') : 0)

/** The name given; throws `Stop` (exit 2) when it is none, or too much is given. */
export function oneName(names: string[], verb: string): string {
  if (names.length === 0)
    throw new Stop(
      exitCodes.usage,
      `The name is missing: ${typed(`keys ${verb}`)} NAME${verb === 'add' ? '' : ` (${called('keys')} list shows those there are)`}; nothing was changed.`,
    )
  const checked = keyName.safeParse(names[0])
  if (names.length !== 1 || !checked.success)
    throw new Stop(
      exitCodes.usage,
      `${called('keys')} ${verb} takes ${checked.success ? 'one name' : (checked.error.issues[0]?.message ?? 'a name')}, not ${JSON.stringify(names.join(' ').slice(0, 80))}; nothing was changed.`,
    )
  return checked.data
}

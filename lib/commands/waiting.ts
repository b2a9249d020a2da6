import { partChecks } from '../checks/index.ts'
import type { Look } from '../host/host.ts'
import { typed } from '../host/typed.ts'
import { places } from '../platform/here.ts'
import { changesOf } from '../site/changes.ts'
import { parseSettings, type Settings } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { again, observeAll, type Result } from '../steps/step.ts'
import { needOf } from './change.ts'
import type { Prepared } from './prepare.ts'

/** Settings that somebody wrote and nobody applied. */
export interface Waiting {
  /** those that were brought in force last */
  inForce: Settings
  /** what changes with those that are written, a sentence each */
  changes: string[]
}

/** What the settings say otherwise than when they were last brought into effect; undefined where that is nothing, or not known. */
export async function waitingIn(look: Look, { settings, settingsText, defaults, registry }: Setup) {
  const text = await look.read(places(look).applied)
  if (text === undefined) return undefined
  try {
    const inForce = parseSettings(text, places(look).applied)
    const after = { text: settingsText, settings }
    const changes = changesOf({ text, settings: inForce }, after, defaults, Object.keys(registry.keys).length)
    return changes.length > 0 ? { inForce, changes } : undefined
  } catch {
    // Settings of an earlier version may be none of this one's.
    return undefined
  }
}

/** What is missed because settings wait is brought about by `apply`. */
export const withApply = (result: Result): Result =>
  result.state === 'missed' && result.remedy?.startsWith(again) && needOf(result) !== undefined
    ? { ...result, remedy: `Run ${typed('apply')}.` }
    : result

export interface Looked {
  /** by the settings as they are written */
  results: Result[]
  /** by those that are in force, for a person's eyes */
  shown: Result[]
  /** with the settings that are in force */
  setup: Setup
  /** sentences; none where nothing waits for `apply` */
  waiting: string[]
}

/** Looks at every part by what is written, and where that is not in force yet, by what is. */
export async function looked(
  look: Look,
  { machine, setup }: Prepared,
  tell: (result: Result) => void = () => {},
): Promise<Looked> {
  const waiting = await waitingIn(look, setup)
  const seen = await observeAll(partChecks(machine, setup), look, waiting ? () => {} : tell)
  if (!waiting) return { results: seen, shown: seen, setup, waiting: [] }
  const results = seen.map(withApply)
  const before = { ...setup, settings: waiting.inForce }
  const shown = await observeAll(partChecks(machine, before), look)
  const fails = shown.filter(({ state }) => state === 'missed').map(({ id }) => id)
  // What nobody has to bring in, such as what the observer reads by itself, is in force.
  const open = results.some(({ id, state }) => state === 'missed' && !fails.includes(id))
  const last = open ? { results, shown, setup: before, waiting: waiting.changes } : undefined
  const told = last ?? { results, shown: results, setup, waiting: [] }
  for (const result of told.shown) tell(result)
  return told
}

import { exitCodes, Stop, Unexpected } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { askingOnce } from '../host/look.ts'
import { called, typed } from '../host/typed.ts'
import { fullOrClosed } from '../host/unwritable.ts'

/** What a check saw. Advice never changes an exit code. */
export type Finding =
  | { is: 'ok'; saw: string }
  | { is: 'missed'; saw: string; remedy: string; evidence?: string[] }
  | { is: 'advice'; saw: string; remedy: string }
  | { is: 'skipped'; why: string }

export interface Check {
  /** `part.thing`, lower case with hyphens */
  id: string
  /** what is true when it passes */
  title: string
  /** changes for a moment what happens to others: runs last and only when asked for */
  disturbs?: boolean
  /** is skipped when one of these ids was missed or skipped */
  needs?: string[]
  /** exit code of install when this stays missed; 1 when absent */
  exit?: number
  /** what it saw is worth knowing before anything is done: advice, or a step that is to be done, stands in the plan */
  ahead?: boolean
  /** rests on other machines: while it stays missed, what comes after it is done all the same, and the exit code tells */
  onOthers?: boolean
  /** asks a model for an answer */
  inference?: boolean
  /** the settings do not open what it asks, so it is skipped and leaves nothing unproven */
  closed?: boolean
  check(look: Look): Promise<Finding>
}

/** A proof that changes something for a moment, and puts it back whatever it finds. */
export interface Trial extends Omit<Check, 'check'> {
  attempt(host: Host): Promise<Finding>
}

export interface Step extends Check {
  apply(host: Host): Promise<void>
  /** hands the terminal to a command, asks or shows progress: no spinner may turn meanwhile */
  interactive?: boolean
  /** what the person is asked for, or waited for, meanwhile */
  asks?: string[]
  /** ids of earlier steps that may lift a refusal of `apply`: while one of them is still to be done, a plan passes it over */
  after?: string[]
  /** why it stays missed after it was applied, and what helps; absent where nobody can say more */
  stays?(look: Look, saw: string): Promise<{ saw: string; remedy: string }>
  /** ms within which the check must turn ok after apply; 0 when absent */
  settlesWithin?: number
  /** the package that it installs */
  brings?: string
  undo?(host: Host): Promise<void>
  /** what is true when uninstall has taken it back, as the title says what is true when it is there */
  undone?: string
  /** why uninstall leaves it */
  keeps?: string
  /** why uninstall leaves it on this machine: it is there, and somebody else made it */
  theirs?(look: Look): Promise<string | undefined>
  /** whether uninstall succeeded; without it the opposite of the check counts */
  gone?(look: Look): Promise<Finding>
}

export interface Result {
  id: string
  title: string
  state: 'ok' | 'done' | 'planned' | 'missed' | 'advice' | 'skipped' | 'kept' | 'removed'
  saw: string
  remedy?: string
  /** where that can be seen: a file and its line, a command and its answer */
  evidence?: string[]
  /** the check that it rests on, which was missed or skipped, so that it was not looked at */
  rests?: string
  ms: number
  /** the exit code that the failure asks for */
  exit?: number
}

export const ok = (saw: string): Finding => ({ is: 'ok', saw })
export const missed = (saw: string, remedy: string, evidence?: string[]): Finding => ({
  is: 'missed',
  saw,
  remedy,
  ...(evidence && evidence.length > 0 && { evidence }),
})
export const advice = (saw: string, remedy: string): Finding => ({ is: 'advice', saw, remedy })
export const skipped = (why: string): Finding => ({ is: 'skipped', why })

/** The remedy of what install.ts and apply.ts bring about. */
export const again = `Run ${called('install')} again.`
/** What has the gateway forget all that it was told otherwise than by its files. */
const anew = `\`${typed('apply')} --reload\` has the gateway read its configuration anew.`
/** The remedy where everything is as it was written, and the gateway does otherwise all the same. */
export const unexplained = `${anew} If this is missed again, it is a fault of ours or of this HAProxy: please report it with the log that \`${typed('test')}\` writes.`
/** The remedy where something gets through that must be refused. */
export const alarm = `${anew} If this is missed again, stop the gateway (${typed('uninstall')}; your settings and keys stay) and report it.`
/** The remedy of what install.ts has just done in vain. */
export const inVain =
  'It was done a moment ago and did not stay: look who else changes it, or report it with the log of this run.'

/** What one who has just installed is told of a miss: the same again would help nobody. */
export const afterInstall = (result: Result): Result =>
  result.state === 'missed' && result.remedy?.startsWith(again) ? { ...result, remedy: inVain } : result

/** The same checks, each skipped when one of these ids was missed. */
export const restingOn = <C extends Check>(ids: string[], checks: C[]): C[] =>
  checks.map((check) => ({ ...check, needs: [...(check.needs ?? []), ...ids] }))

/** Whether a check can also be applied. */
export const isStep = (check: Check): check is Step => 'apply' in check

async function look(check: Check, at: Look): Promise<Finding> {
  return check
    .check(at)
    .catch((error: unknown) => missed(`the check broke: ${error}`, 'Run again with --verbose and report the log.'))
}

/** Runs one check and times it (ms). */
export async function observe(check: Check, at: Look): Promise<Result> {
  const started = performance.now()
  return toResult(check, await look(check, at), performance.now() - started)
}

/** The record of a finding. */
export function toResult(check: Check, finding: Finding, ms: number): Result {
  const base = { id: check.id, title: check.title, ms }
  if (finding.is === 'skipped') return { ...base, state: 'skipped', saw: finding.why }
  if (finding.is === 'ok') return { ...base, state: 'ok', saw: finding.saw }
  const seen = { ...base, state: finding.is, saw: finding.saw, remedy: finding.remedy }
  return finding.is === 'missed' && finding.evidence ? { ...seen, evidence: finding.evidence } : seen
}

/** Runs checks in order, each after what must come before it; one whose `needs` did not pass is skipped with the reason. */
export async function observeAll(
  checks: Check[],
  at: Look,
  tell: (result: Result) => void = () => {},
  before: () => Promise<void> = async () => {},
): Promise<Result[]> {
  const results = new Map<string, Result>()
  const once = askingOnce(at)
  for (const check of checks) {
    await before()
    const broken = check.needs?.find((id) => ['missed', 'skipped'].includes(results.get(id)?.state ?? 'ok'))
    const result = broken
      ? { ...toResult(check, { is: 'skipped', why: `rests on ${broken}` }, 0), rests: broken }
      : await observe(check, once)
    results.set(check.id, result)
    tell(result)
  }
  return [...results.values()]
}

/** Check; when missed apply, then check until it settles. Gives `done`, `ok`, `advice`, `skipped` or the last miss. */
export async function converge(step: Check, host: Host): Promise<Result> {
  const before = await observe(step, host)
  if (before.state !== 'missed' || !isStep(step)) return before
  const started = performance.now()
  const failure = await step.apply(host).then(
    () => undefined,
    (error: unknown) => error as Error,
  )
  if (failure) return failed(step, failure, before.ms + performance.now() - started)
  const finding = await settled(step, host)
  const result = toResult(step, finding, before.ms + performance.now() - started)
  if (result.state === 'missed') return { ...afterInstall(result), ...(await step.stays?.(host, result.saw)) }
  return result.state === 'ok' ? { ...result, state: 'done' } : result
}

function failed(step: Step, error: Error, ms: number): Result {
  if (error.name === 'ExitPromptError') throw error
  const closed = fullOrClosed(error)
  return {
    id: step.id,
    title: step.title,
    state: 'missed',
    saw: closed ? `${closed.why} (${error.message})` : error.message,
    // A Stop says itself what to do.
    remedy:
      error instanceof Stop
        ? undefined
        : `${closed ? capital(closed.todo) : 'Mend that'} and run ${called('install')} again: it goes on where it stopped.`,
    ms,
    exit: exitOf(error),
  }
}

const capital = (text: string): string => `${text[0]?.toUpperCase()}${text.slice(1)}`

/** A failure may know its own exit code: what a person declined, what was left undone, a network out of reach. */
function exitOf(error: Error): number | undefined {
  if (error instanceof Stop) return error.code
  return error instanceof Unexpected && error.offline ? exitCodes.precondition : undefined
}

async function settled(step: Step, host: Host): Promise<Finding> {
  let last = await look(step, host)
  await host.until(`this holds: ${step.title}`, step.settlesWithin ?? 0, async () => {
    last = await look(step, host)
    return last.is !== 'missed'
  })
  return last
}

/** Undoes a step and looks whether it is gone. */
export async function withdraw(step: Step, host: Host): Promise<Result> {
  const base = { id: step.id, title: step.undone ?? step.title }
  if (!step.undo) return { ...base, title: step.title, state: 'kept', saw: step.keeps ?? 'nothing to remove', ms: 0 }
  const started = performance.now()
  try {
    const theirs = await step.theirs?.(host)
    if (theirs !== undefined)
      return { ...base, title: step.title, state: 'kept', saw: theirs, ms: performance.now() - started }
    await step.undo(host)
    const finding = step.gone ? await step.gone(host) : inverted(await look(step, host))
    const ms = performance.now() - started
    if (finding.is === 'missed') return { ...base, state: 'missed', saw: finding.saw, remedy: finding.remedy, ms }
    return { ...base, state: 'removed', saw: finding.is === 'skipped' ? finding.why : finding.saw, ms }
  } catch (error) {
    return {
      ...base,
      state: 'missed',
      saw: (error as Error).message,
      remedy: `Run ${called('uninstall')} again.`,
      ms: performance.now() - started,
    }
  }
}

const inverted = (finding: Finding): Finding =>
  finding.is === 'ok' ? missed('it is still there', `Run ${called('uninstall')} again.`) : ok('gone')

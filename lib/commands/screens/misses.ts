import type { ChalkInstance } from 'chalk'
import { meaning } from '../../checks/means.ts'
import type { Named } from '../../host/typed.ts'
import { type Diagnosis, diagnose } from '../../steps/diagnosis.ts'
import type { Result } from '../../steps/step.ts'

/** A word in front, and a text beside it. */
export const beside = (word: string, text: string): string => `  ${word.padEnd(5)}  ${text}`

/** Names of files and jobs stay as they are written. */
const capital = (saw: string): string => (/^[a-z]+[ ’,]/.test(saw) ? saw.charAt(0).toUpperCase() + saw.slice(1) : saw)

/** What was seen, for a line of its own. */
export const sentence = (saw: string): string => `${capital(saw)}.`

/** One thing that is not as promised: what was seen, what that means, what to do, and how much follows from it. */
export function missLines({ result, follows }: Diagnosis, chalk: ChalkInstance): string[] {
  const { id, saw, evidence = [], remedy } = result
  const means = meaning(id)
  return [
    `${chalk.red('✗')} ${sentence(saw)} ${chalk.dim(`[${id}]`)}`,
    ...evidence.map((line, at) => beside(at === 0 ? 'seen' : '', line)),
    ...(means ? [beside('means', means)] : []),
    ...(remedy ? [beside('do', remedy)] : []),
    ...(follows.length > 0 ? [beside('', chalk.dim(`${follows.length} more follow from this.`))] : []),
  ]
}

/** What a terminal shows of a line at least. */
const line = 80

/** What is advised: why, and what to do, on one line where both fit: a command is not torn apart. */
export function adviceLine({ saw, remedy = '' }: Result, chalk: ChalkInstance): string {
  const [mark, way] = [chalk.yellow('!'), `→ ${remedy}`]
  if (remedy === '') return `${mark} ${sentence(saw)}`
  return saw.length + way.length + 3 <= line ? `${mark} ${capital(saw)} ${way}` : `${mark} ${sentence(saw)}\n  ${way}`
}

/** Tells apart what is known already where advice is listed: who comes in has a line of its own. */
const said = ['tailscale.policy']

/** At most so many pieces of advice, and where the rest is. */
export function worth(results: Result[], most: number, rest: string, chalk: ChalkInstance): string[] {
  const advice = results.filter(({ id, state }) => state === 'advice' && !said.includes(id))
  const more = advice.length - most
  return [
    ...advice.slice(0, most).map((one) => adviceLine(one, chalk)),
    ...(more > 0 ? [`  ${more} more: ${rest}`] : []),
  ]
}

/** At most so many misses, the first cause first, and where the rest is. */
export function wrong(results: Result[], most: number, rest: string, chalk: ChalkInstance): string[] {
  const found = diagnose(results)
  const more = found.length - most
  return [
    ...found.slice(0, most).flatMap((one) => missLines(one, chalk)),
    ...(more > 0 ? [`  ${more} more: ${rest}`] : []),
  ]
}

/** Settings that nobody brought in force: what will be otherwise, and by what. */
export function waitingLines(changes: string[], named: Named, chalk: ChalkInstance): string[] {
  if (changes.length === 0) return []
  const most = 3
  return [
    `${chalk.yellow('!')} settings.yaml was changed and is not in force yet; ${named('apply')} brings it in:`,
    ...changes.slice(0, most).map((change) => `  + ${change}`),
    ...(changes.length > most ? [`  ${changes.length - most} more: ${named('apply --dry-run')}`] : []),
  ]
}

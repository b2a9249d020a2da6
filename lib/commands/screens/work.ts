import type { ChalkInstance } from 'chalk'
import { exitCodes } from '../../host/command.ts'
import type { About } from '../../parts/part.ts'
import { counts } from '../../steps/results.ts'
import type { Result } from '../../steps/step.ts'
import { sentence } from './misses.ts'

const wide = 10

/** A part in a line, when its steps are through: what it is for, or what is advised. Undefined where all was as it should be. */
export function partLine({ title, what }: About, results: Result[], chalk: ChalkInstance): string | undefined {
  const advised = results.find(({ state }) => state === 'advice')
  if (advised) return `${chalk.yellow('!')} ${title.padEnd(wide)} ${sentence(advised.saw)}`
  return results.some(({ state }) => state === 'done') ? `${chalk.green('✓')} ${title.padEnd(wide)} ${what}` : undefined
}

/** What was proven, in a line; where that is not all, the verdict as test.ts gives it. */
export function proofLine(results: Result[], verdict: string, code: number, chalk: ChalkInstance): string {
  if (code !== exitCodes.done) return `\n${verdict}`
  const { passed, advice } = counts(results)
  return `${chalk.green('✓')} ${'Proof'.padEnd(wide)} ${passed + advice} checks, 0 missed`
}

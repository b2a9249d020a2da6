import type { ChalkInstance } from 'chalk'
import { getJunitXml } from 'junit-xml'
import type { Result } from './step.ts'

const marks: Record<Result['state'], string> = {
  ok: '✓',
  done: '✓',
  planned: '+',
  removed: '✓',
  missed: '✗',
  advice: '!',
  skipped: '-',
  kept: '·',
}

/** One result as a line, with its remedy below when there is one. */
export function line(result: Result, chalk: ChalkInstance): string {
  const colour = {
    ok: chalk.green,
    done: chalk.green,
    removed: chalk.green,
    planned: chalk.cyan,
    missed: chalk.red,
    advice: chalk.yellow,
    skipped: chalk.dim,
    kept: chalk.dim,
  }[result.state]
  const word = result.state === 'done' || result.state === 'kept' ? ` (${result.state})` : ''
  const remedy = result.remedy ? `\n    ${chalk.dim('→')} ${result.remedy}` : ''
  return `${colour(marks[result.state])} ${result.title}${word} ${chalk.dim(`[${result.id}]`)}\n    ${chalk.dim(result.saw)}${remedy}`
}

export interface Counts {
  passed: number
  missed: number
  advice: number
  skipped: number
}

/** How many of each: `passed` are ok, done, removed. */
export function counts(results: Result[]): Counts {
  const of = (...states: Result['state'][]) => results.filter((result) => states.includes(result.state)).length
  return { passed: of('ok', 'done', 'removed'), missed: of('missed'), advice: of('advice'), skipped: of('skipped') }
}

/** TAP version 13 (testanything.org). */
export function tap(results: Result[]): string {
  const lines = results.map((result, at) => {
    const good = result.state !== 'missed'
    const skip =
      result.state === 'skipped'
        ? ` # SKIP ${result.saw}`
        : result.state === 'advice'
          ? ` # TODO advice: ${result.saw}`
          : ''
    const trouble = good
      ? ''
      : `\n  ---\n  saw: ${JSON.stringify(result.saw)}\n  remedy: ${JSON.stringify(result.remedy ?? '')}\n  ...`
    return `${good ? 'ok' : 'not ok'} ${at + 1} - ${result.id} ${result.title.replaceAll('#', '')}${skip}${trouble}`
  })
  return ['TAP version 13', `1..${results.length}`, ...lines].join('\n')
}

/** JUnit's XML; advice counts as passed, its text is in the output. */
export function junit(results: Result[]): string {
  return getJunitXml({
    name: 'remote-ollama-proxy',
    suites: [
      {
        name: 'test.ts',
        testCases: results.map((result) => ({
          name: `${result.id} ${result.title}`,
          classname: result.id.split('.')[0] ?? '',
          time: result.ms / 1000,
          skipped: result.state === 'skipped',
          failures: result.state === 'missed' ? [{ message: `${result.saw} -> ${result.remedy ?? ''}` }] : [],
          systemOut: [result.saw],
        })),
      },
    ],
  })
}

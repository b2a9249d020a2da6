import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** What one step of the proof came to. */
export interface Row {
  step: string
  passed: number
  /** what was not as promised */
  missed: string[]
  /** what was measured or seen, and is no promise of ours */
  noted: string[]
  /** what could not be tried here, with the reason */
  skipped: string[]
  seconds: number
}

/** Where a step tells what it sees. */
export interface Step {
  /** a promise: kept or missed; `saw` says what there was instead */
  holds(what: string, kept: boolean, saw?: string): boolean
  note(text: string): void
  /** says what was not tried, and what is missing for it */
  skip(what: string, why: string): void
  /** puts something into the folder that is kept with the run */
  keep(name: string, text: string): void
}

/** The folder of rows and evidence: $REAL_MAC_RESULTS, or `real-mac` among the temporary files of the run. */
export const results = process.env.REAL_MAC_RESULTS || join(process.env.RUNNER_TEMP || tmpdir(), 'real-mac')

const rowsFile = join(results, 'rows.jsonl')

/** Writes evidence into the results; gives its path. */
export function keep(name: string, text: string): string {
  const path = join(results, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  return path
}

/** The rows of all steps so far, in their order; a step that ran again counts once, as it ran last. */
export function rows(): Row[] {
  if (!existsSync(rowsFile)) return []
  const all = readFileSync(rowsFile, 'utf8').trim().split('\n')
  const newest = new Map(all.map((line) => [JSON.parse(line).step as string, JSON.parse(line) as Row]))
  return [...newest.values()]
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ').slice(0, 500)

/** Rows as a table of GitHub's Markdown. */
export function table(list: Row[]): string {
  const words = ({ missed, noted, skipped }: Row) =>
    [...missed.map((one) => `✗ ${one}`), ...noted, ...skipped.map((one) => `not tried: ${one}`)].map(cell).join('<br>')
  const lines = list.map(
    (row) => `| ${row.step} | ${row.passed} | ${row.missed.length} | ${Math.round(row.seconds)} s | ${words(row)} |`,
  )
  return ['| step | passed | missed | took | seen |', '| --- | ---: | ---: | ---: | --- |', ...lines, ''].join('\n')
}

/** Adds to the summary that GitHub shows of a run; nothing elsewhere. */
export function summarize(text: string): void {
  const file = process.env.GITHUB_STEP_SUMMARY
  if (file) appendFileSync(file, `${text}\n`)
}

function teller(row: Row): Step {
  const say = (text: string) => process.stdout.write(`${text}\n`)
  return {
    holds(what, kept, saw = '') {
      if (kept) row.passed += 1
      else row.missed.push(saw ? `${what}: ${saw}` : what)
      say(`${kept ? '✓' : '✗'} ${what}${kept || !saw ? '' : `\n    ${saw}`}`)
      return kept
    },
    note(text) {
      row.noted.push(text)
      say(`· ${text}`)
    },
    skip(what, why) {
      row.skipped.push(`${what} (${why})`)
      say(`- not tried: ${what} (${why})`)
    },
    keep: (name, text) => void keep(`${row.step}/${name}`, text),
  }
}

/** Runs one step of the proof: its row goes to rows.jsonl and, when something was missed, to the run's summary. Ends the process with 1 on a miss. */
export async function step(name: string, work: (step: Step) => Promise<void>): Promise<void> {
  const row: Row = { step: name, passed: 0, missed: [], noted: [], skipped: [], seconds: 0 }
  const started = performance.now()
  await work(teller(row)).catch((error: unknown) => {
    row.missed.push(`the step stopped: ${error instanceof Error ? error.message : error}`)
    process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
  })
  row.seconds = (performance.now() - started) / 1000
  mkdirSync(results, { recursive: true })
  appendFileSync(rowsFile, `${JSON.stringify(row)}\n`)
  process.stdout.write(`${name}: ${row.passed} passed, ${row.missed.length} missed, ${row.skipped.length} not tried\n`)
  if (row.missed.length > 0) summarize(table([row]))
  process.exitCode = row.missed.length > 0 ? 1 : 0
}

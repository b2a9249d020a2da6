import { Chalk, type ChalkInstance } from 'chalk'
import { exitCodes, Stop } from '../host/command.ts'
import { openLog } from '../host/host.ts'
import { places } from '../platform/here.ts'
import { line } from '../steps/results.ts'
import type { Result } from '../steps/step.ts'
import { type Flags, told, type Usage, unheard } from './arguments.ts'

export type { Flags } from './arguments.ts'

/** How a script talks to the person, or to a program. */
export interface Ui {
  /** a person sits at both ends of the terminal */
  attended: boolean
  json: boolean
  yes: boolean
  quiet: boolean
  verbose: boolean
  chalk: ChalkInstance
  say(text: string): void
  /** prints what no log may hold */
  secret(text: string): void
  result(result: Result): void
  /** shows that something is under way; gives back the end of it. What is long in itself is told where nothing turns, too. */
  busy(text: string, long?: boolean): () => void
  /** says what is waited for, and how long */
  waiting(text: string): void
  confirm(text: string, initial: boolean): Promise<boolean>
  choose(text: string, choices: { value: string; name: string; checked: boolean }[]): Promise<string[]>
  note(line: string): void
}

export interface Script extends Usage {
  /** the name of the log file of a run; without it none is written */
  log?: string
  run(ui: Ui, flags: Flags, names: string[]): Promise<number>
}

/** Runs a script: flags, log, one sentence for what the person can mend, and the exit code from the table. */
export async function runScript(script: Script, argv: string[]): Promise<void> {
  unheard()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      process.stderr.write(`${interrupted}\n`)
      process.exit(exitCodes.interrupted)
    })
  }
  process.exitCode = await attempt(script, argv).catch((error) => {
    const code = explain(error)
    if (argv.includes('--json')) process.stdout.write(`${JSON.stringify({ code, error: saidOf(error) }, null, 2)}\n`)
    return code
  })
}

async function attempt(script: Script, argv: string[]): Promise<number> {
  const said = await told(script, argv)
  if (!said) return exitCodes.done
  const { flags, names } = said
  if (!script.log || flags['dry-run']) return script.run(await makeUi(flags, () => {}), flags, names)
  const file = `${places({ home: process.env.HOME ?? '' }).logs}/${new Date().toISOString().replaceAll(/[:.]/g, '-')}-${script.log}.log`
  const log = await openLog(file).catch((error: Error) => {
    throw new Stop(
      3,
      `The log ${file} cannot be written (${error.message}); repair the folder’s permissions and run again.`,
    )
  })
  const note = (line: string) => {
    log.note(line)
    if (flags.verbose) process.stderr.write(`${line}\n`)
  }
  const ui = await makeUi(flags, note)
  ui.say(ui.chalk.dim(`log: ${file}`))
  try {
    return await script.run(ui, flags, names)
  } catch (error) {
    log.note(`${error instanceof Error ? error.stack : error}`)
    throw error
  } finally {
    ui.say(ui.chalk.dim(`log: ${file}`))
    await log.close()
  }
}

const interrupted = 'Interrupted; what was done so far stays, and the next run goes on from there.'

const saidOf = (error: unknown): string => (error instanceof Error ? error.message : `${error}`)

/** Ctrl-C at a question rejects with ExitPromptError. */
function explain(error: unknown): number {
  const name = error instanceof Error ? error.name : ''
  if (name === 'ExitPromptError' || name === 'AbortPromptError') {
    process.stderr.write(`${interrupted}\n`)
    return exitCodes.interrupted
  }
  if (error instanceof Stop) {
    process.stderr.write(`${error.message}\n`)
    return error.code
  }
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'EACCES' || code === 'EPERM') {
    process.stderr.write(`${(error as Error).message}: repair the permissions and run again.\n`)
    return exitCodes.precondition
  }
  if (code === 'ENOSPC') {
    process.stderr.write(`${(error as Error).message}: the disk is full; make room and run again.\n`)
    return exitCodes.failed
  }
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : error}\n`)
  return exitCodes.failed
}

/** chalk and ora look at the terminal; NO_COLOR (no-color.org) is looked at here. What only a person needs is loaded for one. */
async function makeUi(flags: Flags, note: (line: string) => void): Promise<Ui> {
  const json = flags.json === true || flags.tap === true
  const attended = process.stdin.isTTY === true && process.stdout.isTTY === true && !json
  const chalk = process.env.NO_COLOR || !process.stdout.isTTY ? new Chalk({ level: 0 }) : new Chalk()
  const quiet = flags.quiet === true
  const verbose = flags.verbose === true
  const prompts = attended ? await import('@inquirer/prompts') : undefined
  const spinner = process.stderr.isTTY && !json && !quiet ? (await import('ora')).default : undefined
  let current: { text: string } | undefined
  const ui: Ui = {
    attended,
    json,
    yes: flags.yes === true,
    quiet,
    verbose,
    chalk,
    say(text) {
      if (!verbose) note(text)
      if (!json) process.stdout.write(`${text}\n`)
    },
    secret(text) {
      if (!json) process.stdout.write(`${text}\n`)
    },
    result(result) {
      note(`${result.state} ${result.id}: ${result.saw}`)
      if (json || (quiet && result.state !== 'missed')) return
      process.stdout.write(`${line(result, chalk)}\n`)
    },
    busy(text, long = false) {
      const wondering = long && !spinner ? setTimeout(() => ui.waiting(text), 2000) : undefined
      const turning = spinner?.({ text, discardStdin: false, color: process.env.NO_COLOR ? undefined : 'cyan' }).start()
      current = turning
      return () => {
        clearTimeout(wondering)
        turning?.stop()
        current = undefined
      }
    },
    waiting(text) {
      if (current) current.text = text
      else if (!quiet) ui.say(text)
    },
    confirm: (text, initial) =>
      prompts && !ui.yes ? prompts.confirm({ message: text, default: initial }) : Promise.resolve(initial),
    choose(text, choices) {
      if (prompts && !ui.yes) return prompts.checkbox({ message: text, choices })
      return Promise.resolve(choices.filter((choice) => choice.checked).map((choice) => choice.value))
    },
    note,
  }
  return ui
}

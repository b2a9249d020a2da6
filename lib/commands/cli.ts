import { dirname } from 'node:path'
import { Chalk, type ChalkInstance } from 'chalk'
import { exitCodes, Stop } from '../host/command.ts'
import { openLog, realLook } from '../host/host.ts'
import { takeBack } from '../host/overheard.ts'
import { fullOrClosed } from '../host/unwritable.ts'
import { places } from '../platform/here.ts'
import { tilde } from '../steps/resources.ts'
import { line } from '../steps/results.ts'
import type { Result } from '../steps/step.ts'
import { beginWithAlert } from './alerting.ts'
import { type Flags, told, type Usage, unheard } from './arguments.ts'
import { fromOutside } from './outside.ts'
import { complain, print } from './screens/wrap.ts'

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
  /** columns of the terminal; 80 where there is none */
  width: number
  /** wraps at the terminal's width, but for lines to be copied, which begin with four blanks */
  say(text: string): void
  /** prints what no log may hold */
  secret(text: string): void
  /** notes a result; prints what was missed, and everything when asked for */
  result(result: Result): void
  /** shows that something is under way; gives back the end of it. What is long in itself is told where nothing turns, too. */
  busy(text: string, long?: boolean): () => void
  /** the same for something that changes the machine: whoever interrupts it is told at what */
  doing(text: string, quietly: boolean): () => void
  /** how far something long is: in place on a terminal, elsewhere a line now and then, ever more rarely */
  progress(text: string): void
  /** says what is waited for, and how long */
  waiting(text: string): void
  confirm(text: string, initial: boolean): Promise<boolean>
  /** one of these words, or its first letter; the first one where nobody is asked */
  decide<W extends string>(text: string, words: readonly [W, ...W[]]): Promise<W>
  choose(text: string, choices: { value: string; name: string; short?: string }[], initial: string): Promise<string>
  /** a word; `check` gives true or what is wrong with it */
  word(text: string, check: (word: string) => true | string): Promise<string>
  note(line: string): void
}

export interface Script extends Usage {
  /** the name of the log file of a run, which may depend on what it was told; without it none is written */
  log?: string | ((argv: string[]) => string | undefined)
  run(ui: Ui, flags: Flags, names: string[]): Promise<number>
}

/** Runs a script: flags, log, one sentence for what the person can mend, and the exit code from the table. */
export async function runScript(script: Script, argv: string[]): Promise<void> {
  unheard()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, async () => {
      await course.held
      takeBack()
      course.still?.()
      complain(interrupted())
      process.exit(exitCodes.interrupted)
    })
  }
  await explained(() => attempt(script, argv), argv.includes('--json'))
}

/** Does something and sets the exit code; what it throws is said in one sentence. */
export async function explained(work: () => Promise<number>, json = false): Promise<void> {
  process.exitCode = await work().catch((error) => {
    const code = explain(error)
    if (course.log && !json) process.stdout.write(`log: ${course.log}\n`)
    if (json) process.stdout.write(`${JSON.stringify({ code, error: saidOf(error) }, null, 2)}\n`)
    return code
  })
}

async function attempt(script: Script, argv: string[]): Promise<number> {
  const said = await told(script, argv)
  if (!said) return exitCodes.done
  const { flags, names } = said
  await beginWithAlert(flags)
  const name = typeof script.log === 'function' ? script.log(argv) : script.log
  if (!name || flags['dry-run']) return script.run(await makeUi(flags, () => {}), flags, names)
  const look = realLook()
  const file = `${places(look).logs}/${new Date().toISOString().replaceAll(/[:.]/g, '-')}-${name}.log`
  // On a terminal it fits a line; a script gets the path as it is.
  const shown = process.stdout.isTTY ? tilde(look, file) : file
  const log = await openLog(file).catch((error: Error) => {
    if (fromOutside(realLook())) throw error
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
  let wrong = false
  try {
    const code = await script.run(ui, flags, names)
    ui.say(ui.chalk.dim(`log: ${shown}`))
    return code
  } catch (error) {
    // What was typed wrongly needs no log to be understood, and leaves nothing.
    wrong = error instanceof Stop && error.code === exitCodes.usage
    if (!wrong) course.log = shown
    log.note(`${error instanceof Error ? error.stack : error}`)
    throw error
  } finally {
    await log.close()
    if (wrong) await log.discard()
  }
}

/** What this run has done, for whoever stops it, and what must end before. */
const course: { done: number; at?: string; log?: string; still?: () => void; held?: Promise<unknown> } = { done: 0 }

/** Does what puts back in its end what it changed: whoever interrupts is waited with until then. */
export async function unbroken<T>(work: () => Promise<T>): Promise<T> {
  const doing = work()
  course.held = doing.catch(() => {})
  return doing.finally(() => {
    course.held = undefined
  })
}

function interrupted(): string {
  if (course.done === 0 && course.at === undefined) return 'Interrupted; nothing was changed.'
  const at = course.at === undefined ? '' : ` at "${course.at}"`
  const before = ['nothing was done before', '1 step was done before and stays'][course.done]
  return `Interrupted${at}; ${before ?? `${course.done} steps were done before and stay`}, and the next run goes on from there.`
}

const saidOf = (error: unknown): string => (error instanceof Error ? error.message : `${error}`)

/** Ctrl-C at a question rejects with ExitPromptError. */
function explain(error: unknown): number {
  const name = error instanceof Error ? error.name : ''
  if (name === 'ExitPromptError' || name === 'AbortPromptError') {
    complain(interrupted())
    return exitCodes.interrupted
  }
  if (error instanceof Stop) {
    complain(error.message)
    return error.code
  }
  const { code, path: file = 'A file' } = error as NodeJS.ErrnoException
  const path = file.replace(/\.writing$/, '')
  if ((code === 'EACCES' || code === 'EPERM') && fromOutside(realLook())) {
    complain('What this reads and changes is root’s alone here; type sudo before the command.')
    return exitCodes.precondition
  }
  if (code === 'EACCES' || code === 'EPERM') {
    // A file is written beside itself first: where that cannot be, its folder is what is closed.
    complain(`${path === file ? path : dirname(path)} is closed to this user: repair the permissions and run again.`)
    return exitCodes.precondition
  }
  const closed = fullOrClosed(error)
  if (closed) {
    complain(`${path} could not be written: ${closed.why}; ${closed.todo} and run again.`)
    return code === 'EROFS' ? exitCodes.precondition : exitCodes.failed
  }
  complain(error instanceof Error ? (error.stack ?? error.message) : `${error}`)
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
  // What turns is drawn by escape codes, which whoever wants no colours wants none of.
  const spinner =
    process.stderr.isTTY && !process.env.NO_COLOR && !json && !quiet ? (await import('ora')).default : undefined
  let current: { text: string } | undefined
  let [told, pace] = [Number.NEGATIVE_INFINITY, 0]
  const width = process.stdout.columns || 80
  const ui: Ui = {
    width,
    attended,
    json,
    // A dry run takes every default, too.
    yes: flags.yes === true || flags['dry-run'] === true,
    quiet,
    verbose,
    chalk,
    say(text) {
      if (!verbose) note(text)
      if (!json) print(process.stdout, text)
    },
    secret(text) {
      if (!json) process.stdout.write(`${text}\n`)
    },
    result(result) {
      note(`${result.state} ${result.id}: ${result.saw}`)
      if (result.state === 'done' || result.state === 'removed') course.done += 1
      if (json || (!verbose && result.state !== 'missed')) return
      print(process.stdout, line(result, chalk))
    },
    busy(text, long = false) {
      const wondering = long && !spinner ? setTimeout(() => ui.waiting(text), 2000) : undefined
      const turning = spinner?.({ text, discardStdin: false, color: 'cyan' }).start()
      current = turning
      course.still = () => void turning?.stop()
      return () => {
        clearTimeout(wondering)
        course.still?.()
        current = undefined
      }
    },
    doing(text, quietly) {
      course.at = text
      const turned = quietly ? () => {} : ui.busy(text)
      return () => {
        turned()
        course.at = undefined
      }
    },
    progress(text) {
      if (current) current.text = text
      else if (performance.now() - told > pace) {
        told = performance.now()
        pace = Math.min(Math.max(1000, pace * 2), 30_000)
        ui.say(text)
      }
    },
    waiting(text) {
      if (current) current.text = text
      else if (!quiet) ui.say(text)
    },
    confirm: (text, initial) =>
      prompts && !ui.yes ? prompts.confirm({ message: text, default: initial }) : Promise.resolve(initial),
    async decide(text, words) {
      if (!prompts || ui.yes) return words[0]
      const meant = (typed: string) => words.find((word) => typed !== '' && word.startsWith(typed.trim().toLowerCase()))
      const validate = (typed: string) => meant(typed) !== undefined || `Type ${words.join(', ')}, or its first letter.`
      return (
        meant(await prompts.input({ message: `${text} (${words.join(', ')})`, default: words[0], validate })) ??
        words[0]
      )
    },
    choose: (text, choices, initial) =>
      prompts && !ui.yes
        ? prompts.select({ message: text, choices, default: initial, loop: false })
        : Promise.resolve(initial),
    word: (text, check) =>
      prompts
        ? prompts.input({ message: text, validate: (word) => check(word.trim()) }).then((word) => word.trim())
        : Promise.resolve(''),
    note,
  }
  return ui
}

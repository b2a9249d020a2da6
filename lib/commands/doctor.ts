import { meaning } from '../checks/means.ts'
import { exitCodes, Stop } from '../host/command.ts'
import { realLook } from '../host/host.ts'
import { called, typed } from '../host/typed.ts'
import { asOwn } from '../people/own-probes.ts'
import { diagnose } from '../steps/diagnosis.ts'
import { counts } from '../steps/results.ts'
import type { Result } from '../steps/step.ts'
import { statusFromOutside } from './as-anybody.ts'
import type { Flags, Script, Ui } from './cli.ts'
import { bundle } from './doctor/bundle.ts'
import { explain } from './doctor/explain.ts'
import { fromOutside } from './outside.ts'
import { installed, prepare } from './prepare.ts'
import { adviceLine, missLines, waitingLines } from './screens/misses.ts'
import { looked } from './waiting.ts'

/** rop doctor: what is wrong, in order of cause, what it means and what to do. */
export async function doctor(ui: Ui, flags: Flags, [file]: string[]): Promise<number> {
  if (typeof flags.error === 'string') return explain(ui, flags.error)
  if (flags.bundle) return bundle(ui, file)
  if (file !== undefined) throw new Stop(exitCodes.usage, `${typed('doctor')} takes no name; see --help.`)
  const look = asOwn(realLook(ui.note, ui.waiting))
  if (fromOutside(look)) return statusFromOutside(ui, look)
  if (!(await installed(look)))
    throw new Stop(
      exitCodes.precondition,
      `Nothing of remote-ollama-proxy is installed here; ${called('install')} does it.`,
    )
  const prepared = await prepare(look, ui)
  const ready = ui.busy('looking at everything')
  const { results, shown, waiting } = await looked(look, prepared).finally(ready)
  const code = counts(results).missed > 0 ? exitCodes.failed : exitCodes.done
  if (ui.json) process.stdout.write(`${JSON.stringify(asJson(results, code), null, 2)}\n`)
  else ui.say(screen(shown, ui.chalk, waiting))
  return code
}

/** One document for programs: an entry for each finding, by the id of its check. */
function asJson(results: Result[], code: number) {
  const entry = ({ id, title, saw, evidence, remedy }: Result, severity: string, follows: string[]) => ({
    ...{ id, severity, title, saw, evidence, next: remedy, follows },
    ...(severity === 'miss' && { means: meaning(id) }),
  })
  return {
    code,
    findings: [
      ...diagnose(results).map(({ result, follows }) => entry(result, 'miss', follows)),
      ...results.filter(({ state }) => state === 'advice').map((result) => entry(result, 'advice', [])),
    ],
    ...counts(results),
  }
}

const many = (count: number, one: string, more: string): string => `${count} ${count === 1 ? one : more}`

/** What is wrong and what is advised, for a person's eyes. */
export function screen(results: Result[], chalk: Ui['chalk'], waiting: string[] = []): string {
  const found = diagnose(results)
  const advised = results.filter(({ state }) => state === 'advice')
  const { passed } = counts(results)
  const head =
    found.length > 0
      ? chalk.red(`${many(found.length, 'thing is wrong', 'things are wrong, in order of cause')}.`)
      : chalk.green(`Nothing is wrong: ${many(passed, 'check passes', 'checks pass')}.`)
  return [
    head,
    ...(waiting.length > 0 ? [waitingLines(waiting, typed, chalk).join('\n')] : []),
    ...found.map((one) => missLines(one, chalk).join('\n')),
    ...(advised.length > 0 ? [many(advised.length, 'piece of advice', 'pieces of advice')] : []),
    ...advised.map((one) => adviceLine(one, chalk)),
    ...(found.length > 0 ? [`For a bug report: ${typed('doctor')} --bundle`] : []),
  ].join('\n\n')
}

export const script: Script = {
  usage: `Usage: ${typed('doctor')} [--error TEXT | --bundle [FILE]] [--json]
Says what is wrong, in order of cause, what it means and what to do. Changes nothing, asks no model.

  --error TEXT         what a client printed: what is behind it, and what helps; with - it is read from stdin
  --bundle [FILE]      one archive for a bug report, without names, addresses and keys; nothing is sent
  --json               one JSON document on stdout`,
  positionals: true,
  options: { error: { type: 'string' }, bundle: { type: 'boolean' }, json: { type: 'boolean' } },
  run: doctor,
}

import { exitCodes, Stop } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { askingOnce } from '../host/look.ts'
import { consent, consentQuestion, exposeQuestion } from '../parts/consent.ts'
import { parts, partsOf } from '../parts/index.ts'
import type { Part, Question } from '../parts/part.ts'
import { programsOf } from '../parts/programs.ts'
import { places, platformOf } from '../platform/here.ts'
import { type Machine, survey } from '../site/machine.ts'
import { modelName } from '../site/model-name.ts'
import type { Mode } from '../site/receipt.ts'
import { withModels } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { dryHost, type Intent } from '../steps/dry-run.ts'
import { saveReceipt } from '../steps/receipt.ts'
import { type Check, converge, isStep, observe, type Result } from '../steps/step.ts'
import type { Ui } from './cli.ts'
import { partLine } from './screens/work.ts'

/** What install would do: the results of all checks, with `planned` where something is to be done, and the intents. */
export interface Plan {
  results: Result[]
  intents: Intent[]
  /** advice, and steps, to know of before the yes */
  advice: Result[]
  /** what the person is asked for while it is done, and by which parts */
  asks: Map<string, string[]>
}

/** The person's choice about the proxy, from flags, from before, or asked; `--yes` keeps an earlier choice. */
export async function decideMode(
  ui: Ui,
  machine: Machine,
  setup: Setup,
  known: boolean,
  flags: { noProxy: boolean; expose: boolean },
): Promise<Mode> {
  if (!flags.noProxy && known && (setup.receipt.mode === 'proxy' || ui.yes || !ui.attended)) return setup.receipt.mode
  if (!flags.noProxy) {
    if (ui.attended && !ui.yes) ui.say(consent.replace('this Mac', platformOf(machine).words.here))
    if (await ui.confirm(consentQuestion, true)) return 'proxy'
  }
  if (flags.expose) return 'exposed'
  return (await ui.confirm(exposeQuestion, false)) ? 'exposed' : 'local'
}

/** Asks what the parts want to know, before anything is planned. */
export async function askAll(ui: Ui, look: Look, machine: Machine, setup: Setup): Promise<void> {
  for (const part of parts) {
    for (const question of (await part.questions?.(look, machine, setup)) ?? []) await askOne(ui, question, setup)
  }
}

/** Names the models in the settings, comments and all else as they are. */
export function nameModels(setup: Setup, models: string[]): void {
  setup.settings = { ...setup.settings, models }
  setup.settingsText = withModels(setup.settingsText, models)
}

/** Asks one question and keeps the answer. */
export async function askOne(ui: Ui, question: Question, setup: Setup): Promise<void> {
  if (question.kind === 'model') return nameModels(setup, await chosenModel(ui, question))
  const answer = await ui.confirm(question.text, question.initial)
  if (question.id === 'keepEdited') {
    if (!answer) setup.answers.keepEdited.push(question.path)
  } else if (question.id === 'stopOther') setup.answers.stopOther = answer
  else if (question.id === 'power') {
    setup.answers.power = answer
    if (!answer && setup.attended) setup.receipt.declined.push('power')
  }
}

const [none, another] = ['none', 'another']

async function chosenModel(
  ui: Ui,
  { text, choices, initial }: Extract<Question, { kind: 'model' }>,
): Promise<string[]> {
  const more = [
    { value: another, name: 'another …' },
    { value: none, name: 'none now' },
  ]
  const value = await ui.choose(text, [...choices, ...more], initial)
  if (value === none) return []
  return [value === another ? await ui.word('Its name, as on https://ollama.com/library:', named) : value]
}

const named = (word: string): true | string => {
  const { error } = modelName.safeParse(word)
  return error ? `That is no model: ${error.issues[0]?.message}.` : true
}

/** Goes through every step with a host that only says. Throws `Stop` when a precondition is missed. */
export async function makePlan(look: Look, machine: Machine, setup: Setup): Promise<Plan> {
  const plan: Plan = { results: [], intents: [], advice: [], asks: new Map() }
  const host = dryHost(askingOnce(look), (intent) => plan.intents.push(intent))
  // What is only imagined must not get into the receipt of what was done.
  const imagined = { ...setup, receipt: structuredClone(setup.receipt) }
  for (const part of partsOf(machine, setup)) {
    for (const check of part.steps(machine, imagined)) {
      const result = await foresee(check, host, plan.results)
      plan.results.push(result)
      if (check.ahead && ['advice', 'planned'].includes(result.state)) plan.advice.push(result)
      if (result.state === 'planned' && isStep(check))
        for (const what of check.asks ?? [])
          plan.asks.set(what, [...new Set([...(plan.asks.get(what) ?? []), part.about(machine, setup).title])])
    }
  }
  plan.intents = [...new Map(plan.intents.map((intent) => [`${intent.kind} ${intent.text}`, intent])).values()]
  return plan
}

async function foresee(check: Check, host: Host, before: Result[]): Promise<Result> {
  const result = await observe(check, host)
  if (result.state !== 'missed') return result
  if (!isStep(check))
    throw new Stop(check.exit ?? exitCodes.failed, `${check.title}: ${result.saw}. ${result.remedy ?? ''}`.trim())
  const first = before.some(({ id, state }) => state === 'planned' && check.after?.includes(id))
  await check.apply(host).catch((error: unknown) => {
    if (!(error instanceof Stop)) throw error
    // Nothing was touched yet, so this is no failure of ours.
    const code = error.code === exitCodes.failed ? exitCodes.precondition : error.code
    if (!first) throw new Stop(code, error.message)
  })
  return { ...result, state: 'planned', remedy: undefined }
}

/** Applies part by part, looking at the machine anew before each; stops at the first step that stays missed. */
export async function applyAll(ui: Ui, host: Host, machine: Machine, setup: Setup): Promise<Result[]> {
  const results: Result[] = []
  setup.receipt.mode = setup.mode
  await saveReceipt(host, setup.receipt)
  let now = machine
  let changed = false
  for (const part of partsOf(machine, setup)) {
    if (changed) now = await survey(host, now)
    setup.programs = await programsOf(host, now, setup.receipt)
    const done = await applyPart(ui, host, part, now, setup)
    changed = done.some((result) => result.state === 'done')
    results.push(...done)
  }
  Object.assign(machine, now)
  await host.write(places(host).applied, setup.settingsText, 0o600)
  return results
}

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`)

/** One line when something was done; what went wrong ends the run and says so. */
async function applyPart(ui: Ui, host: Host, part: Part, machine: Machine, setup: Setup): Promise<Result[]> {
  const results: Result[] = []
  for (const check of part.steps(machine, setup)) {
    const result = await applyOne(ui, host, check)
    results.push(result)
    if (result.state === 'done' && isStep(check) && check.brings) await brought(host, setup, check.brings)
    if (result.state === 'missed' && !check.onOthers)
      throw new Stop(
        result.exit ?? check.exit ?? exitCodes.failed,
        `Stopped at "${result.title}": ${sentence(result.saw)} ${result.remedy ?? ''}`.trim(),
      )
  }
  const line = partLine(part.about(machine, setup), results, ui.chalk)
  if (line && !ui.verbose && !ui.quiet) ui.say(line)
  return results
}

/** Uninstall offers to take it away again. */
async function brought(host: Host, { receipt }: Setup, name: string): Promise<void> {
  receipt.brought = [...new Set([...receipt.brought, name])]
  await saveReceipt(host, receipt)
}

async function applyOne(ui: Ui, host: Host, check: Check): Promise<Result> {
  const step = isStep(check)
  const done = ui.doing(check.title, step && check.interactive === true)
  const result = await (step ? converge(check, host) : observe(check, host)).finally(done)
  ui.result(result)
  return result
}

/** Why nothing is done: files edited by hand may be left as they are. */
export function nothingToDo(plan: Plan, setup: Setup): string {
  const kept = setup.answers.keepEdited.length === 0 ? [] : plan.results.filter((result) => result.state === 'skipped')
  return kept.length === 0
    ? 'Nothing to do: everything is as the settings say.'
    : `Nothing to do; ${kept.map((result) => result.saw).join(', ')}.`
}

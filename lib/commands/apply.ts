import { reloadAnew, reloadedJustNow } from '../haproxy/reload.ts'
import { runningFingerprint } from '../haproxy/runtime.ts'
import { exitCodes, Stop } from '../host/command.ts'
import { type Host, type Look, realHost } from '../host/host.ts'
import { called, typed } from '../host/typed.ts'
import { editedFiles } from '../parts/consent.ts'
import { editedQuestion } from '../parts/haproxy.ts'
import { asOwn } from '../people/own-probes.ts'
import { nobodyIn } from '../people/registry.ts'
import { places } from '../platform/here.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { currentReceipt, takeLock } from '../steps/receipt.ts'
import { tilde } from '../steps/resources.ts'
import type { Result } from '../steps/step.ts'
import { effects, type Need, needOf, needs, unexplained } from './change.ts'
import type { Flags, Script, Ui } from './cli.ts'
import { applyAll, askOne, makePlan, nothingToDo, type Plan } from './plan.ts'
import { installed, prepare } from './prepare.ts'
import { stepLine } from './screens/plan.ts'
import { complain } from './screens/wrap.ts'
import { waitingIn } from './waiting.ts'

/** apply.ts: brings changed settings into effect with the least that it takes, by the very steps of install.ts. */
export async function apply(ui: Ui, flags: Flags): Promise<number> {
  const host = asOwn(realHost(ui.note, ui.waiting))
  if (!(await installed(host)))
    throw new Stop(
      exitCodes.precondition,
      `Nothing is installed here yet, so there is nothing to change; run ${called('install')}.`,
    )
  const dry = flags['dry-run'] === true
  const release = dry ? async () => {} : await takeLock(host)
  const applied = async () => {
    const code = await applyHeld(ui, host, dry)
    if (flags.reload === true) await anew(ui, host, dry)
    return code
  }
  return applied().finally(release)
}

/** Also where nothing has changed: a worker may have been told otherwise by hand. */
async function anew(ui: Ui, host: Host, dry: boolean): Promise<void> {
  if (!(await runningFingerprint(host)))
    throw new Stop(exitCodes.precondition, `The gateway does not run, so it reads nothing; see ${typed('status')}.`)
  if (dry) return ui.say('The gateway would read its configuration anew.')
  await reloadedJustNow(host, ui.say)
  await reloadAnew(host)
  ui.say(`${ui.chalk.green('✓')} The gateway has read its configuration anew.`)
}

/** The same for who holds the lock already. Throws `MoreThanSettings` when install.ts is needed. */
export async function applyHeld(ui: Ui, host: Host, dry: boolean): Promise<number> {
  await notEmptied(host)
  let { machine, setup, plan, found } = await planned(host, ui)
  if (!dry && found.includes('reload') && (await reloadedJustNow(host, ui.say)))
    ({ machine, setup, plan, found } = await planned(host, ui))
  if (!dry && (await asksForEdited(ui, host, machine, setup, plan))) {
    plan = await makePlan(host, machine, setup)
    found = classify(plan)
  }
  const changes = (await waitingIn(host, setup))?.changes ?? []
  if (found.length === 0 || dry) {
    if (!dry) await host.write(places(host).applied, setup.settingsText, 0o600)
    return told(ui, found, plan, setup, changes, [])
  }
  setup.say = ui.say
  if (ui.attended) setup.confirm = (text) => ui.confirm(text, false)
  show(ui, found, changes, plan)
  const results = await applyAll({ ...ui, quiet: true }, host, machine, setup)
  return told(ui, found, plan, setup, changes, results)
}

/** An editor's crash is no wish to open the server: throws `Stop` (exit 2) where nothing is left of settings that said something. */
async function notEmptied(look: Look): Promise<void> {
  const [now, before] = [await look.read(places(look).settings), await look.read(places(look).applied)]
  if (now === undefined || now.trim() !== '' || !before?.trim()) return
  throw new Stop(
    exitCodes.usage,
    `${tilde(look, places(look).settings)} is empty; put your settings back, or write one line such as "access: tailnet" if every default is meant. Nothing was changed.`,
  )
}

async function planned(host: Host, ui: Ui) {
  const { machine, setup } = await prepare(host, ui)
  setup.receipt = await currentReceipt(host)
  const plan = await makePlan(host, machine, setup)
  return { machine, setup, plan, found: classify(plan) }
}

/** Asks before files edited by hand are replaced, and tells whether one is to stay; where nobody can be asked throws `Stop`. */
async function asksForEdited(ui: Ui, host: Host, machine: Machine, setup: Setup, plan: Plan): Promise<boolean> {
  const replaced = (file: string) =>
    plan.intents.some(({ kind, text }) => kind === 'file' && text.startsWith(`${file} (`))
  const edited = (await editedFiles(host, machine, setup)).filter(replaced)
  if (edited.length === 0) return false
  if (!ui.attended)
    throw new Stop(
      exitCodes.precondition,
      `Edited by hand or not ours: ${edited.map((file) => tilde(host, file)).join(', ')}; run ${called('install')}, which keeps a copy. Nothing was changed.`,
    )
  for (const file of edited) await askOne(ui, editedQuestion(host, file), setup)
  return setup.answers.keepEdited.length > 0
}

/** Something is to be done that no change of settings explains. */
export class MoreThanSettings extends Stop {
  readonly what: string

  constructor(what: string) {
    super(
      exitCodes.precondition,
      `More than settings differs (${what}); run ${called('install')}. Nothing was changed.`,
    )
    this.what = what
  }
}

function classify(plan: Plan): Need[] {
  const planned = plan.results.filter((result) => result.state === 'planned')
  const other = unexplained(planned)
  if (other.length > 0) throw new MoreThanSettings(other.map(({ id, saw }) => `${id}: ${saw}`).join('; '))
  return needs.filter((need) => planned.some((result) => needOf(result) === need))
}

/** The sentences first, then what it takes; HAProxy's own lines for whoever wants them. */
function show(ui: Ui, found: Need[], changes: string[], plan: Plan): void {
  const steps = plan.results.filter(({ state }) => state === 'planned').map(stepLine)
  for (const sentence of changes.length > 0 ? changes : steps) ui.say(sentence)
  for (const need of found) ui.say(`${need}: ${effects[need]}`)
  const differences = plan.intents.flatMap(({ diff }) => diff ?? [])
  if (ui.verbose) for (const diff of differences) ui.say(diff)
  else if (differences.length > 0)
    ui.say(ui.chalk.dim(`(the lines that change: ${typed('apply')} --dry-run --verbose)`))
}

function told(ui: Ui, found: Need[], plan: Plan, setup: Setup, changes: string[], results: Result[]): number {
  const dry = results.length === 0
  if (ui.json)
    process.stdout.write(
      `${JSON.stringify({ applied: !dry, changes, needs: found, intents: plan.intents, results }, null, 2)}\n`,
    )
  if (found.length === 0) for (const text of [...changes, nothingToDo(plan, setup)]) ui.say(text)
  else if (dry) show(ui, found, changes, plan)
  else ui.say(`${ui.chalk.green('✓')} In effect.`)
  const missing = results.filter(({ state }) => state === 'missed')
  for (const { saw, remedy } of missing) complain(`But ${saw}. ${remedy ?? ''}`.trim())
  if (dry && found.length > 0) ui.say('Dry run: nothing was changed.')
  const nobody = nobodyIn(setup.registry, setup.settings)
  if (nobody) ui.say(`! ${nobody}; make one with: ${typed('keys')} add NAME`)
  return missing.length > 0 ? exitCodes.partly : exitCodes.done
}

export const script: Script = {
  usage: `Usage: ${typed('apply')} [options]
Brings changed settings into effect: says what changes, and does the least that it takes (a map edit, a reload, a restart of a job).

  --dry-run    say what changes and what it needs; change nothing
  --reload     have the gateway read its configuration anew, also where nothing has changed; no answer is cut
  --verbose    HAProxy's lines that change, and every step, too
  --json       one JSON document on stdout`,
  options: {
    'dry-run': { type: 'boolean' },
    reload: { type: 'boolean' },
    verbose: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  log: 'apply',
  run: apply,
}

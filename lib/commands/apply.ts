import { reloadedJustNow } from '../haproxy/reload.ts'
import { exitCodes, Stop } from '../host/command.ts'
import { type Host, realHost } from '../host/host.ts'
import { editedFiles } from '../parts/consent.ts'
import { editedQuestion } from '../parts/haproxy.ts'
import { asOwn } from '../people/own-probes.ts'
import { nobodyIn } from '../people/registry.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { currentReceipt, takeLock } from '../steps/receipt.ts'
import { tilde } from '../steps/resources.ts'
import type { Result } from '../steps/step.ts'
import { effects, type Need, needOf, needs, unexplained } from './change.ts'
import type { Flags, Ui } from './cli.ts'
import { applyAll, askOne, diffs, makePlan, nothingToDo, type Plan } from './plan.ts'
import { installed, prepare } from './prepare.ts'

/** apply.ts: brings changed settings into effect with the least that it takes, by the very steps of install.ts. */
export async function apply(ui: Ui, flags: Flags): Promise<number> {
  const host = asOwn(realHost(ui.note, ui.waiting))
  if (!(await installed(host)))
    throw new Stop(
      exitCodes.precondition,
      'Nothing is installed here yet, so there is nothing to change; run install.ts.',
    )
  const release = flags['dry-run'] ? async () => {} : await takeLock(host)
  try {
    let { machine, setup, plan, found } = await planned(host, ui)
    if (!flags['dry-run'] && found.includes('reload') && (await reloadedJustNow(host, ui.say)))
      ({ machine, setup, plan, found } = await planned(host, ui))
    if (!flags['dry-run'] && (await asksForEdited(ui, host, machine, setup, plan))) {
      plan = await makePlan(host, machine, setup)
      found = classify(plan)
    }
    if (found.length === 0 || flags['dry-run']) return told(ui, found, plan, setup, [])
    setup.say = ui.say
    if (ui.attended) setup.confirm = (text) => ui.confirm(text, false)
    show(ui, found, diffs(plan, host))
    const results = await applyAll(
      { ...ui, result: (result) => result.state === 'done' && ui.result(result) },
      host,
      machine,
      setup,
    )
    return told(ui, found, plan, setup, results)
  } finally {
    await release()
  }
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
      `Edited by hand or not ours: ${edited.map((file) => tilde(host, file)).join(', ')}; run install.ts, which keeps a copy. Nothing was changed.`,
    )
  for (const file of edited) await askOne(ui, editedQuestion(host, file), setup)
  return setup.answers.keepEdited.length > 0
}

/** Throws `Stop` when something is to be done that no change of settings explains. */
function classify(plan: Plan): Need[] {
  const planned = plan.results.filter((result) => result.state === 'planned')
  const other = unexplained(planned)
  if (other.length > 0)
    throw new Stop(
      exitCodes.precondition,
      `More than settings differs (${other.map(({ id, saw }) => `${id}: ${saw}`).join('; ')}); run install.ts. Nothing was changed.`,
    )
  return needs.filter((need) => planned.some((result) => needOf(result) === need))
}

function show(ui: Ui, found: Need[], changes: string[]): void {
  for (const diff of changes) ui.say(diff)
  for (const need of found) ui.say(`${need}: ${effects[need]}`)
}

function told(ui: Ui, found: Need[], plan: Plan, setup: Setup, results: Result[]): number {
  const dry = results.length === 0
  if (ui.json)
    process.stdout.write(
      `${JSON.stringify({ applied: !dry, needs: found, intents: plan.intents, results }, null, 2)}\n`,
    )
  if (found.length === 0) ui.say(nothingToDo(plan, setup))
  else if (dry)
    show(
      { ...ui },
      found,
      plan.intents.flatMap(({ diff }) => diff ?? []),
    )
  if (dry && found.length > 0) ui.say('Dry run: nothing was changed.')
  const nobody = nobodyIn(setup.registry, setup.settings)
  if (nobody) ui.say(`! ${nobody}; make one with: npx tsx keys.ts add NAME`)
  return exitCodes.done
}

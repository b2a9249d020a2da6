import { isDeepStrictEqual } from 'node:util'
import { exitCodes, Stop } from '../host/command.ts'
import { type Host, realHost } from '../host/host.ts'
import { findModels } from '../parts/models-folder.ts'
import { system } from '../parts/system.ts'
import { asOwn } from '../people/own-probes.ts'
import { platformOf } from '../platform/here.ts'
import type { Machine } from '../site/machine.ts'
import { sameModel } from '../site/models.ts'
import { modelName, withModelsFolder } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { currentReceipt, takeLock } from '../steps/receipt.ts'
import { tilde } from '../steps/resources.ts'
import { isStep, observe, type Result } from '../steps/step.ts'
import type { Flags, Ui } from './cli.ts'
import { nextSteps } from './next-steps.ts'
import { applyAll, askAll, decideMode, diffs, makePlan, nameModels, nothingToDo, type Plan, planText } from './plan.ts'
import { installed, prepare } from './prepare.ts'
import { prove, statement } from './test.ts'

/** install.ts: questions, plan, one yes, work, proof, next steps. Gives the exit code. */
export async function install(ui: Ui, flags: Flags): Promise<number> {
  const dry = flags['dry-run'] === true
  if (!ui.yes && !dry && !ui.attended) {
    throw new Stop(
      exitCodes.usage,
      'Nobody can be asked here; run `npx tsx install.ts --yes` to take every default, or --dry-run to see the plan.',
    )
  }
  const host = asOwn(realHost(ui.note, ui.waiting))
  const { machine, setup } = await prepare(host, ui, { config: flags.config as string | undefined })
  applyFlags(setup, flags)
  await adoptModels(ui, host, machine, setup)
  await preconditions(host, machine, setup)
  setup.mode = await decideMode(ui, setup, await installed(host), {
    noProxy: flags['no-proxy'] === true,
    expose: flags['expose-unprotected'] === true,
  })
  await askAll(ui, host, machine, setup)
  const plan = await makePlan(host, machine, setup)
  if (dry) return showDry(ui, plan, machine, setup)
  return work(ui, host, machine, setup, plan)
}

async function work(ui: Ui, host: Host, machine: Machine, setup: Setup, plan: Plan): Promise<number> {
  const nothing = !plan.results.some((result) => result.state === 'planned') && setup.mode === setup.receipt.mode
  if (nothing) ui.say(nothingToDo(plan, setup))
  else {
    ui.say(planText(plan, machine, setup))
    for (const diff of diffs(plan, host)) ui.say(diff)
    if (!(await ui.confirm('Do this?', true))) return declined(ui)
  }
  const release = await takeLock(host)
  const awake = host.beside(platformOf(host).power.awakeWhile(process.pid))
  const copies = setup.receipt.backups.length
  try {
    await stillPlanned(host, setup)
    setup.say = ui.say
    if (ui.attended && !ui.yes) setup.confirm = (text) => ui.confirm(text, false)
    const results = nothing ? plan.results : await applyAll(ui, host, machine, setup)
    return await finish(ui, host, machine, setup, results)
  } finally {
    for (const { original, backup } of setup.receipt.backups.slice(copies))
      ui.say(`a copy of ${tilde(host, original)} from before is kept in ${tilde(host, backup)}`)
    awake()
    await release()
  }
}

/** Another run may have come to its end between the plan and the lock; nobody agreed to what would be done now. */
async function stillPlanned(host: Host, setup: Setup): Promise<void> {
  if (isDeepStrictEqual(await currentReceipt(host), setup.receipt)) return
  throw new Stop(
    exitCodes.precondition,
    'Another run changed the installation after this one had made its plan; nothing was changed, run install.ts again.',
  )
}

function declined(ui: Ui): number {
  ui.say('Nothing was changed.')
  return exitCodes.declined
}

function applyFlags(setup: Setup, flags: Flags): void {
  setup.answers.stopOther = flags['stop-other-ollama'] === true
  const names = (flags.model as string[] | undefined) ?? []
  if (flags['expose-unprotected'] && !flags['no-proxy'])
    throw new Stop(
      exitCodes.usage,
      '--expose-unprotected goes with --no-proxy only; with the proxy nothing needs to be exposed.',
    )
  for (const name of names) {
    const checked = modelName.safeParse(name)
    if (!checked.success)
      throw new Stop(
        exitCodes.usage,
        `--model ${JSON.stringify(name.slice(0, 80))}: ${checked.error.issues[0]?.message}; nothing was changed.`,
      )
  }
  const { models } = setup.settings
  const more = names.filter((name, at) => ![...models, ...names.slice(0, at)].some((one) => sameModel(one, name)))
  if (more.length > 0) nameModels(setup, [...models, ...more])
}

/** Models that a person has stay where they are. */
async function adoptModels(ui: Ui, host: Host, machine: Machine, setup: Setup): Promise<void> {
  const found = await findModels(host, machine, setup)
  if (!found) return
  setup.settings = { ...setup.settings, models_folder: found.folder }
  setup.settingsText = withModelsFolder(setup.settingsText, found.folder)
  ui.say(`models_folder: ${found.folder}, as told by ${found.by}`)
}

/** What no installer can change stops it before a question is asked. */
async function preconditions(host: Host, machine: Machine, setup: Setup): Promise<void> {
  for (const check of system.steps(machine, setup)) {
    const result = await observe(check, host)
    if (result.state === 'missed' && !isStep(check))
      throw new Stop(check.exit ?? exitCodes.failed, `${check.title}: not so, ${result.saw}. ${result.remedy ?? ''}`)
  }
}

function showDry(ui: Ui, plan: Plan, machine: Machine, setup: Setup): number {
  if (ui.json) process.stdout.write(`${JSON.stringify({ dryRun: true, mode: setup.mode, ...plan }, null, 2)}\n`)
  else if (plan.results.some((result) => result.state === 'planned')) {
    ui.say(planText(plan, machine, setup))
    for (const intent of plan.intents) if (intent.diff) ui.say(intent.diff)
  } else ui.say(nothingToDo(plan, setup))
  ui.say('Dry run: nothing was changed.')
  return exitCodes.done
}

async function finish(ui: Ui, host: Host, machine: Machine, setup: Setup, applied: Result[]): Promise<number> {
  ui.say(ui.chalk.bold('\nProof'))
  const proof = await prove(ui, host, setup.mode, machine)
  ui.say(`\n${statement(proof)}`)
  if (!ui.json) ui.say(`\n${nextSteps(proof.machine, setup, proof.target.model?.name)}`)
  else
    process.stdout.write(
      `${JSON.stringify({ mode: setup.mode, applied, proof: proof.results, code: proof.code }, null, 2)}\n`,
    )
  return proof.code
}

import { isDeepStrictEqual } from 'node:util'
import { exitCodes, Stop } from '../host/command.ts'
import { type Host, realHost } from '../host/host.ts'
import { asRop, called, onPathAs, typed } from '../host/typed.ts'
import { found } from '../parts/command.ts'
import { editedFiles } from '../parts/consent.ts'
import { findModels } from '../parts/models-folder.ts'
import { keepCopies } from '../parts/runtime.ts'
import { system } from '../parts/system.ts'
import { asOwn } from '../people/own-probes.ts'
import { platformOf } from '../platform/here.ts'
import type { Machine } from '../site/machine.ts'
import { modelName } from '../site/model-name.ts'
import { sameModel } from '../site/models.ts'
import { withModelsFolder } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { currentReceipt, takeLock } from '../steps/receipt.ts'
import { tilde } from '../steps/resources.ts'
import { isStep, observe, type Result } from '../steps/step.ts'
import type { Flags, Script, Ui } from './cli.ts'
import { firstNotification } from './first-notification.ts'
import { nextSteps } from './next-steps.ts'
import { applyAll, askAll, decideMode, makePlan, nameModels, nothingToDo, type Plan } from './plan.ts'
import { installed, prepare } from './prepare.ts'
import { prove } from './prove.ts'
import { endScreen } from './screens/end.ts'
import { sentence } from './screens/misses.ts'
import { folded, planDetails, planPages, planScreen } from './screens/plan.ts'
import { statement } from './statement.ts'

/** What is said before the first question. */
export const greeting = `A private AI server: Tailscale decides who, HAProxy what, and Ollama answers.
Nothing is changed before your yes to a plan; one command takes it away again.`

/** install.ts: questions, plan, one yes, work, proof, next steps. Gives the exit code. */
export async function install(ui: Ui, flags: Flags): Promise<number> {
  const dry = flags['dry-run'] === true
  if (!ui.yes && !dry && !ui.attended) {
    throw new Stop(
      exitCodes.usage,
      `Nobody can be asked here; run \`${typed('install')} --yes\` to take every default, or --dry-run to see the plan.`,
    )
  }
  const host = asOwn(realHost(ui.note, ui.waiting))
  const { machine, setup } = await prepare(host, ui, { config: flags.config as string | undefined })
  applyFlags(setup, flags)
  setup.answers.firewall = ui.attended && !ui.yes
  await adoptModels(ui, host, machine, setup)
  await preconditions(host, machine, setup)
  const known = await installed(host)
  if (!known && ui.attended && !ui.yes) ui.say(greeting)
  setup.mode = await decideMode(ui, machine, setup, known, {
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
  else if (!(await agreed(ui, host, plan, machine, setup))) return declined(ui)
  const release = await takeLock(host)
  const awake = host.beside(platformOf(host).power.awakeWhile(process.pid))
  const copies = setup.receipt.backups.length
  try {
    await stillPlanned(host, setup)
    setup.say = ui.say
    setup.progress = ui.progress
    if (ui.attended && !ui.yes) setup.confirm = (text) => ui.confirm(text, false)
    const results = nothing ? plan.results : await applyAll(ui, host, machine, setup)
    return await finish(ui, host, machine, setup, results)
  } finally {
    tellCopies(ui, host, setup, copies)
    awake()
    await release()
  }
}

/** Shows the plan and asks for the one yes; whoever wants sees all of it first. */
async function agreed(ui: Ui, host: Host, plan: Plan, machine: Machine, setup: Setup): Promise<boolean> {
  ui.say(planScreen(plan, machine, setup, ui.chalk))
  // What somebody wrote by hand is not replaced unseen.
  for (const diff of diffsOf(plan, await editedFiles(host, machine, setup))) ui.say(diff.replaceAll(host.home, '~'))
  const pages = planPages(plan, machine, setup)
  if (ui.verbose) for (const page of pages.splice(0)) ui.say(page.join('\n'))
  for (const page of pages) {
    const answer = await ui.decide('Do this?', ['yes', 'no', 'details'])
    if (answer !== 'details') return answer === 'yes'
    ui.say(folded(page, `${typed('install')} --dry-run`))
  }
  return (await ui.decide('Do this?', ['yes', 'no'])) === 'yes'
}

const diffsOf = ({ intents }: Plan, files: string[]): string[] =>
  intents.flatMap(({ text, diff }) => (diff && files.some((file) => text.startsWith(`${file} (`)) ? [diff] : []))

/** Names what was copied before it was replaced, but for the first so many copies. */
export function tellCopies(ui: Ui, host: Host, { receipt }: Setup, known: number): void {
  for (const { original, backup } of receipt.backups.slice(known))
    ui.say(`a copy of ${tilde(host, original)} from before is kept in ${tilde(host, backup)}`)
}

/** Another run may have come to its end between the plan and the lock; nobody agreed to what would be done now. */
async function stillPlanned(host: Host, setup: Setup): Promise<void> {
  if (isDeepStrictEqual(await currentReceipt(host), setup.receipt)) return
  throw new Stop(
    exitCodes.precondition,
    `Another run changed the installation after this one had made its plan; nothing was changed, run ${called('install')} again.`,
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
      throw new Stop(check.exit ?? exitCodes.failed, `${sentence(result.saw)} ${result.remedy ?? ''}`)
  }
}

function showDry(ui: Ui, plan: Plan, machine: Machine, setup: Setup): number {
  if (ui.json) process.stdout.write(`${JSON.stringify({ dryRun: true, mode: setup.mode, ...plan }, null, 2)}\n`)
  else if (plan.results.some((result) => result.state === 'planned')) {
    ui.say(planScreen(plan, machine, setup, ui.chalk))
    ui.say(planDetails(plan, machine, setup))
  } else ui.say(nothingToDo(plan, setup))
  ui.say('Dry run: nothing was changed.')
  return exitCodes.done
}

async function finish(ui: Ui, host: Host, machine: Machine, setup: Setup, applied: Result[]): Promise<number> {
  const notified = await firstNotification(host, machine, setup)
  const proof = await prove(ui, host, setup.mode, machine)
  if (proof.code !== exitCodes.failed) await keepCopies(host, [setup.version])
  const own = await found(host, proof.machine)
  if (own) onPathAs('rop')
  if (ui.verbose) ui.say(`\n${statement(proof)}\n\n${nextSteps(proof.machine, setup, proof.target.model?.name)}`)
  ui.say(endScreen(proof, own ? asRop : typed, ui.chalk))
  if (notified) ui.say(notified)
  if (ui.json)
    process.stdout.write(
      `${JSON.stringify({ mode: setup.mode, applied, proof: proof.results, code: proof.code }, null, 2)}\n`,
    )
  return proof.code
}

export const script: Script = {
  usage: `Usage: ${typed('install')} [options]
Makes this machine a private AI server: Tailscale decides who, HAProxy what, Ollama answers. Asks first, shows the plan, then acts.

  --dry-run               show what would change, with diffs; change nothing
  --yes                   take every default; needed where nobody sits at the terminal
  --json                  one JSON document on stdout, never a question (with --yes or --dry-run)
  --no-proxy              without HAProxy: Ollama stays on this machine only
  --expose-unprotected    with --no-proxy: open every Ollama endpoint to the whole tailnet
  --stop-other-ollama     another Ollama that is in the way may be stopped
  --config FILE           settings from this file
  --model NAME            a model to load at login, beside those of the settings (may be given several times)
  --quiet | --verbose     only misses | everything`,
  options: {
    'dry-run': { type: 'boolean' },
    yes: { type: 'boolean' },
    json: { type: 'boolean' },
    'no-proxy': { type: 'boolean' },
    'expose-unprotected': { type: 'boolean' },
    'stop-other-ollama': { type: 'boolean' },
    config: { type: 'string' },
    model: { type: 'string', multiple: true },
    quiet: { type: 'boolean' },
    verbose: { type: 'boolean' },
  },
  log: 'install',
  run: install,
}

import { exitCodes, Stop } from '../host/command.ts'
import { type Host, realHost } from '../host/host.ts'
import { parts } from '../parts/index.ts'
import { typed } from '../parts/other-ollamas.ts'
import { asOwn } from '../people/own-probes.ts'
import { oldLogs, places, platformOf } from '../platform/here.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { dryHost, type Intent } from '../steps/dry-run.ts'
import { currentReceipt, takeLock } from '../steps/receipt.ts'
import { absent } from '../steps/resources.ts'
import { isStep, missed, type Result, type Step, toResult, withdraw } from '../steps/step.ts'
import type { Flags, Ui } from './cli.ts'
import { prepare } from './prepare.ts'

/** uninstall.ts: undo, last first; then look whether it is gone; say what stays and why. */
export async function uninstall(ui: Ui, flags: Flags): Promise<number> {
  const dry = flags['dry-run'] === true
  if (!ui.yes && !dry && !ui.attended)
    throw new Stop(
      exitCodes.usage,
      'Nobody can be asked here; run `npx tsx uninstall.ts --yes`, or --dry-run to see what would go.',
    )
  const host = asOwn(realHost(ui.note, ui.waiting))
  const { machine, setup } = await prepare(host, ui).catch((error) => withDefaults(error, host, ui))
  if (dry) return showDry(ui, host, backwards(machine, setup, flags.purge === true))
  ui.say(
    `Removes the jobs, ~/.haproxy, the copy that jobs run, logs and state; keeps ${platformOf(host).packages.name}, Tailscale, both programs and all models${flags.purge ? '' : ', and your settings and keys'}.`,
  )
  if (!(await ui.confirm('Remove it?', true))) {
    ui.say('Nothing was changed.')
    return exitCodes.declined
  }
  const release = await takeLock(host)
  setup.say = ui.say
  setup.receipt = await currentReceipt(host)
  const results: Result[] = []
  for (const step of backwards(machine, setup, flags.purge === true)) {
    const done = ui.busy(step.undone ?? step.title)
    const result = await withdraw(step, host).finally(done)
    results.push(result)
    ui.result(result)
  }
  await giveBack(ui, host, setup)
  await release()
  results.push(await lastFolders(host))
  return ended(ui, results)
}

/** Faulty settings must not keep anything from being removed. */
function withDefaults(error: unknown, host: Host, ui: Ui) {
  if (error instanceof Stop && error.code === exitCodes.usage)
    return prepare(host, ui, { config: '/dev/null', withoutKeys: true })
  throw error
}

function backwards(machine: Machine, setup: Setup, purge: boolean): Step[] {
  const proxied: Setup = {
    ...setup,
    mode: 'proxy',
    settings: { ...setup.settings, models: setup.settings.models.length ? setup.settings.models : ['none'] },
  }
  const steps = parts
    .flatMap((part) => part.steps(machine, proxied))
    .filter(isStep)
    .filter((step) => step.undo || step.keeps)
  const kept = steps
    .filter((step) => step.id !== 'models.none')
    .map((step) => (step.id === 'settings.file' && purge ? purged(machine, step) : step))
  return [...kept.reverse(), logsOfOld()]
}

function purged(machine: Machine, step: Step): Step {
  const { settingsFolder } = places(machine)
  return {
    ...step,
    keeps: undefined,
    undone: 'Settings and keys are gone',
    undo: (host) => host.remove(settingsFolder),
    gone: (look) => absent(look, settingsFolder),
  }
}

function logsOfOld(): Step {
  return {
    id: 'logs.old',
    title: 'Logs of older installs in /tmp are gone',
    check: async () => missed('', ''),
    apply: async () => {},
    async undo(host) {
      for (const file of oldLogs) await host.remove(file)
    },
  }
}

async function showDry(ui: Ui, host: Host, steps: Step[]): Promise<number> {
  const intents: Intent[] = []
  const dry = dryHost(host, (intent) => intents.push(intent))
  const foreign = await Promise.all(steps.map(async (step) => ({ title: step.title, why: await step.theirs?.(host) })))
  for (const [at, step] of steps.entries()) if (foreign[at]?.why === undefined) await step.undo?.(dry)
  const texts = [
    ...new Set(
      intents
        .filter((intent) => intent.kind !== 'file')
        .map((intent) => `${intent.kind}: ${intent.text.replaceAll(host.home, '~')}`),
    ),
  ]
  const always = steps
    .filter((step) => !step.undo && step.keeps)
    .map((step) => ({ title: step.title, why: step.keeps }))
  const kept = [...foreign.filter(({ why }) => why !== undefined), ...always]
  if (ui.json) process.stdout.write(`${JSON.stringify({ dryRun: true, intents: texts, kept }, null, 2)}\n`)
  for (const text of texts.length ? texts : ['nothing to remove']) ui.say(text)
  for (const { title, why } of kept) ui.say(`kept: ${title} (${why})`)
  ui.say('Dry run: nothing was changed.')
  return exitCodes.done
}

/** What install stopped or moved away is offered back; unattended runs are told the commands. */
async function giveBack(ui: Ui, host: Host, setup: Setup): Promise<void> {
  for (const { what, back } of setup.receipt.stopped) {
    if (back.length === 0) ui.say(`install.ts stopped ${what}; ${typed(back)}`)
    else if (ui.attended && (await ui.confirm(`Start ${what} again (${typed(back)})?`, true)))
      await host.run(back).catch((error: Error) => ui.say(error.message))
    else ui.say(`install.ts stopped ${what}; bring it back with: ${typed(back)}`)
  }
  setup.receipt.stopped = []
  for (const { original, backup } of [...setup.receipt.backups]) {
    if ((await host.stat(backup)) === undefined) continue
    const free = (await host.stat(original)) === undefined
    if (free && ui.attended && (await ui.confirm(`Put ${original} back as it was before install?`, false))) {
      await host.copy(backup, original)
      await host.remove(backup)
      setup.receipt.backups = setup.receipt.backups.filter((entry) => entry.backup !== backup)
    } else ui.say(`a copy of ${original} from before is kept in ${backup}`)
  }
}

/** State goes last, and stays while it holds a backup that nobody took back. */
async function lastFolders(host: Host): Promise<Result> {
  const at = places(host)
  const step = { id: 'state.removed', title: 'State and folders of ours are gone', check: async () => missed('', '') }
  if ((await host.list(at.backups)).length > 0) {
    await host.remove(at.receipt)
    return { ...toResult(step, { is: 'skipped', why: `kept for the backups in ${at.backups}` }, 0), state: 'kept' }
  }
  await host.remove(at.support)
  const finding = await absent(host, at.support)
  return { ...toResult(step, finding, 0), state: finding.is === 'ok' ? 'removed' : 'missed' }
}

function ended(ui: Ui, results: Result[]): number {
  const left = results.filter((result) => result.state === 'missed')
  const removed = results.filter((result) => result.state === 'removed').length
  const kept = results.filter((result) => result.state === 'kept').length
  const code = left.length ? exitCodes.failed : exitCodes.done
  if (ui.json) process.stdout.write(`${JSON.stringify({ code, results }, null, 2)}\n`)
  ui.say(
    left.length
      ? `NOT ALL GONE: ${left.map((result) => result.id).join(', ')}`
      : `Removed: ${removed} checked to be gone; ${kept} kept on purpose.`,
  )
  ui.say('log: none (removed)')
  return code
}

import { dirname } from 'node:path'
import { exitCodes, Stop } from '../host/command.ts'
import { type Host, realHost } from '../host/host.ts'
import { askingOnce } from '../host/look.ts'
import { called, typed } from '../host/typed.ts'
import { partsToUndo } from '../parts/index.ts'
import { asTyped } from '../parts/other-ollamas.ts'
import { asOwn } from '../people/own-probes.ts'
import { places, platformOf } from '../platform/here.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { dryHost, type Intent } from '../steps/dry-run.ts'
import { currentReceipt, takeLock } from '../steps/receipt.ts'
import { absent, tilde } from '../steps/resources.ts'
import { isStep, missed, ok, type Result, type Step, toResult, withdraw } from '../steps/step.ts'
import { offerBrought } from './brought.ts'
import type { Flags, Script, Ui } from './cli.ts'
import { prepare } from './prepare.ts'
import { intentLines } from './screens/plan.ts'
import { removalScreen } from './screens/removal.ts'
import { live } from './watch.ts'

/** uninstall.ts: undo, last first; then look whether it is gone; say what stays and why. */
export async function uninstall(ui: Ui, flags: Flags): Promise<number> {
  const dry = flags['dry-run'] === true
  if (!ui.yes && !dry && !ui.attended)
    throw new Stop(
      exitCodes.usage,
      `Nobody can be asked here; run \`${typed('uninstall')} --yes\`, or --dry-run to see what would go.`,
    )
  const host = asOwn(realHost(ui.note, ui.waiting))
  const { machine, setup } = await prepare(host, ui).catch((error) => withDefaults(error, host, ui))
  if (dry) return showDry(ui, host, await foreseen(host, backwards(machine, setup, flags.purge === true)))
  if (!(await agreed(ui, host, setup, flags.purge === true))) {
    ui.say('Nothing was changed.')
    return exitCodes.declined
  }
  const release = await takeLock(host)
  setup.say = ui.say
  setup.receipt = await currentReceipt(host)
  const results: Result[] = []
  const noticed = noticing(host)
  for (const step of backwards(machine, setup, flags.purge === true)) {
    const done = ui.doing(step.undone ?? step.title, false)
    const result = await withdraw(step, noticed.host).finally(done)
    results.push(result)
    ui.result(result)
  }
  await giveBack(ui, host, setup)
  await offerBrought(ui, host, machine, setup.receipt)
  await release()
  results.push(await lastFolders(host))
  return ended(ui, results, !noticed.acted())
}

/** The same host, and whether there was anything that it took away. */
function noticing(host: Host): { host: Host; acted(): boolean } {
  let acted = false
  return {
    acted: () => acted,
    host: {
      ...host,
      async run(argv, options) {
        acted = true
        return host.run(argv, options)
      },
      async remove(file) {
        acted ||= (await host.stat(file)) !== undefined
        return host.remove(file)
      },
    },
  }
}

/** Says what goes, and who is served now, and asks. */
async function agreed(ui: Ui, host: Host, { settings }: Setup, purge: boolean): Promise<boolean> {
  const programs = settings.role === 'gateway' ? 'HAProxy' : 'both programs and all models'
  ui.say(
    `Removes the jobs, ${tilde(host, places(host).proxy)}, the copy that jobs run, logs and state; keeps ${platformOf(host).packages.name}, Tailscale, ${programs}${purge ? '' : ', and your settings and keys'}.${purge ? ' Your settings and keys go, too.' : ''}`,
  )
  const served = await servedNow(host)
  if (served.length > 0)
    ui.say(
      `This machine serves somebody now: ${served.join(', ')}. What runs gets its time to end; then nobody is answered.`,
    )
  return ui.confirm('Remove it?', served.length === 0 || ui.yes)
}

/** Who is answered now, or asked within the last minute. */
async function servedNow(host: Host): Promise<string[]> {
  const now = await live(host).catch(() => undefined)
  const running = (now?.running ?? []).map(({ who, client }) => (who === '-' ? client.replace(/:\d+$/, '') : who))
  return [...new Set([...running, ...(now?.rates ?? []).map(({ who }) => who)])]
}

/** Faulty settings must not keep anything from being removed. */
function withDefaults(error: unknown, host: Host, ui: Ui) {
  if (error instanceof Stop && error.code === exitCodes.usage)
    return prepare(host, ui, { config: '/dev/null', withoutKeys: true })
  throw error
}

/** A step to be undone, and the name of its part. */
type Undoing = Step & { part: string }

function backwards(machine: Machine, setup: Setup, purge: boolean): Undoing[] {
  const proxied: Setup = {
    ...setup,
    mode: 'proxy',
    // What was changed with consent is told.
    answers: {
      ...setup.answers,
      power: 'power.sleep' in setup.receipt.changed,
      firewall: 'firewall.haproxy' in setup.receipt.changed,
    },
    settings: { ...setup.settings, models: setup.settings.models.length ? setup.settings.models : ['none'] },
  }
  const steps = partsToUndo(machine, proxied)
    .flatMap((part) => {
      const { title } = part.about(machine, proxied)
      return part.steps(machine, proxied).flatMap((step) => (isStep(step) ? [{ ...step, part: title }] : []))
    })
    .filter((step) => step.undo || step.keeps)
  const kept = steps
    .filter((step) => step.id !== 'models.none')
    .map((step) => (step.id === 'settings.file' && purge ? purged(machine, step) : step))
  return [...kept.reverse(), logsOfOld()]
}

function purged(machine: Machine, step: Undoing): Undoing {
  const { settingsFolder } = places(machine)
  return {
    ...step,
    keeps: undefined,
    undone: 'Settings and keys are gone',
    undo: (host) => host.remove(settingsFolder),
    gone: (look) => absent(look, settingsFolder),
  }
}

function logsOfOld(): Undoing {
  const title = 'Logs of older installs in /tmp are gone'
  return {
    id: 'logs.old',
    part: 'Logs',
    title,
    undone: title,
    check: async () => missed('', ''),
    apply: async () => {},
    async undo(host) {
      for (const file of platformOf(host).oldLogs) await host.remove(file)
    },
  }
}

/** What undoing a step would do; nothing where it is not there, or not ours. */
interface Foreseen {
  step: Undoing
  intents: Intent[]
  /** why it is left though it is there */
  theirs?: string
}

async function foreseen(host: Host, steps: Undoing[]): Promise<Foreseen[]> {
  let intents: Intent[] = []
  const dry = dryHost(askingOnce(host), (intent) => intent.kind !== 'file' && intents.push(intent))
  const found: Foreseen[] = []
  for (const step of steps) {
    intents = []
    const theirs = step.undo ? await step.theirs?.(dry) : undefined
    if (theirs === undefined) await step.undo?.(dry)
    found.push({ step, intents, theirs })
  }
  return found
}

function showDry(ui: Ui, host: Host, found: Foreseen[]): number {
  const intents = found.flatMap((one) => one.intents)
  const stays = ({ step, theirs }: Foreseen) => theirs ?? (step.undo ? undefined : step.keeps)
  const removals = found.map((one) => ({
    part: one.step.part,
    gone: one.intents.length > 0 ? (one.step.undone ?? one.step.title) : undefined,
    stays: stays(one),
  }))
  if (ui.json) {
    const texts = new Set(intents.map(({ kind, text }) => `${kind}: ${text.replaceAll(host.home, '~')}`))
    const kept = found.flatMap((one) => (stays(one) ? [{ title: one.step.title, why: stays(one) }] : []))
    process.stdout.write(`${JSON.stringify({ dryRun: true, intents: [...texts], kept }, null, 2)}\n`)
  }
  ui.say(removalScreen(removals))
  if (ui.verbose) ui.say(intentLines(intents, host.home).join('\n'))
  else if (intents.length > 0)
    ui.say(ui.chalk.dim(`(every file and service: ${typed('uninstall')} --dry-run --verbose)`))
  ui.say('Dry run: nothing was changed.')
  return exitCodes.done
}

/** What install stopped or moved away is offered back; unattended runs are told the commands. */
async function giveBack(ui: Ui, host: Host, setup: Setup): Promise<void> {
  for (const { what, back } of setup.receipt.stopped) {
    if (back.length === 0) ui.say(`${called('install')} stopped ${what}; ${asTyped(back)}`)
    else if (ui.attended && (await ui.confirm(`Start ${what} again (${asTyped(back)})?`, true)))
      await host.run(back).catch((error: Error) => ui.say(error.message))
    else ui.say(`${called('install')} stopped ${what}; bring it back with: ${asTyped(back)}`)
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

/** Where the state is not kept below what runs. */
const ownFolders = (host: Host): string[] => {
  const { state, support } = places(host)
  return state.startsWith(`${support}/`) ? [] : [dirname(state)]
}

/** State goes last, and stays while it holds a backup that nobody took back. */
async function lastFolders(host: Host): Promise<Result> {
  const at = places(host)
  const step = { id: 'state.removed', title: 'State and folders of ours are gone', check: async () => missed('', '') }
  if ((await host.list(at.backups)).length > 0) {
    await host.remove(at.receipt)
    return { ...toResult(step, { is: 'skipped', why: `kept for the backups in ${at.backups}` }, 0), state: 'kept' }
  }
  const folders = [at.support, ...ownFolders(host)]
  for (const folder of folders) await host.remove(folder)
  const left = await Promise.all(folders.map((folder) => absent(host, folder)))
  const finding = left.find(({ is }) => is !== 'ok') ?? ok('gone')
  return { ...toResult(step, finding, 0), state: finding.is === 'ok' ? 'removed' : 'missed' }
}

function ended(ui: Ui, results: Result[], nothing: boolean): number {
  const left = results.filter((result) => result.state === 'missed')
  const removed = results.filter((result) => result.state === 'removed').length
  const kept = results.filter((result) => result.state === 'kept').length
  const code = left.length ? exitCodes.failed : exitCodes.done
  if (ui.json) process.stdout.write(`${JSON.stringify({ code, results }, null, 2)}\n`)
  if (!ui.verbose)
    for (const { title, saw } of results.filter(({ state }) => state === 'kept')) ui.say(`· ${title}; it stays: ${saw}`)
  ui.say(
    left.length
      ? `NOT ALL GONE: ${left.map((result) => result.id).join(', ')}`
      : nothing
        ? `There was nothing left to remove: ${removed} checked to be gone; ${kept} kept on purpose.`
        : `Removed: ${removed} checked to be gone; ${kept} kept on purpose.`,
  )
  ui.say('log: none (removed)')
  return code
}

export const script: Script = {
  usage: `Usage: ${typed('uninstall')} [options]
Removes what ${called('install')} made, last first, and checks that it is gone. The package manager, Tailscale, both programs and all models stay.

  --dry-run    show what would be removed
  --yes        without asking
  --verbose    every step
  --purge      the settings and the API keys, too
  --json       one JSON document on stdout, never a question`,
  options: {
    'dry-run': { type: 'boolean' },
    yes: { type: 'boolean' },
    purge: { type: 'boolean' },
    verbose: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  run: uninstall,
}

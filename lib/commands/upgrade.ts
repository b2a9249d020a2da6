import { exitCodes, Stop } from '../host/command.ts'
import { type Host, realHost } from '../host/host.ts'
import { called, typed } from '../host/typed.ts'
import { copyOf, type Ended, installItself, type Own, ownFrom, ownNow, tidy } from '../parts/own-upgrade.ts'
import { due, programs, type Standing, standings } from '../parts/upgrades.ts'
import { keepCopy, type Present, present, putFiles } from '../people/backup.ts'
import { asOwn } from '../people/own-probes.ts'
import { platformOf } from '../platform/here.ts'
import type { Newer } from '../platform/platform.ts'
import { knownOf } from '../site/known-good.ts'
import { didYouMean } from '../site/nearest.ts'
import { takeLock } from '../steps/receipt.ts'
import type { Result } from '../steps/step.ts'
import { ownVersion } from './arguments.ts'
import type { Flags, Script, Ui } from './cli.ts'
import { tellCopies } from './install.ts'
import { applyAll, askAll } from './plan.ts'
import { installed, type Prepared, prepare } from './prepare.ts'
import { prove } from './prove.ts'
import { complain } from './screens/wrap.ts'

type Due = Standing & { newer: Newer }

/** upgrade: what is new, then one yes, then one program after the other, each with its proof. Nothing upgrades by itself. */
export async function upgrade(ui: Ui, flags: Flags): Promise<number> {
  const only = named((flags.only as string[] | undefined) ?? [])
  const check = flags.check === true
  if (!check && !ui.yes && !ui.attended)
    throw new Stop(
      exitCodes.usage,
      `Nobody can be asked here; run \`${typed('upgrade')} --yes\`, or --check to see what is new.`,
    )
  const host = asOwn(realHost(ui.note, ui.waiting))
  if (!(await installed(host)))
    throw new Stop(exitCodes.precondition, `Nothing is installed here yet; run ${called('install')}.`)
  const prepared = await prepare(host, ui)
  const own = flags.from === undefined ? undefined : await anotherOwn(host, flags.from as string, check)
  if (!check) await renewed(ui, host, prepared)
  const all = await standings(host, prepared.machine, prepared.setup)
  const next = due(all, only).filter((one) => !keptOverSsh(prepared, one, only))
  ui.say(told(all, next, own, await ownNow(host)))
  if (check) return checked(ui, all, next, own, await tooOld(host, prepared))
  if (next.length === 0 && !own) return exitCodes.done
  ui.say(plan(prepared, next, own))
  if (!(await ui.confirm('Do this?', true))) {
    ui.say('Nothing was changed.')
    return exitCodes.declined
  }
  return work(ui, host, prepared, next, own)
}

function named(names: string[]): string[] {
  const wrong = names.find((name) => !(programs as string[]).includes(name))
  if (wrong !== undefined)
    throw new Stop(
      exitCodes.usage,
      `--only takes ${programs.join(', ')}, not ${JSON.stringify(wrong.slice(0, 40))}${didYouMean(wrong, programs)}`,
    )
  return names
}

/** Another version than the one that runs. */
async function anotherOwn(host: Host, path: string, looked: boolean): Promise<Own | undefined> {
  const own = await ownFrom(host, path.startsWith('/') ? path : `${process.cwd()}/${path}`, looked)
  const now = await ownNow(host)
  return own.version === now || own.version === now.replace(/-[0-9a-f]{8}$/, '') ? undefined : own
}

/** Whoever came over the tailnet might not come back, unless they named it. */
const keptOverSsh = ({ machine }: Prepared, { program }: Standing, only: string[]): boolean =>
  program === 'tailscale' && machine.ssh && !only.includes(program)

async function renewed(ui: Ui, host: Host, { machine }: Prepared): Promise<void> {
  const { packages } = platformOf(machine)
  if (!machine.packager.program || (await packages.recent(host, machine.packager))) return
  const how = packages.renews(machine.packager)
  if (!(await ui.confirm(`${packages.name}’s list of packages is older than a week. Renew it first (${how})?`, true)))
    return
  await packages
    .renew(host, machine.packager, ui.attended)
    .catch((error: Error) => ui.say(`! The old list is used, since ${error.message}`))
}

function told(all: Standing[], next: Due[], own: Own | undefined, now: string): string {
  const lines = all.flatMap((one) => {
    const { title, program, newer, left } = one
    const head = `  ${title.padEnd(10)} ${newer ? `${newer.installed} → ${newer.current}` : (one.installed ?? 'of an unknown version')}`
    if (!newer) return [`${head}, ${left ?? 'nothing newer'}`]
    if (left) return [`${head}: left, since ${left}`]
    const known = `    ${knownOf(program, newer.current)}`
    return next.some((due) => due.program === program) ? [head, known] : [`${head}: left this time`, known]
  })
  const ours = `  ${'ours'.padEnd(10)} ${own ? `${now} → ${own.version}` : `${now}${' (--from a folder or package brings another)'}`}`
  return ['What there is:', ...lines, ours].join('\n')
}

function plan({ machine }: Prepared, next: Due[], own: Own | undefined): string {
  const { packages } = platformOf(machine)
  const steps = [
    'settings and keys are copied',
    ...next.map(({ newer, effect }) => `${packages.upgrades(machine.packager, newer)}\n     ${effect}`),
    ...(own
      ? [`ours, ${own.version}, installs itself\n     what does not prove itself gives way to what is there now`]
      : []),
  ]
  return [
    'What will be done:',
    ...steps.map((step, at) => `  ${at + 1}. ${step}`),
    'After each comes the proof; one that fails stops the rest.',
  ].join('\n')
}

/** A list that is old knows nothing of what came since. */
async function tooOld(host: Host, { machine: { packager } }: Prepared): Promise<string | undefined> {
  const { packages } = platformOf(host)
  return (await packages.recent(host, packager))
    ? undefined
    : `${packages.name}’s list is older than a week, so it may not know the newest: ${packages.renews(packager)}`
}

/** The end of --check, in which nothing was changed: 1 when something is newer. */
function checked(ui: Ui, all: Standing[], next: Due[], own: Own | undefined, old: string | undefined): number {
  const code = next.length > 0 || own ? exitCodes.failed : exitCodes.done
  const packages = all.map(({ program, installed, newer, left }) => ({
    program,
    installed,
    ...(newer && { current: newer.current, known: knownOf(program, newer.current) }),
    ...(left && { left }),
  }))
  if (ui.json)
    process.stdout.write(`${JSON.stringify({ newer: code !== 0, packages, own: own?.version, old, code }, null, 2)}\n`)
  if (old) ui.say(`! ${old}`)
  ui.say(code === 0 ? 'Nothing is newer.' : `Something is newer: ${typed('upgrade')}`)
  return code
}

async function work(ui: Ui, host: Host, before: Prepared, next: Due[], own: Own | undefined): Promise<number> {
  const now = await present(host)
  const copy = await keepCopy(host, now, await ownVersion())
  ui.say(`Settings and keys of now are kept:\n    ${typed('restore')} '${copy}'`)
  const works: [name: string, work: () => Promise<number>][] = [
    ...next.map((one): [string, () => Promise<number>] => [one.program, () => upgradeOne(ui, host, before, one)]),
    ...(own ? [['own', () => upgradeOwn(ui, host, own, now)] as [string, () => Promise<number>]] : []),
  ]
  const awake = host.beside(platformOf(host).power.awakeWhile(process.pid))
  const { code, done } = await inTurn(works).finally(awake)
  await tidy(host)
  if (ui.json) process.stdout.write(`${JSON.stringify({ upgraded: done, copy, code }, null, 2)}\n`)
  else if (done.length > 0) ui.say(`\nUpgraded and proven: ${done.join(', ')}.`)
  return code
}

/** One after the other, until one fails. */
async function inTurn(works: [name: string, work: () => Promise<number>][]): Promise<{ code: number; done: string[] }> {
  const done: string[] = []
  let code: number = exitCodes.done
  for (const [name, work] of works) {
    code = (await work()) || code
    if (code === exitCodes.failed) break
    done.push(name)
  }
  return { code, done }
}

/** One package, install's own steps after it, and the proof. Gives 1 when it did not prove itself; how to go back is said then. */
async function upgradeOne(ui: Ui, host: Host, { machine }: Prepared, one: Due): Promise<number> {
  const { packages } = platformOf(machine)
  const { newer, title } = one
  ui.say(`\n${title} ${newer.installed} → ${newer.current}`)
  try {
    await packages.upgrade(host, machine.packager, newer, ui.attended)
  } catch (error) {
    complain(`${title} was not upgraded: ${(error as Error).message}`)
    return exitCodes.failed
  }
  try {
    return await settled(ui, host, machine)
  } catch (error) {
    if (!(error instanceof Stop)) throw error
    const way = await packages.back(host, machine.packager, newer)
    complain(`${title} ${newer.current} did not prove itself. ${error.message}\n${way}`)
    return exitCodes.failed
  }
}

/** By the steps of install: reload, restart after running answers, proof. Throws `Stop` when it does not come to that. */
async function settled(ui: Ui, host: Host, machine: Prepared['machine']): Promise<number> {
  const shown: Ui = { ...ui, result: ({ state, ...rest }) => hides(state) || ui.result({ state, ...rest }) }
  const release = await takeLock(host)
  try {
    const { machine: now, setup } = await prepare(host, ui, { before: machine })
    const copies = setup.receipt.backups.length
    setup.say = ui.say
    if (ui.attended && !ui.yes) setup.confirm = (text) => ui.confirm(text, false)
    await askAll(ui, host, now, setup)
    await applyAll(shown, host, now, setup).finally(() => tellCopies(ui, host, setup, copies))
    const { code, results } = await prove(shown, host, setup.mode, now)
    const missed = results.filter(({ state }) => state === 'missed')
    if (code === exitCodes.failed && missed.some(ofVersion))
      throw new Stop(exitCodes.failed, 'What was missed is above; settings, keys and configuration are as before.')
    return code === exitCodes.failed ? slow(ui) : code
  } finally {
    await release()
  }
}

/** How fast a machine is while others use it says nothing of a version. */
const ofVersion = ({ id }: { id: string }): boolean => !id.startsWith('performance.')

function slow(ui: Ui): number {
  ui.say(`! All but speed is proven: this machine was busy. Look again when it is not: ${typed('test')}`)
  return exitCodes.partly
}

const hides = (state: Result['state']): boolean => ['ok', 'skipped', 'advice'].includes(state)

/** Our own other version installs itself; one that does not prove itself gives way to the one of before. */
async function upgradeOwn(ui: Ui, host: Host, own: Own, settings: Present): Promise<number> {
  const before = await ownNow(host)
  ui.say(`\nOurs ${before} → ${own.version}`)
  const ended = await watched(ui, host, own.folder, `${own.version} installs and proves itself`)
  if (proven(ended)) return ended.code === exitCodes.failed ? slow(ui) : ended.code
  complain(`${own.version} did not prove itself:\n${whyNot(ended)}`)
  await putFiles(host, settings)
  const back = await watched(ui, host, copyOf(host, before), `${before} is put back`)
  complain(
    proven(back)
      ? `${before} is back and has proven itself.`
      : `${before} is back, but did not prove itself; see ${typed('status')}.\n${whyNot(back)}`,
  )
  return exitCodes.failed
}

async function watched(ui: Ui, host: Host, folder: string, what: string): Promise<Ended> {
  const done = ui.busy(what, true)
  return installItself(host, folder).finally(done)
}

const proven = ({ code, missed }: Ended): boolean =>
  code === exitCodes.done ||
  code === exitCodes.partly ||
  (code === exitCodes.failed && missed.length > 0 && !missed.some(ofVersion))

const whyNot = ({ code, missed, error }: Ended): string =>
  error ?? (missed.map(({ title, saw }) => `✗ ${title}\n    ${saw}`).join('\n') || `exit code ${code}`)

export const script: Script = {
  usage: `Usage: ${typed('upgrade')} [options]
Shows what is newer of HAProxy, Ollama and Tailscale, and which versions are known to work; asks; then upgrades one after the other, each with its proof. Nothing upgrades by itself.

  --check        look only; exit code 1 when something is newer, 0 when nothing is
  --only NAME    only this one: haproxy, ollama or tailscale (may be given several times)
  --from PATH    another version of ours: its folder, or a package of it (.tgz)
  --yes          without asking
  --json         one JSON document on stdout, never a question (with --check or --yes)`,
  options: {
    check: { type: 'boolean' },
    only: { type: 'string', multiple: true },
    from: { type: 'string' },
    yes: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  log: (argv) => (argv.includes('--check') ? undefined : 'upgrade'),
  run: upgrade,
}

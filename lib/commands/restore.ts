import { badSecret, heldSecrets, keepSecrets } from '../certificates/two-gateways.ts'
import { exitCodes, Stop } from '../host/command.ts'
import { type Host, realHost } from '../host/host.ts'
import { called, typed } from '../host/typed.ts'
import {
  type Backup,
  type Changes,
  changesTo,
  forPair,
  keepCopy,
  noSecrets,
  nothingIn,
  type Present,
  parseBackup,
  present,
  putFiles,
} from '../people/backup.ts'
import { asOwn } from '../people/own-probes.ts'
import type { Settings } from '../site/settings.ts'
import { takeLock } from '../steps/receipt.ts'
import { applyHeld, MoreThanSettings } from './apply.ts'
import { notOneFile, ownVersion } from './arguments.ts'
import type { Flags, Script, Ui } from './cli.ts'
import { defaultSettings, installed } from './prepare.ts'
import { complain } from './screens/wrap.ts'

/** restore: settings, keys and people from a backup; where something is installed, in force by the steps of apply.ts. */
export async function restore(ui: Ui, flags: Flags, names: string[]): Promise<number> {
  const dry = flags['dry-run'] === true
  const [file = ''] = names
  if (!ui.yes && !dry && !ui.attended)
    throw new Stop(
      exitCodes.usage,
      `Nobody can be asked here; run \`${typed('restore')} FILE --yes\`, or --dry-run to see what would change.`,
    )
  const host = asOwn(realHost(ui.note, ui.waiting))
  const text = (await host.stat(file))?.kind === 'file' ? await host.read(file) : undefined
  if (text === undefined || names.length !== 1) throw notOneFile('restore', names)
  const whole = parseBackup(text, file)
  const release = dry ? async () => {} : await takeLock(host)
  try {
    const now = await presentIn(host, flags.pair === true)
    const wanted = flags.pair ? forPair(knowing(whole, file), now.settings, file) : { ...whole, ...noSecrets }
    const changes = changesTo(now, wanted, await defaultSettings(host))
    ui.say(told(file, wanted, changes))
    if (nothingIn(changes) || dry) return ended(ui, { changes, restored: false }, exitCodes.done)
    if (!(await ui.confirm('Restore it?', ui.yes || changes.back.length + changes.earlier.length === 0))) {
      ui.say('Nothing was changed.')
      return exitCodes.declined
    }
    const copy = await keepCopy(host, now, await ownVersion())
    ui.say(`Settings and keys of before are kept:\n    ${typed('restore')} '${copy}'`)
    const code = await write(ui, host, wanted, now)
    return ended(ui, { changes, restored: true, copy }, code)
  } finally {
    await release()
  }
}

const presentIn = async (host: Host, pair: boolean): Promise<Present> => ({
  ...(await present(host)),
  ...(pair && (await heldSecrets(host))),
})

/** What HAProxy would not start with, or no client would trust, is taken from nobody. */
function knowing(whole: Backup & { parsed: Settings }, file: string): Backup & { parsed: Settings } {
  const fault = badSecret(whole)
  if (fault === undefined) return whole
  throw new Stop(
    exitCodes.usage,
    `${file} is damaged (${fault}: a certificate in PEM form, with its key); take another one. Nothing was changed.`,
  )
}

/** Settings, keys, and of a pair its secrets. */
async function put(host: Host, what: Present): Promise<void> {
  await putFiles(host, what)
  await keepSecrets(host, what)
}

async function write(ui: Ui, host: Host, wanted: Backup, now: Present): Promise<number> {
  await put(host, wanted)
  if (!(await installed(host))) {
    ui.say(`Restored. Nothing is installed here yet; ${typed('install')} sets this machine up with it.`)
    return exitCodes.done
  }
  try {
    const code = await applyHeld({ ...ui, json: false }, host, false)
    if (code === exitCodes.done) ui.say('Restored, and in force.')
    return code
  } catch (error) {
    if (!(error instanceof MoreThanSettings)) throw await putBack(ui, host, now, error as Error)
    complain(
      `Restored, but not in force yet: it takes more than ${called('apply')} does (${error.what}). Run ${typed('install')}.`,
    )
    return exitCodes.partly
  }
}

/** What was there before counts again, in the gateway, too; gives what to throw. */
async function putBack(ui: Ui, host: Host, now: Present, error: Error): Promise<Error> {
  await put(host, now)
  const again = await applyHeld({ ...ui, json: false, say: ui.note }, host, false).then(
    () => 'Settings and keys of before are back, and in force.',
    () => `Settings and keys of before are back; see ${typed('status')}.`,
  )
  return new Stop(error instanceof Stop ? error.code : exitCodes.failed, `${error.message} ${again}`)
}

function told(file: string, { made, by }: Backup, changes: Changes): string {
  const row = (what: string, names: string[]) => (names.length > 0 ? [`  ${what}: ${names.join(', ')}`] : [])
  const lines = [
    ...changes.settings.map((line) => `  settings  ${line}`),
    ...row('keys that are new here', changes.added),
    ...row('KEYS THAT COUNT AGAIN, revoked since or of another machine', changes.back),
    ...row('KEYS THAT COUNT AGAIN, replaced by a newer one since (which ends)', changes.earlier),
    ...row('keys with other limits', changes.changed),
    ...row('keys that end, as they are not in it', changes.gone),
    ...row('of the two gateways', changes.pair),
  ]
  const head = `${file}, of ${made.slice(0, 16).replace('T', ' ')} UTC (version ${by})`
  return lines.length > 0 ? [`${head} changes:`, ...lines].join('\n') : `${head}: all is here as it says.`
}

function ended(ui: Ui, what: { changes: Changes; restored: boolean; copy?: string }, code: number): number {
  if (ui.json) process.stdout.write(`${JSON.stringify({ ...what, code }, null, 2)}\n`)
  if (!what.restored) ui.say('Nothing was changed.')
  return code
}

export const script: Script = {
  usage: `Usage: ${typed('restore')} FILE [options]
Brings back what ${called('backup')} saved, on this machine or another: shows what changes, asks, keeps a copy of what is there, and brings it in force.

  --pair       from the other gateway of a pair: this one keeps its vip and the addresses of its listeners
  --dry-run    show what would change; change nothing
  --yes        without asking, also where a revoked key counts again
  --json       one JSON document on stdout, never a question (with --yes or --dry-run)`,
  options: {
    pair: { type: 'boolean' },
    'dry-run': { type: 'boolean' },
    yes: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  positionals: true,
  log: 'restore',
  run: restore,
}

import { heldSecrets } from '../certificates/two-gateways.ts'
import { exitCodes, Stop } from '../host/command.ts'
import { type Host, realHost } from '../host/host.ts'
import { called, typed } from '../host/typed.ts'
import { backupText, present } from '../people/backup.ts'
import { readRegistry } from '../people/given.ts'
import { places } from '../platform/here.ts'
import { readSettings } from '../site/settings.ts'
import { takeLock } from '../steps/receipt.ts'
import { ownVersion } from './arguments.ts'
import type { Flags, Script, Ui } from './cli.ts'
import { addressee, sendBySsh } from './pair-ssh.ts'
import { complain } from './screens/wrap.ts'

/** Seconds by which two clocks may differ before anybody is told. */
const tolerated = 2

/**
 * Seconds by which a clock that was read between two moments (ms since 1970) of ours is ahead of them at least, or behind
 * (less than 0); 0 where it agrees as far as can be told, or where nothing says what it was.
 */
export function clocksApart(said: string, from: number, until: number): number {
  const read = [...said.matchAll(/^clock (\d+)$/gm)].map(([, seconds]) => Number(seconds))
  const [first = Number.NaN, last = Number.NaN] = [read[0], read.at(-1)]
  if (last > until / 1000 + tolerated) return Math.round(last - until / 1000)
  return first + 1 < from / 1000 - tolerated ? Math.round(first - from / 1000) : 0
}

/** What is to be said of clocks that do not agree: limits of a minute and the ends of keys go by them. */
const ofClocks = (to: string, seconds: number): string[] =>
  seconds === 0
    ? []
    : [
        `The clock of ${to} is ${Math.abs(seconds)} s ${seconds > 0 ? 'ahead of' : 'behind'} this one, so keys end and limits begin anew at other moments there; let both keep the time of one server (timedatectl).`,
      ]

/** pair: settings and keys of this gateway for the other one of the pair. */
async function pair(ui: Ui, flags: Flags, [word, ...more]: string[]): Promise<number> {
  if (word !== 'sync' || more.length > 0)
    throw new Stop(exitCodes.usage, `${called('pair')} does sync: ${typed('pair sync')}`)
  const host = realHost(ui.note, ui.waiting)
  const { vip } = await readSettings(host)
  if (!vip)
    throw new Stop(
      exitCodes.precondition,
      'There is no other gateway to carry this to: settings.yaml has no vip. Nothing was changed.',
    )
  const release = await takeLock(host)
  const folder = flags.folder as string | undefined
  const work =
    folder === undefined
      ? send(ui, host, addressee(`${flags.to ?? `root@${vip.peer}`}`, vip.peer))
      : lay(ui, host, folder)
  return work.finally(release)
}

const saved = async (host: Host): Promise<string> =>
  backupText(
    { ...(await present(host)), keys: await readRegistry(host), ...(await heldSecrets(host)) },
    await ownVersion(),
  )

async function lay(ui: Ui, host: Host, folder: string): Promise<number> {
  if ((await host.stat(`${folder}/.`))?.kind !== 'folder')
    throw new Stop(exitCodes.usage, `There is no folder ${folder}; make it first. Nothing was changed.`)
  const file = `${folder.replace(/\/+$/, '')}/pair.json`
  await host.write(file, await saved(host), 0o600)
  ui.say(
    `${file} has settings, keys (hashes), and the secrets of the pair. On the other one:\n    rop restore ${file} --pair\nThen remove the file.`,
  )
  return exitCodes.done
}

async function send(ui: Ui, host: Host, to: string): Promise<number> {
  const file = `${places(host).state}/pair.json`
  await host.write(file, await saved(host), 0o600)
  const done = ui.busy(`Carrying settings and keys to ${to}`, true)
  try {
    const from = Date.now()
    const { code, stdout } = await sendBySsh(host, file, to)
    if (ui.verbose) ui.say(stdout.trim())
    for (const line of ofClocks(to, clocksApart(stdout, from, Date.now()))) complain(line)
    ui.say(
      code === 0
        ? `${to} has the settings and keys of this gateway, but for its own vip and listener addresses.`
        : `${to} has them, but not everything is in force there yet; see there: rop status`,
    )
    return code
  } finally {
    done()
    await host.remove(file)
  }
}

export const script: Script = {
  usage: `Usage: ${typed('pair')} sync [--to USER@HOST | --folder FOLDER]
Carries settings, keys (hashes), people, the certificate by which the two know each other, and the authorities of own-ca and of client
certificates to the other gateway of a pair (vip in settings.yaml), where they come in force at once. Its own vip and the addresses of
its listeners stay. What lies in files that settings name, such as certificates, is not carried.

  --to USER@HOST     whom ssh is to reach (root at vip.peer); it asks for nothing, so a key of yours must be there,
                     of whoever typed sudo
  --folder FOLDER    writes a file there instead, for: rop restore FILE --pair`,
  options: { to: { type: 'string' }, folder: { type: 'string' } },
  positionals: true,
  words: ['sync'],
  log: () => 'pair',
  run: pair,
}

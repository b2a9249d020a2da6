import { changeEach, type ToldWorker } from '../haproxy/workers.ts'
import { exitCodes, Stop } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { unwritable } from '../host/unwritable.ts'
import { places } from '../platform/here.ts'
import { Unfit } from './judge.ts'
import { factsIn, type Pair, sameSerial } from './pair.ts'
import { pemFile, type Shown, shownFor, written } from './served.ts'

/**
 * Puts a judged certificate in place: the file first, for the next start, then every worker that runs, then a handshake with
 * each door shows it. Running streams stay as they are. Throws `Unfit` where HAProxy does not take it, and the one before is
 * in file and workers again; `Stop` (exit 5) where it is kept and yet not served everywhere.
 */
export async function swap(host: Host, name: string, pair: Pair): Promise<void> {
  const file = pemFile(host, name)
  const before = await host.read(file)
  if (before !== pair.text) await keep(host, name, pair.text)
  let used = false
  try {
    await changeEach(host, (worker) =>
      changed(worker, file, pair, () => {
        used = true
      }),
    )
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    await back(host, file, before)
    throw new Unfit(
      `The new certificate for ${name} was not taken: HAProxy says "${error.message}"; the one before stays, and this is worth a report.`,
    )
  }
  if (used) await proven(host, name, pair)
}

/** Writes the file for its owner alone; what is there stays when it cannot be written whole. */
async function keep(host: Host, name: string, text: string): Promise<void> {
  try {
    await host.folder(places(host).certs)
    await host.write(pemFile(host, name), text)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const { why, todo } = unwritable(error) ?? { why: `error ${code}`, todo: 'mend that' }
    throw new Unfit(
      `The new certificate for ${name} could not be written (${why}), so the one before stays; ${todo}, and it is tried again within the hour.`,
    )
  }
}

/** HAProxy says no. */
class Refused extends Error {}

/** A word of a command: a blank in a path would end it. */
const word = (text: string): string => text.replaceAll(/[ \\]/g, '\\$&')

/** The serial number of a certificate as the running worker has it in memory, by its file; undefined where it has none of that name. */
export const serialInWorker = async (look: Look, file: string): Promise<string | undefined> =>
  serialIn((await look.ask(places(look).adminSocket, `show ssl cert ${word(file)}`)) ?? '')

/** The serial numbers of the authorities that the running worker has in memory from a file; none where it has none of that name. */
export const serialsOfAuthority = async (look: Look, file: string): Promise<string[]> => {
  const said = (await look.ask(places(look).adminSocket, `show ssl ca-file ${word(file)}`)) ?? ''
  return [...said.matchAll(/^Serial: (\S+)/gm)].map(([, serial = '']) => sameSerial(serial))
}

const serialIn = (said: string): string | undefined => {
  const serial = /^Serial: (\S+)/m.exec(said)?.[1]
  return serial && sameSerial(serial)
}

/** Changes it in one worker and reads it back; one that does not know the file, as of a configuration before it, needs none. */
async function changed(
  { ask, tell }: ToldWorker,
  file: string,
  pair: Pick<Pair, 'serial' | 'text'>,
  has: () => void,
): Promise<boolean> {
  const path = word(file)
  const now = async () => serialIn(await ask(`show ssl cert ${path}`))
  const serial = await now()
  if (serial !== undefined) has()
  if (serial === undefined || serial === pair.serial) return true
  // One that was begun and never ended would be in the way.
  await tell(`abort ssl cert ${path}`)
  const set = await tell(`set ssl cert ${path}`, pair.text.trim().split('\n'))
  if (!/Transaction (created|updated)/.test(set)) throw new Refused(firstLine(set))
  const commit = await tell(`commit ssl cert ${path}`)
  if ((await now()) === pair.serial) return true
  await tell(`abort ssl cert ${path}`)
  if (/Success!/.test(commit)) return false
  throw new Refused(firstLine(commit))
}

const firstLine = (said: string): string => said.trim().split('\n').at(-1)?.slice(0, 200) || 'nothing'

/** The one before again, in the file and wherever the new one had come. */
async function back(host: Host, file: string, before: string | undefined): Promise<void> {
  const facts = factsIn(before)
  if (before === undefined || !facts) return host.remove(file)
  await host.write(file, before)
  await changeEach(host, (worker) => changed(worker, file, { serial: facts.serial, text: before }, () => {}))
}

/** ms within which a door shows what its worker has. */
const patience = 5000

async function proven(host: Host, name: string, { serial }: Pair): Promise<void> {
  let shown: Shown[] = []
  const others = () => shown.filter(({ facts }) => facts && facts.serial !== serial)
  const all = await host.until(`a handshake shows the new certificate for ${name}`, patience, async () => {
    shown = await shownFor(host, name)
    return others().length === 0 && shown.some(({ facts, elsewhere }) => facts || elsewhere)
  })
  if (all) return
  const seen = (others().length > 0 ? others() : shown).map(({ door, facts, why }) =>
    facts ? `${written(door)} still serves ${facts.serial}` : `${written(door)} shows none (${why})`,
  )
  throw new Stop(
    exitCodes.partly,
    `The new certificate for ${name} (serial ${serial}) is kept, but ${seen.join(' and ') || 'no listener with TLS is configured'}; a restart of the gateway serves it.`,
  )
}

import path from 'node:path'
import { claim } from '../host/claim.ts'
import { Stop, sha256 } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { places } from '../platform/here.ts'
import { emptyReceipt, type Receipt, receipt } from '../site/receipt.ts'

/** The receipt, or undefined when nothing was ever installed (or the file is beyond reading: then every file counts as foreign). */
export async function readReceipt(look: Look): Promise<Receipt | undefined> {
  const text = await look.read(places(look).receipt)
  if (text === undefined) return undefined
  try {
    return receipt.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** The receipt as it is now, an empty one where there is none; what changes the machine reads it under the lock. */
export const currentReceipt = async (look: Look): Promise<Receipt> => (await readReceipt(look)) ?? emptyReceipt()

export const saveReceipt = (host: Host, receipt: Receipt): Promise<void> =>
  host.write(places(host).receipt, `${JSON.stringify(receipt, null, 2)}\n`)

/** Writes a file and remembers its hash, so that a later edit by hand is seen. */
export async function writeOurs(
  host: Host,
  receipt: Receipt,
  file: string,
  text: string,
  mode?: number,
): Promise<void> {
  await keepForeign(host, receipt, file)
  await announce(host, receipt, file, text)
  await host.write(file, text, mode)
}

/** Writes into the receipt what a file is about to become, so that it counts as ours whenever a kill comes. */
export async function announce(host: Host, receipt: Receipt, file: string, text: string): Promise<void> {
  const was = receipt.files[file]
  if (was !== undefined) receipt.before[file] = was
  receipt.files[file] = sha256(text)
  await saveReceipt(host, receipt)
}

/** Whether a file is there and not as we wrote it. */
export async function isForeign(look: Look, receipt: Receipt, file: string): Promise<boolean> {
  const text = await look.read(file)
  return text !== undefined && ![receipt.files[file], receipt.before[file]].includes(sha256(text))
}

/** Copies a file that is not as we wrote it to the backups; gives the copy's path. */
export async function keepForeign(host: Host, receipt: Receipt, file: string): Promise<string | undefined> {
  if (!(await isForeign(host, receipt, file))) return undefined
  const backup = await backupPlace(host, path.basename(file))
  await host.folder(path.dirname(backup))
  await host.copy(file, backup)
  receipt.backups.push({ original: file, backup })
  await saveReceipt(host, receipt)
  return backup
}

/** A free place for a backup; its name begins with the time, which may be told twice where the clock is set back. */
export async function backupPlace(look: Look, name: string): Promise<string> {
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, '-')
  const taken = new Set(await look.list(places(look).backups))
  let free = `${stamp}-${name}`
  for (let again = 2; taken.has(free); again += 1) free = `${stamp}-${again}-${name}`
  return path.join(places(look).backups, free)
}

/** Takes the one lock of all changing runs; throws `Stop` (exit 3) when another run holds it. A dead holder's lock is taken over. */
export async function takeLock(host: Host): Promise<() => Promise<void>> {
  const file = places(host).lock
  const mine = `${process.pid} ${await startOf(host, process.pid)}\n`
  const release = () => setAside(host, file, mine)
  for (let attempt = 0; attempt < 3; attempt += 1) {
    if (await claim(file, mine)) {
      const other = await holderAside(host, file, mine)
      if (other === undefined) return release
      await release()
      throw atWork(other)
    }
    const found = await host.read(file)
    if (found === undefined) continue
    const holder = await livingHolder(host, found)
    if (holder !== undefined) throw atWork(holder)
    await setAside(host, file, found)
  }
  throw new Stop(3, `The lock ${file} could not be taken; run again.`)
}

const atWork = (pid: string): Stop =>
  new Stop(3, `Another run of remote-ollama-proxy is at work (process ${pid}); wait for it, then run again.`)

/** The process that a lock names, when it is the very one that wrote it and still runs. */
async function livingHolder(look: Look, lock: string): Promise<string | undefined> {
  const [pid = '', ...start] = lock.trim().split(' ')
  const lives = Number(pid) > 0 && start.length > 0 && (await startOf(look, Number(pid))) === start.join(' ')
  return lives ? pid : undefined
}

/** Another run may just have set a living run's lock aside by mistake; it counts until that run has put it back. */
async function holderAside(look: Look, file: string, mine: string): Promise<string | undefined> {
  const folder = path.dirname(file)
  for (const name of await look.list(folder)) {
    if (!name.startsWith(`${path.basename(file)}.dead-`)) continue
    const text = await look.read(`${folder}/${name}`)
    const holder = text === undefined || text === mine ? undefined : await livingHolder(look, text)
    if (holder !== undefined) return holder
  }
  return undefined
}

/** Removes the lock when it has this text. Only after the rename is it sure whose it was: another's is put back. */
async function setAside(host: Host, file: string, text: string): Promise<void> {
  if ((await host.read(file)) !== text) return
  const aside = `${file}.dead-${process.pid}`
  try {
    await host.move(file, aside)
  } catch (error) {
    // Another run was quicker.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  const moved = await host.read(aside)
  const settled =
    moved === undefined || moved === text || (await host.until('the lock is back', 5000, () => claim(file, moved)))
  if (settled) await host.remove(aside)
}

/** When a process started, as text; a number alone could have been given to another process since. */
async function startOf(look: Look, pid: number): Promise<string> {
  return (await look.query(['env', 'LC_ALL=C', 'TZ=UTC', 'ps', '-o', 'lstart=', '-p', `${pid}`])).stdout
    .trim()
    .replaceAll(/\s+/g, ' ')
}

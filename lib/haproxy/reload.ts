import type { Output } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { places } from '../platform/here.ts'
import { type Configuration, fingerprintOf } from '../site/configuration.ts'
import { madeForNodes } from '../site/nodes.ts'
import type { Receipt } from '../site/receipt.ts'
import { announce, isForeign, keepForeign, writeOurs } from '../steps/receipt.ts'
import { runningFingerprint, workerInfo } from './runtime.ts'
import { oldWorkers } from './workers.ts'

export interface Change {
  receipt: Receipt
  configuration: Configuration
  /** the program that will run it, by its stable path */
  haproxy: string
}

/** Checks a configuration with the program that will run it; undefined when it is valid, else the first complaint. */
export async function fault(look: Look, haproxy: string, file: string): Promise<string | undefined> {
  return verdict(await look.query([haproxy, '-c', '-f', file]))
}

function verdict({ code, stdout, stderr }: Output): string | undefined {
  if (code === 0) return undefined
  const lines = `${stderr}\n${stdout}`.split('\n').filter((line) => /ALERT|error/i.test(line))
  return lines[0]?.trim() ?? `haproxy -c ended with ${code}`
}

/** Seconds between two reloads at least: what is edited within them shares one. */
const apart = 5

/** When the running worker is younger than five seconds, waits until it is not, and tells so; false when there was nothing to wait for. */
export async function reloadedJustNow(look: Look, say: (text: string) => void): Promise<boolean> {
  const settled = async () => ((await workerInfo(look))?.uptime ?? apart) >= apart
  if (await settled()) return false
  say(`The gateway was reloaded less than ${apart} seconds ago; edits until they are over share the next reload.`)
  await look.until('the last reload is some seconds old', 2 * apart * 1000, settled)
  return true
}

/** Workers at once that may still serve streams of earlier configurations; each keeps 10 to 60 MB until they end. */
const mostOldWorkers = 16

/**
 * Puts a configuration in place and, when a worker runs, swaps it without dropping a stream: write beside, `haproxy -c`,
 * keep the old as last good, rename, reload, poll until the running worker answers the new fingerprint.
 * Throws when the new one is refused (nothing changed) or does not come up (the last good is back, and says so).
 */
export async function swap(host: Host, change: Change): Promise<void> {
  const at = places(host)
  const { configuration, receipt } = change
  await fewOldWorkers(host)
  await writeFiles(host, configuration)
  const next = `${at.config}.next`
  await host.write(next, configuration.text)
  const complaint = verdict(await host.run([change.haproxy, '-c', '-f', next], { codes: [0, 1] }))
  if (complaint) {
    await host.remove(next)
    await tidy(host, [await host.read(at.config), await host.read(at.lastGood)])
    throw new Error(`HAProxy refuses the new configuration, so the old one stays: ${complaint}`)
  }
  const old = await host.read(at.config)
  if (await isForeign(host, receipt, at.config)) await keepForeign(host, receipt, at.config)
  if (old !== undefined) await host.write(at.lastGood, old)
  await announce(host, receipt, at.config, configuration.text)
  await host.move(next, at.config)
  if (await runningFingerprint(host)) await prove(host, change, old)
  await tidy(host, [configuration.text, old])
}

/** Ending them (HAProxy's mworker-max-reloads) would cut their streams. */
async function fewOldWorkers(look: Look): Promise<void> {
  if ((await oldWorkers(look)) < mostOldWorkers) return
  throw new Error(
    `Answers are still running under ${mostOldWorkers} earlier configurations, and each holds memory until they end; wait for some to end, then run this again. Nothing was changed.`,
  )
}

/** Has a new worker read the configuration that is in place, without dropping a stream: what the old one was told by hand is forgotten. Throws when none takes over. */
export async function reloadAnew(host: Host): Promise<void> {
  await fewOldWorkers(host)
  const before = (await workerInfo(host))?.pid
  const fault = await reload(host, async () => ![before, undefined].includes((await workerInfo(host))?.pid))
  if (fault) throw new Error(fault)
}

async function writeFiles(host: Host, configuration: Configuration): Promise<void> {
  for (const [file, text] of Object.entries(configuration.files)) await host.write(file, text)
}

async function prove(host: Host, { configuration, receipt }: Change, old: string | undefined): Promise<void> {
  const at = places(host)
  const answering = (wanted: string) => async () => (await runningFingerprint(host)) === wanted
  const first = await reload(host, answering(configuration.fingerprint))
  if (!first) return
  if (old === undefined) throw new Error(first)
  await writeOurs(host, receipt, at.config, old)
  const second = await reload(host, answering(fingerprintOf(old)))
  await tidy(host, [old])
  throw new Error(
    `${first} ${second ? `Going back failed, too: ${second}` : 'The last good configuration is back and answers.'}`,
  )
}

/** How many reloads failed in a row, by the master's own count (2.5 and newer). */
async function failures(host: Host): Promise<number> {
  const processes = await host.ask(places(host).masterSocket, 'show proc')
  return Number(/\[failed: (\d+)\]/.exec(processes ?? '')?.[1] ?? 0)
}

/** Reloads that are tried when the old worker's sockets did not reach the new one: on macOS they get lost now and then. */
const tries = 3
/** HAProxy's words for that (src/sock.c, src/haproxy.c). */
const notHandedOver = /Failed to get the (sockets|number of sockets)|Address already in use/

/** Reloads until the new worker answers as it should; undefined when it does, else what was seen. */
export async function reload(host: Host, answers: () => Promise<boolean>): Promise<string | undefined> {
  let seen: { fault: string; again: boolean } | undefined
  for (let at = 0; at < tries && (at === 0 || seen?.again); at += 1) seen = await reloadOnce(host, answers)
  return seen?.fault
}

/** Reloads and waits (15 s, unless the master counts a failure) for the answer; undefined when it came, else what was seen and whether another try may help. */
async function reloadOnce(
  host: Host,
  answers: () => Promise<boolean>,
): Promise<{ fault: string; again: boolean } | undefined> {
  const before = await failures(host)
  const said = await tellReload(host)
  if (busy.test(said))
    return { fault: 'The reload did not take: HAProxy says that another one is still in progress.', again: false }
  let refused = false
  // The verdict is what `until` says, so that a host that only says what it would do sees no failure.
  const ended = await host.until('the new configuration answers', 15_000, async () => {
    if (await answers()) return true
    refused = (await failures(host)) > before
    return refused
  })
  if (ended && !refused) return undefined
  const reason = said
    .split('\n')
    .find((line) => /ALERT|cannot|error/i.test(line))
    ?.trim()
  // Before 2.7 HAProxy gives no reason here.
  const again = refused && (notHandedOver.test(said) || !said.includes('Success='))
  return {
    fault: `The reload did not take: the worker still answers the old configuration${reason ? ` (${reason})` : ''}.`,
    again,
  }
}

const busy = /Another reload is still in progress/

/** Tells the master to reload, once it is through with an earlier reload (15 s at most); gives what it says. */
async function tellReload(host: Host): Promise<string> {
  let said = ''
  const taken = async () => {
    said = await host.tell(places(host).masterSocket, 'reload').catch((error: Error) => error.message)
    return !busy.test(said)
  }
  await host.until('the earlier reload is over', 15_000, taken, 1000)
  return said
}

/** Removes what none of these configurations names: folders of files, and what was for other nodes, their keys among it. */
async function tidy(host: Host, texts: (string | undefined)[]): Promise<void> {
  const wanted = texts.map((text) => fingerprintOf(text ?? '').slice(0, 12))
  const { maps, keyMaps } = places(host)
  for (const name of await host.list(maps)) if (!wanted.includes(name)) await host.remove(`${maps}/${name}`)
  for (const name of await host.list(keyMaps))
    if (madeForNodes.test(name) && !texts.some((text) => text?.includes(`/${name}`)))
      await host.remove(`${keyMaps}/${name}`)
}

import { isDeepStrictEqual } from 'node:util'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { exitCodes, json, Stop } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { called } from '../host/typed.ts'
import { places } from '../platform/here.ts'
import { changesOf } from '../site/changes.ts'
import { noKeys, type Registry, registry } from '../site/limits.ts'
import { parseSettings, type Settings } from '../site/settings.ts'
import { inOurWords } from '../site/wanted.ts'
import { keyName, parseRegistry, saveRegistry } from './registry.ts'

const pem = z.string().max(10_000)

/** The file's form. `settings` is settings.yaml as it was written, comments and all; people are named in it. */
const form = z.strictObject({
  what: z.literal('remote-ollama-proxy backup'),
  version: z.literal(1),
  made: z.iso.datetime(),
  /** the version of ours that wrote it */
  by: z.string(),
  settings: z.string(),
  keys: registry,
  /** what one gateway of a pair gives the other beside that: the certificate by which they know each other, and its key */
  pair: pem.optional(),
  /** the authority of own-ca and that of client certificates, of a pair, too */
  root: z.strictObject({ certificate: pem, key: pem, names: z.array(z.string()) }).optional(),
  clients: z.strictObject({ certificate: pem, key: pem }).optional(),
})
export type Backup = z.infer<typeof form>

/** What of it two gateways have in common and no copy on a machine has. */
type Secrets = Pick<Backup, 'pair' | 'root' | 'clients'>
export const noSecrets: Secrets = { pair: undefined, root: undefined, clients: undefined }

/** What a machine has of that. A registry that cannot be read is undefined, as one that was never there. */
export interface Present extends Secrets {
  settings: string
  keys?: Registry
  /** the file of the keys as it is */
  keysText?: string
}

/** Reads both files as they are, whatever is in them; an absent one gives the defaults. */
export async function present(look: Look): Promise<Present> {
  const at = places(look)
  const keysText = await look.read(at.keys)
  const settings = (await look.read(at.settings)) ?? ''
  return { settings, keysText, keys: readable(() => keysText && parseRegistry(keysText, at.keys)) || undefined }
}

function readable<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (error instanceof Stop) return undefined
    throw error
  }
}

/** The text of a backup. */
export function backupText(now: Present, by: string, made = new Date()): string {
  const whole: Backup = {
    what: 'remote-ollama-proxy backup',
    version: 1,
    made: made.toISOString(),
    by,
    settings: now.settings,
    keys: now.keys ?? noKeys,
    pair: now.pair,
    root: now.root,
    clients: now.clients,
  }
  return `${JSON.stringify(whole, null, 2)}\n`
}

/** Checks a backup from its form to the last setting; throws `Stop` (exit 2), and nothing was changed then. */
export function parseBackup(text: string, file: string): Backup & { parsed: Settings } {
  const raw = json(text)
  const told = (z.object({ what: form.shape.what, version: z.number() }).safeParse(raw).data ?? {}) as Partial<Backup>
  if (told.version === undefined)
    throw new Stop(exitCodes.usage, `${file} was not written by ${called('backup')}; nothing was changed.`)
  if (told.version !== 1)
    throw new Stop(
      exitCodes.usage,
      `${file} was written by a newer remote-ollama-proxy (form ${told.version}, this one knows 1); upgrade this one first. Nothing was changed.`,
    )
  const found = form.safeParse(raw, { reportInput: true, error: inOurWords })
  const fault = found.error?.issues[0]
  if (!found.success)
    throw new Stop(
      exitCodes.usage,
      `${file} is damaged (${fault?.path.join('.')}: ${fault?.message}); take another one. Nothing was changed.`,
    )
  const bad = Object.keys(found.data.keys.keys).find((name) => !keyName.safeParse(name).success)
  if (bad !== undefined)
    throw new Stop(
      exitCodes.usage,
      `${file} is damaged (a key named ${JSON.stringify(bad)}); take another one. Nothing was changed.`,
    )
  return { ...found.data, parsed: parseSettings(found.data.settings, `settings.yaml in ${file}`) }
}

/** What each of two gateways has for itself: the pair's address as it sees it, and where it listens. */
const ofOneMachine = [['vip'], ...['inside', 'lan', 'public'].map((name) => ['listeners', name, 'addresses'])]

/**
 * A backup of the other gateway of a pair as it is to count on this one, which keeps what is its own. Throws `Stop`
 * (exit 3) where this machine shares no address, and (exit 2) where both together make no settings.
 */
export function forPair(
  backup: Backup & { parsed: Settings },
  own: string,
  file: string,
): Backup & { parsed: Settings } {
  const [theirs, mine] = [parseDocument(backup.settings), parseDocument(own)]
  if (!mine.hasIn(['vip']))
    throw new Stop(
      exitCodes.precondition,
      `The settings of this machine have no vip, so it is no gateway of a pair; add it first, or leave --pair out. Nothing was changed.`,
    )
  for (const path of ofOneMachine) if (mine.hasIn(path) && theirs.hasIn(path)) theirs.setIn(path, mine.getIn(path))
  if (!theirs.hasIn(['vip'])) theirs.setIn(['vip'], mine.getIn(['vip']))
  const settings = theirs.toString({ lineWidth: 0 })
  return { ...backup, settings, parsed: parseSettings(settings, `settings.yaml in ${file}`) }
}

/** What a restore changes, each by name. */
export interface Changes {
  /** settings, a sentence each */
  settings: string[]
  /** keys where none were before */
  added: string[]
  /** keys that count nowhere here now and will again: revoked since, or made on another machine */
  back: string[]
  /** earlier keys of somebody who has another one by now */
  earlier: string[]
  /** other limits of the same key */
  changed: string[]
  /** keys that are not in the backup */
  gone: string[]
  /** what the two gateways of a pair have in common beside that, in words */
  pair: string[]
}

/** Whether there is anything to do at all. */
export const nothingIn = (changes: Changes): boolean => Object.values(changes).every((list) => list.length === 0)

/** Compares what is there with a backup; `defaults` is the settings' text with every default. What is past its end counts no more in either. */
export function changesTo(
  now: Present,
  then: Backup & { parsed: Settings },
  defaults: string,
  at = Date.now(),
): Changes {
  const [mine, theirs] = [now.keys?.keys ?? {}, then.keys.keys]
  const names = Object.keys(theirs)
  const both = names.filter((name) => Object.hasOwn(mine, name))
  const fresh = names.filter((name) => !Object.hasOwn(mine, name))
  const counting = (name: string, of: Registry['keys']) =>
    (of[name]?.hashes ?? []).filter(({ until }) => until === undefined || Date.parse(until) > at)
  const earlier = both.filter((name) =>
    counting(name, theirs).some(({ sha256 }) => !counting(name, mine).some((one) => one.sha256 === sha256)),
  )
  return {
    settings: settingsBetween(now.settings, then, defaults),
    added: now.keys ? [] : fresh,
    back: now.keys ? fresh : [],
    earlier,
    changed: both.filter((name) => !earlier.includes(name) && !isDeepStrictEqual(mine[name], theirs[name])),
    gone: Object.keys(mine).filter((name) => !Object.hasOwn(theirs, name)),
    pair: [
      ...brought(now.pair, then.pair, 'the certificate by which they know each other'),
      ...brought(now.root?.certificate, then.root?.certificate, 'the root of own-ca, which clients of both need now'),
      ...brought(
        now.clients?.certificate,
        then.clients?.certificate,
        'the authority of client certificates: those that this gateway gave must be given anew',
      ),
    ],
  }
}

const brought = (now: string | undefined, then: string | undefined, what: string): string[] =>
  then === undefined || then === now ? [] : [what]

function settingsBetween(now: string, { settings, parsed, keys }: Backup & { parsed: Settings }, defaults: string) {
  if (now === settings) return []
  const before = readable(() => parseSettings(now, 'settings.yaml'))
  if (!before) return ['all of it: settings.yaml is faulty now']
  const [is, will] = [
    { text: now, settings: before },
    { text: settings, settings: parsed },
  ]
  const changes = changesOf(is, will, defaults, Object.keys(keys.keys).length)
  return changes.length > 0 ? changes : ['comments and layout']
}

/** Writes settings and keys as they were when `present` read them, or as a backup has them; what was not there is not there again. */
export async function putFiles(host: Host, { settings, keys, keysText }: Present): Promise<void> {
  const at = places(host)
  await (settings === '' ? host.remove(at.settings) : host.write(at.settings, settings))
  if (keysText !== undefined) await host.write(at.keys, keysText)
  else await (keys ? saveRegistry(host, keys) : host.remove(at.keys))
}

/** Keeps what is there where a restore finds it again, but for the secrets of a pair; gives the file. A registry that cannot be read is copied beside it as it is. */
export async function keepCopy(host: Host, now: Present, by: string): Promise<string> {
  const folder = places(host).copies
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, '-')
  const file = `${folder}/${stamp}.json`
  await host.folder(folder)
  await host.write(file, backupText({ ...now, ...noSecrets }, by))
  if (now.keysText !== undefined && !now.keys) await host.write(`${folder}/${stamp}-keys.json`, now.keysText)
  return file
}

const last = z.object({ at: z.iso.datetime(), file: z.string() })
const lastFile = (look: Look): string => `${places(look).state}/last-backup.json`

/** When a person last saved settings and keys on this machine, and where to; undefined when never. */
export async function lastBackup(look: Look): Promise<{ at: Date; file: string } | undefined> {
  const found = last.safeParse(json((await look.read(lastFile(look))) ?? ''))
  return found.success ? { at: new Date(found.data.at), file: found.data.file } : undefined
}

/** Remembers that a backup was made. */
export const rememberBackup = (host: Host, file: string, at = new Date()): Promise<void> =>
  host.write(lastFile(host), `${JSON.stringify({ at: at.toISOString(), file })}\n`)

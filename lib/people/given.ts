import { exitCodes, Stop } from '../host/command.ts'
import type { Look } from '../host/host.ts'
import { typed } from '../host/typed.ts'
import { places } from '../platform/here.ts'
import type { Entry, Registry } from '../site/limits.ts'
import { freeNames, leftText, listedHashes } from './import.ts'
import { parseRegistry, writtenRegistry } from './registry.ts'

/**
 * The keys: those written down, and those of the file that the owner keeps elsewhere, by what it says now. Throws `Stop`
 * (exit 2) when one of the two is faulty, with the number of each line of the owner's that is.
 */
export async function readRegistry(look: Look): Promise<Registry> {
  const written = await writtenRegistry(look)
  const { given } = places(look)
  return given === undefined ? written : withGiven(written, (await look.read(given.keys)) ?? '', given.keys)
}

/** Whether the keys are written down as the owner's file says now. */
export async function isWritten(look: Look, { keys }: Registry): Promise<boolean> {
  const told = (registry: Registry['keys']) =>
    JSON.stringify(Object.entries(registry).flatMap(([name, { given, hashes }]) => (given ? [[name, hashes]] : [])))
  return told(keys) === told((await writtenRegistry(look)).keys)
}

/** The same keys with those of a text beside them: an export of ours, or the lines of an nginx gateway. A key that stays keeps its name and its limits. */
export function withGiven({ keys }: Registry, text: string, file: string, now = new Date()): Registry {
  const all = Object.entries(keys)
  const own = Object.fromEntries(all.filter(([, { given }]) => !given))
  const before = Object.fromEntries(all.filter(([, { given }]) => given))
  const found = text.trimStart().startsWith('{') ? exported(text, file, own) : listed(text, file, own, before, now)
  return { version: 1, keys: { ...own, ...found } }
}

type Keys = Registry['keys']

const marked = (entry: Entry): Entry => ({ ...entry, given: true })

function exported(text: string, file: string, own: Keys): Keys {
  const { keys } = parseRegistry(text, file)
  const twice = Object.keys(keys).find((name) => Object.hasOwn(own, name))
  if (twice !== undefined)
    throw new Stop(
      exitCodes.usage,
      `${file} has a key named ${twice}, and so has ${typed('keys')}; give one of the two another name. Nothing was changed.`,
    )
  return Object.fromEntries(Object.entries(keys).map(([name, entry]) => [name, marked(entry)]))
}

function listed(text: string, file: string, own: Keys, before: Keys, now: Date): Keys {
  const { hashes, left } = listedHashes(text)
  const lost = left.filter((line) => line.lost)
  if (lost.length > 0)
    throw new Stop(
      exitCodes.usage,
      [`${file} has lines that let nobody in for sure:`, ...lost.map(leftText), 'Nothing was changed.'].join('\n'),
    )
  const has = (hash: string) => (entry: Entry) => entry.hashes.some(({ sha256 }) => sha256 === hash)
  const wanted = hashes.filter((hash) => !Object.values(own).some(has(hash)))
  const known = (hash: string) => Object.entries(before).find(([, entry]) => has(hash)(entry))
  const names = freeNames({ version: 1, keys: { ...own, ...before } }, wanted.length).values()
  const made = (hash: string): [string, Entry] => [
    names.next().value ?? '',
    { created: now.toISOString(), given: true, hashes: [{ sha256: hash }] },
  ]
  return Object.fromEntries(wanted.map((hash) => known(hash) ?? made(hash)))
}

/** Throws `Stop` (exit 2) where a key is changed in the owner's file alone. */
export function notGiven(look: Look, name: string, { given }: Entry): void {
  const file = places(look).given?.keys
  if (given && file)
    throw new Stop(
      exitCodes.usage,
      `${name} stands in ${file}: take its line out there (or change it), then ${typed('apply')}. Nothing was changed.`,
    )
}

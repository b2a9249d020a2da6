import { isDeepStrictEqual } from 'node:util'
import { parse } from 'yaml'
import { type Group, groups } from './endpoints.ts'
import { openGroups, type Settings } from './settings.ts'

/** Settings, and the text that they were read from. */
export interface Written {
  settings: Settings
  text: string
}

/** What changed between two settings, a sentence each, for whoever changed them; `defaults` is the text with every default, `keys` how many count. */
export const changesOf = (before: Written, after: Written, defaults: string, keys = 0): string[] => [
  ...accessChange(before.settings, after.settings, keys),
  ...groupChanges(before.settings, after.settings),
  ...otherChanges(before, after, defaults),
]

const asks: Record<Settings['access'], string> = {
  tailnet: 'No key is asked for any more: whoever the tailnet lets in may ask.',
  keys: 'From now on a key is asked for',
  either: 'From now on a key is asked for, but of those who are named under people',
}

function accessChange(before: Settings, after: Settings, keys: number): string[] {
  if (before.access === after.access) return []
  return [
    after.access === 'tailnet' ? asks.tailnet : `${asks[after.access]}; there ${keys === 1 ? 'is 1' : `are ${keys}`}.`,
  ]
}

function groupChanges(before: Settings, after: Settings): string[] {
  const [was, is] = [openGroups(before), openGroups(after)]
  const said = (names: Group[], state: string) => names.map((name) => `${name} is ${state} now: ${groups[name].what}.`)
  return [
    ...said(
      is.filter((name) => !was.includes(name)),
      'open',
    ),
    ...said(
      was.filter((name) => !is.includes(name)),
      'closed',
    ),
  ]
}

/** Said in words of their own above. */
const told = ['access', 'groups']

function otherChanges(before: Written, after: Written, defaults: string): string[] {
  const [was, is] = [flat(defaults, before.text), flat(defaults, after.text)]
  const names = [...new Set([...was.keys(), ...is.keys()])].filter((name) => was.get(name) !== is.get(name))
  // The same time in other units is no change.
  const same = (name: string) => {
    const key = name.split('.')[0] as keyof Settings
    return isDeepStrictEqual(before.settings[key], after.settings[key])
  }
  return names
    .filter((name) => !told.includes(name) && !same(name))
    .map((name) => sentence(name, was.get(name), is.get(name)))
}

function sentence(name: string, was: string | undefined, is: string | undefined): string {
  if (is === undefined) return `${name} is gone; it was ${was}.`
  return was === undefined ? `${name} is ${is} now.` : `${name} is ${is} now; it was ${was}.`
}

/** Every setting by its path as it is written; what a later text does not name is as in an earlier one. */
const flat = (...texts: string[]): Map<string, string> =>
  new Map(texts.flatMap((text) => pairs((parse(text) as unknown) ?? {}, '')))

function pairs(value: unknown, path: string): [string, string][] {
  if (typeof value !== 'object' || value === null) return [[path, `${value}`]]
  if (Array.isArray(value)) return [[path, `[${value.join(', ')}]`]]
  return Object.entries(value).flatMap(([name, below]) => pairs(below, path === '' ? name : `${path}.${name}`))
}

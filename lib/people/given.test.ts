import { describe, expect, test } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { places } from '../platform/here.ts'
import { noKeys, type Registry } from '../site/limits.ts'
import { isWritten, notGiven, readRegistry, withGiven } from './given.ts'
import { hashKey } from './key.ts'

const now = new Date('2026-11-30T10:00:00Z')
const line = (key: string) => `"Bearer ${key}" 1;\n`
const of = (text: string, before: Registry = noKeys) => withGiven(before, text, 'api_keys.conf', now)
const known = ({ keys }: Registry) =>
  Object.entries(keys).map(([name, { hashes }]) => [name, hashes.map(({ sha256 }) => sha256)])

describe('the keys of the owner’s file', () => {
  test('have names by their order, and keep name and limits wherever their line goes', () => {
    const first = of(line('one') + line('two'))
    expect(known(first)).toEqual([
      ['imported-1', [hashKey('one')]],
      ['imported-2', [hashKey('two')]],
    ])
    const limited = { ...first, keys: { ...first.keys, 'imported-2': { ...first.keys['imported-2'], perMinute: 5 } } }
    const later = of(line('two') + line('three'), limited as Registry)
    expect(known(later)).toEqual([
      ['imported-2', [hashKey('two')]],
      ['imported-3', [hashKey('three')]],
    ])
    expect(later.keys['imported-2']?.perMinute).toBe(5)
  })

  test('go with their line, and with the file, and leave those that were made here', () => {
    const own: Registry = { version: 1, keys: { ann: { created: now.toISOString(), hashes: [] } } }
    const both = of(line('one'), own)
    expect(Object.keys(both.keys)).toEqual(['ann', 'imported-1'])
    expect(Object.keys(of('# nobody\n', both).keys)).toEqual(['ann'])
  })

  test('may be an export of ours, under its own names', () => {
    const text = JSON.stringify({ version: 1, keys: { bob: { created: now.toISOString(), hashes: [] } } })
    expect(of(text).keys.bob?.given).toBe(true)
    const own: Registry = { version: 1, keys: { bob: { created: now.toISOString(), hashes: [] } } }
    expect(() => of(text, own)).toThrow(/a key named bob/)
  })

  test.each([
    ['nonsense\n', 'line 2: it is not ended by ;'],
    ['"Bearer two 1;\n', 'line 2 to 3: the " of line 2 is never closed'],
    ['"Bearer ollama" 1;\n', 'line 2: the word ollama'],
  ])('are refused as a whole with the number of a line that is broken: %j', (broken, said) => {
    expect(() => of(line('one') + broken)).toThrow(said)
  })

  test('a line that lets nobody in is none', () => {
    expect(known(of(`${line('one')}"Bearer two" 0;\n`))).toEqual([['imported-1', [hashKey('one')]]])
  })

  test('count only where there is such a file, are to be written down, and are changed there alone', async () => {
    const at = places({ home: '/gateway', system: 'container' })
    const files = new Map([[at.given?.keys ?? '', line('one')]])
    const here = { ...memoryHost({ files }), home: '/gateway', system: 'container' as const }
    const registry = await readRegistry(here)
    expect(await isWritten(here, registry)).toBe(false)
    files.set(at.keys, JSON.stringify(registry))
    expect(await isWritten(here, await readRegistry(here))).toBe(true)
    const entry = registry.keys['imported-1']
    expect(() => entry && notGiven(here, 'imported-1', entry)).toThrow(`stands in ${at.given?.keys}`)
    const elsewhere = { ...here, system: 'linux' as const }
    expect(await readRegistry(elsewhere)).toEqual(noKeys)
  })
})

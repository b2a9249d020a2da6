import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { fewSpeeds, newEnough } from '../commands/in-force.ts'
import type { Limits, Registry } from '../site/limits.ts'
import { parseSettings } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { keyNeeds, settingsNeeds, tooOldFor } from './needs.ts'

const registry = (keys: Record<string, Partial<Limits>>): Registry => ({
  version: 1,
  keys: Object.fromEntries(
    Object.entries(keys).map(([name, limits]) => [name, { ...limits, created: '2026-01-01T00:00:00Z', hashes: [] }]),
  ),
})

describe('what needs a newer HAProxy', () => {
  const asked = (yaml: string, version: string) =>
    tooOldFor(version, settingsNeeds(parseSettings(yaml, 'settings.yaml')))

  it.each([
    ['', '2.6.12', undefined],
    ['limits: { all: { burst: 1 } }', '2.6.12', 'too old for limits.all in settings.yaml, 2.8 is needed'],
    ['limits: { all: { burst: 1 } }', '2.8.0', undefined],
    [
      'limits: { groups: { openai: { per_second: 1MB } } }',
      '2.6.12',
      'too old for limits.groups.openai.per_second in settings.yaml, 3.0 is needed',
    ],
    [
      'limits: { per_second: 1MB, all: { burst: 1 } }\ntimeouts: { queue: 1s }',
      '2.6.12-1+deb12u4',
      'too old for limits.all in settings.yaml, limits.per_second in settings.yaml, timeouts.queue in settings.yaml, 3.4 is needed',
    ],
    ['timeouts: { queue: 1s }', '3.2.26', 'too old for timeouts.queue in settings.yaml, 3.4 is needed'],
    ['limits: { per_second: 1MB }\ntimeouts: { queue: 1s }', '3.4.7', undefined],
  ])('%j with HAProxy %s: %s', (yaml, version, said) => {
    expect(asked(yaml, version)).toBe(said)
  })

  it('is asked by a key for what it did not ask before', () => {
    const before = registry({ bob: { queue: 3, perSecond: 1024 } })
    expect(keyNeeds(before).map(({ asked }) => asked)).toEqual([
      '--queue of the key bob',
      '--per-second of the key bob',
    ])
    expect(keyNeeds(before, before)).toEqual([])
    expect(keyNeeds(registry({ bob: { queue: 4, perSecond: 1024 } }), before).map(({ since }) => since)).toEqual([
      [3, 4],
    ])
    expect(keyNeeds(registry({ bob: {} }), before)).toEqual([])
  })
})

it('keys may have 16 different numbers of bytes a second, and one less may always be had', () => {
  const keys = (count: number) =>
    registry(Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, { perSecond: 1024 * (at + 1) }])))
  expect(() => fewSpeeds(keys(16), keys(15))).not.toThrow()
  expect(() => fewSpeeds(keys(17), keys(16))).toThrow(/16 different numbers.*Nothing was changed/)
  expect(() => fewSpeeds(keys(17), keys(18))).not.toThrow()
  const alike = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`k${at}`, { perSecond: 2048 }]))
  expect(() => fewSpeeds(registry(alike), keys(1))).not.toThrow()
})

describe('a key that asks for what HAProxy has not', () => {
  const setup = { programs: { ollama: '', haproxy: '/brew/haproxy' } } as Setup
  const machine = { home: '/Users/ada', system: 'mac' as const, packager: { prefix: '/brew' } }
  const refused = (version: string, keys: Record<string, Partial<Limits>>, running?: string) => {
    const host = memoryHost({ commands: { '/brew/haproxy -v': { stdout: `HAProxy version ${version} 2026/10/14` } } })
    const ask = async () => (running ? `Version: ${running}\nPid: 7\n` : undefined)
    return newEnough({ ...host, ask }, machine, setup, keyNeeds(registry(keys)))
  }

  it('is refused before anything is touched, by the program’s version or the running worker’s', async () => {
    const sentence =
      /^HAProxy 3\.2\.26-1 is too old for --queue of the key bob, 3\.4 is needed; .*\. Nothing was changed\.$/
    await expect(refused('3.2.26-1', { bob: { queue: 3 } })).rejects.toMatchObject({
      code: 3,
      message: expect.stringMatching(sentence),
    })
    await expect(refused('3.4.7', { bob: { queue: 3 } }, '3.2.26-1')).rejects.toThrow(sentence)
    await expect(refused('2.6.12', { bob: { perSecond: 1024 } })).rejects.toThrow(/3\.0 is needed/)
  })

  it('is taken by one that has it, and where none is installed yet', async () => {
    await expect(refused('3.4.7', { bob: { queue: 3, perSecond: 1024 } }, '3.4.7')).resolves.toBeUndefined()
    await expect(refused('2.6.12', { bob: { perMinute: 1 } })).resolves.toBeUndefined()
    await expect(
      newEnough(memoryHost(), machine, setup, keyNeeds(registry({ bob: { queue: 3 } }))),
    ).resolves.toBeUndefined()
  })
})

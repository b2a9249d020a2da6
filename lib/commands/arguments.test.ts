import { expect, test } from 'vitest'
import { fitsOnly, resolverOf } from './arguments.ts'
import type { Ui } from './cli.ts'
import { only } from './key-options.ts'
import { script } from './keys.ts'
import { verbs } from './verbs.ts'

test.each(['192.168.1.1', '127.0.0.1:5353', 'fd00::1', '[fd00::1]:53', undefined])(
  'a resolver is an address, with a port or without: %s',
  (resolver) => {
    expect(resolverOf({ resolver })).toBe(resolver)
  },
)

test.each(['ns.example.net', '', '1.2.3', '[ns]:53', '127.0.0.1:'])(
  'anything else is refused before anybody is asked: %j',
  (resolver) => {
    expect(() => resolverOf({ resolver })).toThrow(
      `--resolver takes an address such as 192.168.1.1 or 127.0.0.1:5353, not ${JSON.stringify(resolver)}.`,
    )
  },
)

test.each([
  ['rotate', { models: 'qwen3*' }, '--models goes with keys.ts add and keys.ts limits, not with rotate'],
  ['rotate', { cut: true }, '--cut goes with keys.ts revoke, not with rotate'],
  ['limits', { grace: '24h' }, '--grace goes with keys.ts rotate, not with limits'],
])('an option that keys %s would not hear is refused: %j', (word, flags, says) => {
  expect(() => fitsOnly('keys', word, flags, only)).toThrow(`${says}; nothing was changed.`)
})

test('every option of keys says what it goes with, but for those that all of it hears', () => {
  const all = Object.keys(script.options).filter((flag) => !['json', 'verbose'].includes(flag))
  expect(Object.keys(only).sort()).toEqual(all.sort())
  expect(() => fitsOnly('keys', 'add', { models: 'qwen3*', cut: undefined, json: true }, only)).not.toThrow()
})

test.each([
  ['keys', ['rotate', 'bob'], { models: 'qwen3*' }, '--models goes with'],
  ['keys', ['export', 'keys.json'], {}, 'takes nothing more, but "keys.json" was given; into a file: '],
  ['nodes', ['drain', 'gpu'], { slots: '2' }, '--slots goes with'],
  ['certificates', ['renew'], { new: true }, '--new goes with'],
  ['certificates', ['list', 'ai.example.net'], {}, 'takes no name'],
  ['status', [], { since: '7d' }, '--since goes with --report'],
] as const)('%s %j with %j is refused before anything is looked at', async (verb, words, flags, says) => {
  const { run } = await verbs[verb].script()
  await expect(run({} as Ui, flags, [...words])).rejects.toThrow(says)
})

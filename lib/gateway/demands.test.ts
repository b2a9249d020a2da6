import { expect, test } from 'vitest'
import { hashKey } from '../people/key.ts'
import { registry } from '../site/limits.ts'
import { demandsOf } from './demands.ts'

const bob = {
  created: '2026-01-01T00:00:00Z',
  hashes: [{ sha256: hashKey('one') }],
  models: ['qwen3*'],
  perSecond: 7168,
}
const keys = registry.parse({ version: 1, keys: { bob } })
const people = { 'ann@example.com': { models: ['qwen3*'] } }

test('a key asks nothing of HAProxy where no key is asked for; a rule with a list of models does', () => {
  expect(demandsOf(keys, { access: 'keys', listeners: {}, people: {} })).toEqual({ listed: true, speeds: [7168] })
  expect(demandsOf(keys, { access: 'tailnet', listeners: {}, people: {} })).toEqual({ listed: false, speeds: [] })
  expect(demandsOf(keys, { access: 'tailnet', listeners: {}, people })).toEqual({ listed: true, speeds: [] })
})

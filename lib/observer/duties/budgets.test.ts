import { expect, test } from 'vitest'
import { memoryHost } from '../../../test/memory-host.ts'
import { places } from '../../places.ts'
import { budgets } from './budgets.ts'

const spent = `${places('/Users/ada').keyMaps}/spent.map`
const used = { who: 'bob', method: 'POST', path: '/v1/messages', end: 'done' as const, bytes: 1 }

test('a share of the day is used up by what the engine did, not by a body that never came whole', async () => {
  const host = memoryHost({ files: new Map([[`${places('/Users/ada').keyMaps}/budgets.map`, 'bob 60|0\n']]) })
  const duty = budgets()
  duty.ended({ ...used, end: 'client left waiting', queueMs: -1, totalMs: 59_000 })
  duty.ended({ ...used, queueMs: 1000, totalMs: 60_000 })
  await duty.run(host)
  expect(host.files.has(spent)).toBe(false)
  duty.ended({ ...used, queueMs: 0, totalMs: 1000 })
  await duty.run(host)
  expect(host.files.get(spent)).toMatch(/^bob \d+\|1m\|/)
})

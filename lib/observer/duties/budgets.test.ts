import { expect, test } from 'vitest'
import { memoryWorker, withWorkers } from '../../../test/memory-haproxy.ts'
import { memoryHost } from '../../../test/memory-host.ts'
import { places } from '../../platform/mac/places.ts'
import { type Use, usage } from '../usage.ts'
import { budgets } from './budgets.ts'

const { keyMaps } = places('/Users/ada')
const spent = `${keyMaps}/spent.map`
const machine = () => memoryHost({ files: new Map([[`${keyMaps}/budgets.map`, 'bob 60|0\n']]) })
const noon = new Date(2026, 10, 21, 12)
const request = {
  ...{
    time: noon.toISOString(),
    id: '',
    address: '',
    login: '',
    device: '',
    agent: '',
    group: '',
    model: '',
    status: 200,
    denied: '',
  },
  ...{ who: 'bob', method: 'POST', path: '/v1/messages', end: 'done' as const, bytes: 1, firstByteMs: 0 },
}

test('a share of the day is used up by what the engine did, not by a body that never came whole', async () => {
  const host = machine()
  const counted = await usage(host)
  const duty = budgets(counted, () => noon)
  counted.take([{ ...request, end: 'client left waiting', queueMs: -1, totalMs: 59_000 }], { id: 'a', offset: 1 })
  counted.take([{ ...request, queueMs: 1000, totalMs: 60_000 }], { id: 'a', offset: 2 })
  await duty.run(host)
  expect(host.files.has(spent)).toBe(false)
  counted.take([{ ...request, queueMs: 0, totalMs: 1000 }], { id: 'a', offset: 3 })
  await duty.run(host)
  expect(host.files.get(spent)).toMatch(/^bob \d+\|1m\|/)
})

test('nobody stays locked out by an observer that was killed between the file and the running gateway', async () => {
  const host = machine()
  host.files.set(spent, '')
  const lines = new Map([['bob', '1763769600|1m|2026-11-22']])
  const worker = memoryWorker({ maps: { 7: { file: '/x/keys/spent.map', lines } } })
  const { told } = withWorkers(host, { 12: worker })
  const duty = budgets({ used: async () => ({}) })
  const telling = host.telling
  host.telling = async () => undefined
  await expect(duty.run(host)).rejects.toThrow('not in force: the gateway (worker 12) did not confirm it')
  host.telling = telling
  for (const _ of [1, 2]) await duty.run(host)
  expect(told).toEqual(['12 del map #7 bob'])
})

test('a worker that does not tell what runs in it keeps nobody from being stopped whose share is counted', async () => {
  const host = machine()
  const lines = new Map<string, string>()
  withWorkers(host, { 12: memoryWorker({ maps: { 7: { file: '/x/keys/spent.map', lines } } }), 34: memoryWorker() })
  const { ask } = host
  host.ask = async (socket, command) => (command.startsWith('@!34') ? '' : ask(socket, command))
  const duty = budgets({ used: async () => ({ bob: { ms: 60_000, bytes: 0 } }) }, () => noon)
  await expect(duty.run(host)).rejects.toThrow('worker 34')
  expect([...lines.keys()]).toEqual(['bob'])
})

test('who asks without a name, in a group that needs no key, has no share to spend', async () => {
  const host = memoryHost({ files: new Map([[`${keyMaps}/budgets.map`, '* 1|0\n']]) })
  const use = { ms: 5_000, bytes: 0 }
  await budgets({ used: async () => ({ '': use, bob: use }) }, () => noon).run(host)
  expect(host.files.get(spent)).toMatch(/^bob \d+\|1s\|\S+\n$/)
})

test.each([1, 24])('a clock that is set back by %d h locks nobody out for longer than its day', async (hours) => {
  const host = machine()
  const days: Record<string, Record<string, Use>> = {
    '2026-11-22': { bob: { ms: 60_000, bytes: 0 } },
    '2026-11-21': { bob: { ms: hours === 1 ? 60_000 : 0, bytes: 0 } },
  }
  let now = new Date(2026, 10, 22, 0, 30)
  const duty = budgets({ used: async (_host, day) => days[day] ?? {} }, () => now)
  await duty.run(host)
  expect(host.files.get(spent)).toBe(`bob ${new Date(2026, 10, 23).getTime() / 1000}|1m|2026-11-23\n`)
  now = new Date(now.getTime() - hours * 3_600_000)
  await duty.run(host)
  const midnight = `bob ${new Date(2026, 10, 22).getTime() / 1000}|1m|2026-11-22\n`
  expect(host.files.get(spent)).toBe(hours === 1 ? midnight : '')
})

import { expect, test } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { places } from '../places.ts'
import type { Ended } from './ended.ts'
import { count, countedUpTo, dayOf, readUsage, secondsOf, type Usage, usage, usageDays } from './usage.ts'

const noon = new Date(2026, 10, 21, 12)
const of = (changes: Partial<Ended> = {}): Ended => ({
  ...{
    time: noon.toISOString(),
    id: '',
    address: '100.64.0.7',
    who: 'bob',
    login: '',
    device: '',
    agent: '',
    group: 'openai',
  },
  ...{ method: 'POST', path: '/v1/chat/completions', model: 'qwen3', status: 200, bytes: 10 },
  ...{ queueMs: 500, firstByteMs: 3, totalMs: 2500, end: 'done', denied: '' },
  ...changes,
})
const nowhere = { id: 'a', offset: 7 }

test('seconds are the engine’s: without the queue, the refused and those that ask no model', () => {
  expect(secondsOf(of())).toBe(2)
  expect(secondsOf(of({ end: 'client left in the stream' }))).toBe(2)
  expect(secondsOf(of({ end: 'denied' }))).toBe(0)
  expect(secondsOf(of({ end: 'client left waiting', queueMs: -1 }))).toBe(0)
  expect(secondsOf(of({ method: 'GET', path: '/api/tags' }))).toBe(0)
})

test('counts by who, an address where nobody is known, and by model', () => {
  const day: Usage = { who: {} }
  for (const one of [of(), of({ totalMs: 1000 }), of({ model: '' }), of({ who: '' }), of({ end: 'denied', bytes: 1 })])
    count(day, one)
  expect(day.who).toEqual({
    bob: {
      qwen3: { requests: 3, refused: 1, seconds: 2.5, bytes: 21 },
      '': { requests: 1, refused: 0, seconds: 2, bytes: 10 },
    },
    '100.64.0.7': { qwen3: { requests: 1, refused: 0, seconds: 2, bytes: 10 } },
  })
})

test('names that clients invent do not fill the file, and none of them is special', () => {
  const day: Usage = { who: {} }
  for (let at = 0; at < 300; at += 1) count(day, of({ model: `m${at}` }))
  count(day, of({ model: 'm5' }))
  const models = day.who.bob ?? {}
  expect(Object.keys(models)).toHaveLength(101)
  expect([models.m5?.requests, models.others?.requests]).toEqual([2, 200])
  count(day, of({ who: 'eve', model: 'constructor' }))
  expect(JSON.stringify(day)).toContain('"eve":{"constructor":{"requests":1,')
})

test('what was asked under a name that JavaScript minds is not lost when the file is read again', async () => {
  const host = memoryHost()
  const counter = usage()
  for (let at = 1; at <= 3; at += 1) {
    counter.take([of({ who: 'eve', model: '__proto__' })], { id: 'a', offset: at })
    await counter.run(host)
  }
  const [day = ''] = await usageDays(host)
  expect((await readUsage(host, day)).who.eve).toMatchObject({ others: { requests: 3 } })
})

test('is kept by the day on which a request ended, and goes on after a restart', async () => {
  const host = memoryHost()
  const first = usage()
  const late = new Date(2026, 10, 21, 23, 59, 59)
  first.take([of(), of({ time: late.toISOString() })], nowhere)
  await first.run(host)
  expect(await usageDays(host)).toEqual(['2026-11-21', '2026-11-22'])
  const second = usage()
  second.take([of()], { id: 'a', offset: 9 })
  await second.run(host)
  expect((await readUsage(host, '2026-11-21')).who.bob?.qwen3?.requests).toBe(2)
  second.take([of({ time: late.toISOString() })], { id: 'b', offset: 1 })
  await second.run(host)
  expect(await countedUpTo(host)).toEqual({ id: 'b', offset: 1 })
})

test('what could not be written is counted with the next', async () => {
  const host = memoryHost()
  const one = usage()
  one.take([of()], nowhere)
  const full = { ...host, write: () => Promise.reject(new Error('ENOSPC')) }
  await expect(one.run(full)).rejects.toThrow('ENOSPC')
  one.take([of()], { id: 'a', offset: 20 })
  await one.run(host)
  expect((await readUsage(host, '2026-11-21')).who.bob?.qwen3?.requests).toBe(2)
})

test('ninety days are kept', async () => {
  const host = memoryHost()
  for (let at = 0; at < 95; at += 1)
    await host.write(`${places(host.home).usage}/${dayOf(new Date(2026, 0, 1 + at))}.json`, '{"who":{}}')
  const one = usage()
  one.take([of()], nowhere)
  await one.run(host)
  const days = await usageDays(host)
  expect([days.length, days[0], days.at(-1)]).toEqual([90, '2026-01-07', '2026-11-21'])
})

test('a file that cannot be read is begun anew', async () => {
  const host = memoryHost()
  await host.write(`${places(host.home).usage}/2026-11-21.json`, '{"who":')
  expect(await readUsage(host, '2026-11-21')).toEqual({ who: {} })
  expect(await countedUpTo(host)).toBeUndefined()
})

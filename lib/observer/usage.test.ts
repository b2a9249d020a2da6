import { expect, test } from 'vitest'
import { type Memory, memoryHost } from '../../test/memory-host.ts'
import type { Host } from '../host/host.ts'
import { places } from '../platform/mac/places.ts'
import type { Ended } from './ended.ts'
import { count, dayOf, readUsage, secondsOf, type Usage, usage } from './usage.ts'

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
const folder = places('/Users/ada').usage
const on = async (host: Host, day: string) => (await readUsage(host)).get(day)
const requestsOn = async (host: Host, day: string) => (await on(host, day))?.who.bob?.qwen3?.requests

test('seconds are the engine’s: without the queue, the refused and those that ask no model', () => {
  expect(secondsOf(of())).toBe(2)
  expect(secondsOf(of({ end: 'client left in the stream' }))).toBe(2)
  expect(secondsOf(of({ end: 'denied' }))).toBe(0)
  expect(secondsOf(of({ end: 'client left waiting', queueMs: -1 }))).toBe(0)
  expect(secondsOf(of({ method: 'GET', path: '/api/tags' }))).toBe(0)
})

test('counts by who, an address where nobody is known, and by model', () => {
  const day: Usage = { who: {}, used: {} }
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
  const day: Usage = { who: {}, used: {} }
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
  for (let at = 1; at <= 3; at += 1) {
    const counter = await usage(host)
    counter.take([of({ who: 'eve', model: '__proto__' })], { id: 'a', offset: at })
    await counter.run(host)
  }
  const [day] = [...(await readUsage(host)).values()]
  expect(day?.who.eve).toMatchObject({ others: { requests: 3 } })
})

test('is kept by the day on which a request ended, and goes on after a restart', async () => {
  const host = memoryHost()
  const first = await usage(host)
  const late = new Date(2026, 10, 21, 23, 59, 59)
  first.take([of(), of({ time: late.toISOString() })], nowhere)
  await first.run(host)
  expect([...(await readUsage(host)).keys()]).toEqual(['2026-11-21', '2026-11-22'])
  expect([...(await readUsage(host, '2026-11-22')).keys()]).toEqual(['2026-11-22'])
  const second = await usage(host)
  second.take([of()], { id: 'a', offset: 9 })
  await second.run(host)
  expect(await requestsOn(host, '2026-11-21')).toBe(2)
  second.take([of({ time: late.toISOString() })], { id: 'b', offset: 1 })
  await second.run(host)
  expect((await usage(host)).start).toEqual({ id: 'b', offset: 1 })
})

test('the share of a day is what the engine did for a name, by the day on which it ended', async () => {
  const host = memoryHost()
  const counter = await usage(host)
  const late = new Date(2026, 10, 21, 23, 59, 59).toISOString()
  const left = of({ end: 'client left waiting', queueMs: -1, bytes: 1 })
  counter.take([of(), of({ end: 'denied' }), of({ method: 'GET', path: '/v1/models' }), left], nowhere)
  counter.take([of({ time: late, bytes: 5 }), of({ who: '' })], { id: 'a', offset: 9 })
  expect(await counter.used(host, '2026-11-21')).toEqual({ bob: { ms: 2000, bytes: 11 } })
  expect(await counter.used(host, '2026-11-22')).toEqual({ bob: { ms: 2000, bytes: 5 } })
})

test('what could not be written is kept as sums, not as requests, and written with the next', async () => {
  const host = memoryHost()
  const one = await usage(host)
  let reads = 0
  const watched = of()
  Object.defineProperty(watched, 'bytes', {
    get() {
      reads += 1
      return 10
    },
  })
  one.take([watched], nowhere)
  const full = { ...host, write: () => Promise.reject(new Error('ENOSPC')) }
  await expect(one.run(full)).rejects.toThrow('ENOSPC')
  const before = reads
  await expect(one.run(full)).rejects.toThrow('ENOSPC')
  one.take([of()], { id: 'a', offset: 20 })
  await one.run(host)
  expect([reads, await requestsOn(host, '2026-11-21')]).toEqual([before, 2])
})

/** Requests around midnight, as they stand in the log one after the other. */
const logged = [
  of(),
  ...[58, 59, 59].map((second) => of({ time: new Date(2026, 10, 21, 23, 59, second).toISOString() })),
]
const asked = { '2026-11-21': 1, '2026-11-22': 3 }

/** An observer that reads the log from where the one before it stopped, and is killed at the write of that number. */
async function observed(memory: Memory, writes: number): Promise<void> {
  const host = memoryHost(memory)
  let left = writes
  const dying = {
    ...host,
    async write(file: string, text: string) {
      if (left <= 0) throw new Error('killed')
      left -= 1
      await host.write(file, text)
    },
  }
  const counter = await usage(host, () => new Date(2026, 10, 22, 1))
  for (let at = (counter.start?.offset ?? 0) + 1; at <= logged.length; at += 1) {
    counter.take(logged.slice(at - 1, at), { id: 'a', offset: at })
    await counter.run(dying)
  }
  for (const _ of [1, 2, 3]) await counter.run(dying)
}

test.each([0, 1, 2, 3, 4, 5, 6, 7])(
  'a kill after %d writes makes nothing count twice, and loses nothing',
  async (writes) => {
    const memory: Memory = { files: new Map(), commands: {}, ran: [] }
    await observed(memory, writes).catch(() => {})
    await observed(memory, 100)
    const host = memoryHost(memory)
    for (const [day, requests] of Object.entries(asked)) {
      expect([day, await requestsOn(host, day)]).toEqual([day, requests])
      expect((await on(host, day))?.used.bob?.ms).toBe(requests * 2000)
    }
    expect([...memory.files.keys()].sort()).toEqual([`${folder}/2026-11-21.json`, `${folder}/open.json`])
  },
)

/** Has something happen in the middle of the first write of this file. */
function during(host: Host & Memory, name: string, happens: () => Promise<unknown>): Host {
  let left = 1
  return {
    ...host,
    async write(file, text) {
      await host.write(file, text)
      if (file === `${folder}/${name}.json` && left-- > 0) await happens()
    },
  }
}

test('what is counted while the book is written is in no day’s own file before the book holds it, so a kill then counts nothing twice', async () => {
  const host = memoryHost()
  const day = '2026-11-21'
  const counter = await usage(host, () => new Date(2026, 10, 22, 12))
  counter.take([of({ time: new Date(2026, 10, 22, 12).toISOString() })], { id: 'a', offset: 1 })
  const late = async () => {
    counter.take([of()], { id: 'a', offset: 2 })
    await counter.used(host, day)
  }
  await counter.run(during(host, 'open', late))
  const next = await usage(host, () => new Date(2026, 10, 22, 12))
  if (next.start?.offset === 1) next.take([of()], { id: 'a', offset: 2 })
  await next.run(host)
  expect(await requestsOn(host, day)).toBe(1)
})

test('what is counted while a day gets its own file is not lost', async () => {
  const host = memoryHost()
  const day = '2026-11-21'
  const counter = await usage(host, () => new Date(2026, 10, 22, 12))
  counter.take([of()], { id: 'a', offset: 1 })
  const late = async () => {
    counter.take([of()], { id: 'a', offset: 2 })
    await counter.used(host, day)
  }
  const slow = during(host, day, late)
  for (const _ of [1, 2, 3]) await counter.run(slow)
  expect(await requestsOn(host, day)).toBe(2)
})

test('files of the form before are taken over, the shares of the day, too', async () => {
  const share = { requests: 4, refused: 0, seconds: 9, bytes: 1 }
  const old = { who: { bob: { qwen3: share } }, read: { id: 'a', offset: 3 } }
  const host = memoryHost({
    files: new Map([
      [`${folder}/2026-11-20.json`, JSON.stringify({ ...old, read: { id: 'a', offset: 1 } })],
      [`${folder}/2026-11-21.json`, JSON.stringify(old)],
      [`${places('/Users/ada').state}/budgets.json`, '{"day":"2026-11-21","used":{"bob":{"ms":9000,"bytes":7}}}'],
    ]),
  })
  const counter = await usage(host, () => noon)
  expect(counter.start).toEqual({ id: 'a', offset: 3 })
  counter.take([of()], { id: 'a', offset: 4 })
  await counter.run(host)
  expect(await requestsOn(host, '2026-11-21')).toBe(5)
  expect(await requestsOn(host, '2026-11-20')).toBe(4)
  const next = await usage(host, () => noon)
  expect([next.start, await next.used(host, '2026-11-21')]).toEqual([
    { id: 'a', offset: 4 },
    { bob: { ms: 11_000, bytes: 17 } },
  ])
})

test('days that lie in the future, as a clock leaves them that was set back, take nothing from today and lose nothing', async () => {
  const host = memoryHost()
  const ahead = await usage(host, () => new Date(2026, 10, 22, 12))
  ahead.take([of({ time: new Date(2026, 10, 22, 12).toISOString() })], { id: 'a', offset: 50 })
  await ahead.run(host)
  for (const at of [60, 70]) {
    const counter = await usage(host, () => noon)
    expect(counter.start?.offset).toBe(at - 10)
    counter.take([of()], { id: 'a', offset: at })
    for (const _ of [1, 2, 3]) await counter.run(host)
    expect(await counter.used(host, '2026-11-21')).toEqual({ bob: { ms: 2000 * (at / 10 - 5), bytes: at - 50 } })
  }
  const then = await usage(host, () => new Date(2026, 10, 22, 13))
  then.take([of({ time: new Date(2026, 10, 22, 13).toISOString() })], { id: 'a', offset: 80 })
  await then.run(host)
  expect([await requestsOn(host, '2026-11-21'), await requestsOn(host, '2026-11-22')]).toEqual([2, 2])
})

test('ninety days are kept', async () => {
  const host = memoryHost()
  for (let at = 0; at < 95; at += 1)
    await host.write(`${folder}/${dayOf(new Date(2026, 0, 1 + at))}.json`, '{"who":{}}')
  const one = await usage(host, () => new Date(2026, 10, 22))
  one.take([of()], nowhere)
  await one.run(host)
  const days = [...(await readUsage(host)).keys()]
  expect([days.length, days[0], days.at(-1)]).toEqual([90, '2026-01-07', '2026-11-21'])
})

test.each(['{"who":', '[]', ''])('files that hold %j are begun anew', async (text) => {
  const host = memoryHost()
  for (const name of ['2026-11-21', 'open']) await host.write(`${folder}/${name}.json`, text)
  expect(await on(host, '2026-11-21')).toEqual({ who: {}, used: {} })
  const counter = await usage(host)
  expect(counter.start).toBeUndefined()
  counter.take([of()], nowhere)
  await counter.run(host)
  expect(await requestsOn(host, '2026-11-21')).toBe(1)
})

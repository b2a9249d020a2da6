import { expect, test, vi } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { type Duty, keep } from './duty.ts'

const host = memoryHost()
const quiet = () => {}

test('a duty is never run twice at the same time, however long it takes', async () => {
  let now = 0
  let most = 0
  let runs = 0
  const slow: Duty = {
    name: 'slow',
    everyMs: 1,
    async run() {
      runs += 1
      now += 1
      most = Math.max(most, now)
      await new Promise((resolve) => setTimeout(resolve, 10))
      now -= 1
    },
  }
  const kept = keep(host, [slow], quiet)
  await vi.waitFor(() => expect(runs).toBeGreaterThan(3))
  await kept.stop()
  expect([most, now]).toEqual([1, 0])
})

test('what a duty throws is said once for each change, and the others go on', async () => {
  const said: string[] = []
  const texts = ['no disk', 'no disk', 'no disk', 'no net', undefined, undefined, 'no disk']
  let runs = 0
  let others = 0
  const broken: Duty = {
    name: 'broken',
    everyMs: 1,
    async run() {
      const text = texts[Math.min(runs, texts.length - 1)]
      runs += 1
      if (text) throw new Error(text)
    },
  }
  const good: Duty = {
    name: 'good',
    everyMs: 1,
    run: async () => {
      others += 1
    },
  }
  const kept = keep(host, [broken, good], (line) => said.push(line))
  await vi.waitFor(() => expect(runs).toBeGreaterThan(10))
  await kept.stop()
  expect(said).toEqual(['broken: no disk', 'broken: no net', 'broken: works again', 'broken: no disk'])
  expect(kept.faults()).toEqual(['broken: no disk'])
  expect(others).toBeGreaterThan(1)
})

test('what fails once and is over at the next try is no fault, and that try comes soon', async () => {
  let runs = 0
  const told: string[][] = []
  const once: Duty = {
    name: 'once',
    everyMs: 600_000,
    async run() {
      runs += 1
      if (runs === 1) throw new Error('busy')
      told.push(kept.faults())
    },
  }
  const kept = keep(host, [once], quiet)
  await vi.waitFor(() => expect(runs).toBe(2), 10_000)
  await kept.stop()
  expect([...told, kept.faults()]).toEqual([[], []])
})

test('stopping waits for what is under way, and nothing begins again', async () => {
  let [begun, ended] = [0, 0]
  const slow: Duty = {
    name: 'slow',
    everyMs: 1,
    async run() {
      begun += 1
      await new Promise((resolve) => setTimeout(resolve, 20))
      ended += 1
    },
  }
  const kept = keep(host, [slow], quiet)
  await kept.stop()
  expect([begun, ended]).toEqual([1, 1])
  await new Promise((resolve) => setTimeout(resolve, 10))
  expect(begun).toBe(1)
})

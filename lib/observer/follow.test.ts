import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Follower, follow } from './follow.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'follow-'))
  file = join(folder, 'access.log')
})
afterEach(() => rmSync(folder, { recursive: true }))

const write = (text: string) => appendFileSync(file, text)
const rotate = () => renameSync(file, `${file}.1`)

async function all(follower: Follower): Promise<string[]> {
  const lines: string[] = []
  for (;;) {
    const more = await follower.next()
    if (more.length === 0) return lines
    lines.push(...more)
  }
}

test('a file that is not there yet is empty, and then read line by line', async () => {
  const one = follow(file)
  expect(await all(one)).toEqual([])
  write('a\nb\nhal')
  expect(await all(one)).toEqual(['a', 'b'])
  write('f\n')
  expect(await all(one)).toEqual(['half'])
})

test('who starts again goes on where the former one stopped, or begins with the older file', async () => {
  write('a\nb\n')
  const one = follow(file)
  await all(one)
  write('c\n')
  rotate()
  write('d\n')
  expect(await all(follow(file, one.position()))).toEqual(['c', 'd'])
  expect(await all(follow(file))).toEqual(['a', 'b', 'c', 'd'])
  expect(await all(follow(file, { id: 'long-gone', offset: 7 }))).toEqual(['a', 'b', 'c', 'd'])
})

test('no line is lost or said twice across a rotation, even where it cuts one', async () => {
  const one = follow(file)
  write('a\nb\n')
  expect(await all(one)).toEqual(['a', 'b'])
  write('c\nhal')
  rotate()
  expect(await all(one)).toEqual([])
  write('f\nd\n')
  expect(await all(one)).toEqual(['c', 'half', 'd'])
  rotate()
  write('e\n')
  expect(await all(one)).toEqual(['e'])
})

test('more than fits at once comes in several pieces, whole', async () => {
  const lines = Array.from({ length: 30_000 }, (_, at) => `line ${at} ${'x'.repeat(at % 40)}`)
  write(`${lines.join('\n')}\n`)
  expect(await all(follow(file))).toEqual(lines)
})

test('bytes without any end of line do not stop the rest', async () => {
  write('x'.repeat(300_000))
  write('\nb\n')
  expect((await all(follow(file))).at(-1)).toBe('b')
})

test('a file that somebody emptied by hand is read from its new beginning', async () => {
  const one = follow(file)
  write('a\nb\n')
  await all(one)
  truncateSync(file)
  write('c\n')
  expect(await all(one)).toEqual(['c'])
})

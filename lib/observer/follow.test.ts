import {
  appendFileSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { empty } from '../host/appended.ts'
import { type Follower, follow } from './follow.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'follow-'))
  file = join(folder, 'access.log')
})
afterEach(() => rmSync(folder, { recursive: true }))

const write = (text: string) => appendFileSync(file, text)
/** As templates/bin/bounded-file does it. */
const rotate = () => {
  copyFileSync(file, `${file}.1`)
  truncateSync(file)
}

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

test('no line is lost or said twice across a new beginning', async () => {
  const one = follow(file)
  write('a\nb\n')
  expect(await all(one)).toEqual(['a', 'b'])
  write('c\n')
  rotate()
  expect(await all(one)).toEqual([])
  write('d\n')
  expect(await all(one)).toEqual(['c', 'd'])
  rotate()
  write('e\n')
  expect(await all(one)).toEqual(['e'])
  expect(one.gaps()).toBe(0)
})

test('a copy that is being made is not read twice', async () => {
  write('a\nb\n')
  copyFileSync(file, `${file}.1`)
  const one = follow(file)
  expect(await all(one)).toEqual(['a', 'b'])
  truncateSync(file)
  write('c\n')
  expect(await all(one)).toEqual(['c'])
  expect(one.gaps()).toBe(0)
})

test('lines that were gone before they were read are told', async () => {
  const one = follow(file)
  write('a\n')
  await all(one)
  write('b\n')
  rotate()
  write('c\n')
  rotate()
  write('d\n')
  expect(await all(one)).toEqual(['c', 'd'])
  expect(one.gaps()).toBe(1)
})

test('it grows beyond where it was read before it was emptied, and is read from its new beginning', async () => {
  const one = follow(file)
  write('a\nb\n')
  await all(one)
  truncateSync(file)
  write('c\nd\ne\nf\n')
  expect(await all(one)).toEqual(['c', 'd', 'e', 'f'])
})

describe('a file that is emptied', () => {
  const later = () => utimesSync(file, new Date(), new Date(Date.now() - 5000))
  test('is so when all of it is known and nobody writes, with its copy', async () => {
    write('a\nb\n')
    const one = follow(file)
    await all(one)
    write('c\n')
    rotate()
    write('d\n')
    await all(one)
    later()
    expect(await empty(file, one.position())).toBe(true)
    expect([readFileSync(file, 'utf8'), existsSync(`${file}.1`)]).toEqual(['', false])
    write('e\n')
    expect(await all(one)).toEqual(['e'])
  })
  test('leaves a copy that is being made of it, with what is unread', async () => {
    write('a\n')
    const one = follow(file)
    await all(one)
    write('b\n')
    copyFileSync(file, `${file}.1`)
    expect(await empty(file, one.position())).toBe(false)
    truncateSync(file)
    write('c\n')
    expect(await all(one)).toEqual(['b', 'c'])
  })
  test('is not while somebody writes, while some of it is unread, or when it is another', async () => {
    write('a\n')
    const one = follow(file)
    await all(one)
    expect(await empty(file, one.position())).toBe(false)
    write('b\n')
    later()
    expect(await empty(file, one.position())).toBe(false)
    expect(await empty(file, { id: 'other', offset: 4 })).toBe(false)
    expect(readFileSync(file, 'utf8')).toBe('a\nb\n')
  })
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

test.each([10, 600_000])(
  'a writer that goes on where it was in a file that was emptied (%i bytes) leaves a hole, and no line is lost or made up',
  async (size) => {
    const writer = openSync(file, 'w')
    try {
      writeSync(writer, `${'x'.repeat(size)}\n`)
      const one = follow(file)
      expect((await all(one)).join('')).toBe('x'.repeat(size))
      truncateSync(file)
      writeSync(writer, 'c\n')
      expect(await all(one)).toEqual(['c'])
      writeSync(writer, 'd\n')
      expect([await all(one), one.gaps()]).toEqual([['d'], 0])
    } finally {
      closeSync(writer)
    }
  },
)

test('the empty line of a gateway that begins is none', async () => {
  write('a\n')
  const one = follow(file)
  await all(one)
  write('\nb\n')
  expect(await all(one)).toEqual(['b'])
})

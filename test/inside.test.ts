import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { inside } from '../sandbox/box/inside.ts'

let around: string
let box: string
beforeEach(() => {
  around = mkdtempSync(join(tmpdir(), 'inside-'))
  box = join(around, 'box')
  mkdirSync(join(box, 'bin'), { recursive: true })
  writeFileSync(join(around, 'npm'), 'this machine’s\n')
})
afterEach(() => rmSync(around, { recursive: true }))

it('a file of the box that is a link to this machine’s is replaced, and this machine’s stays', () => {
  const file = join(box, 'bin/npm')
  symlinkSync(join(around, 'npm'), file)
  writeFileSync(inside(box, file), 'the box’s\n')
  expect([readFileSync(file, 'utf8'), readFileSync(join(around, 'npm'), 'utf8')]).toEqual([
    'the box’s\n',
    'this machine’s\n',
  ])
})

it('a link within the box is followed', () => {
  symlinkSync('npm', join(box, 'bin/npx'))
  writeFileSync(join(box, 'bin/npm'), '')
  writeFileSync(inside(box, join(box, 'bin/npx')), 'written\n')
  expect(readFileSync(join(box, 'bin/npm'), 'utf8')).toBe('written\n')
})

it('nothing is written through a folder that is a link out of the box', () => {
  mkdirSync(join(around, 'other'))
  symlinkSync(join(around, 'other'), join(box, 'opt'))
  expect(() => inside(box, join(box, 'opt/npm'))).toThrow('lies outside the box')
})

import { expect, it } from 'vitest'
import { pieces } from './runtime.ts'

it('a map goes to HAProxy in pieces that its buffer holds, none empty and none lost', () => {
  expect(pieces([])).toEqual([])
  expect(pieces(['aaa', 'bbb', 'c'], 8)).toEqual([['aaa', 'bbb'], ['c']])
  expect(pieces(['a', 'bbbbbbbbbbbb', 'c'], 8)).toEqual([['a'], ['bbbbbbbbbbbb'], ['c']])
})

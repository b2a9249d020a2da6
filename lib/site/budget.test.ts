import { expect, it } from 'vitest'
import { budgetText, parseBudget } from './budget.ts'

it.each([
  ['2h', { seconds: 7200 }, '2h'],
  ['90s', { seconds: 90 }, '90s'],
  ['120m', { seconds: 7200 }, '2h'],
  ['200MB', { bytes: 209_715_200 }, '200MB'],
  ['2h,200MB', { seconds: 7200, bytes: 209_715_200 }, '2h,200MB'],
  ['1024KB, 30m', { seconds: 1800, bytes: 1_048_576 }, '30m,1MB'],
])('%s a day is understood, and written as %j', (text, budget, written) => {
  expect(parseBudget(text)).toEqual(budget)
  expect(budgetText(budget)).toBe(written)
})

it.each(['', '2', 'h', '0h', '25h', '2h,3h', '1MB,1GB', '2h;200MB', '2 h', '-1h', '1TB', '2h,'])(
  '%j is no share of a day',
  (text) => {
    expect(parseBudget(text)).toBeUndefined()
  },
)

import { expect, test } from 'vitest'
import { ageOf, staleAfter } from './sign.ts'

test.each([-3_600_000, -86_400_000, 3_600_000])(
  'a sign of life counts as old when the clock was set by %d ms since',
  (set) => {
    const sign = { pid: 1, at: 1_763_740_800_000, faults: [], lost: { unreadable: 0, gaps: 0 } }
    expect(ageOf(sign, sign.at + 5000)).toBeLessThan(staleAfter)
    expect(ageOf(sign, sign.at + set)).toBeGreaterThan(staleAfter)
  },
)

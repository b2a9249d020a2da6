import { expect, it } from 'vitest'
import { knownGood, knownOf } from './known-good.ts'

it.each([
  ['haproxy', '3.4.7', 'known to work (all stories, Linux, 2026-11-29)'],
  ['haproxy', '3.4.7_1', 'known to work (all stories, Linux, 2026-11-29)'],
  ['haproxy', '3.2.30', 'not tried yet; known to work: 3.2.26 (all stories, Linux, 2026-11-29)'],
  ['haproxy', '4.0.0', 'not tried yet; known to work: 3.4.7 (all stories, Linux, 2026-11-29)'],
  ['tailscale', '1.102.5', 'no version was tried yet'],
] as const)('of %s %s is said: %s', (program, version, words) => expect(knownOf(program, version)).toBe(words))

it('every known version has a day', () => {
  expect(knownGood.filter(({ on }) => !/^20\d\d-\d\d-\d\d$/.test(on))).toEqual([])
})

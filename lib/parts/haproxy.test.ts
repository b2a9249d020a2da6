import { expect, it } from 'vitest'
import { freezes } from './haproxy-program.ts'

it.each([
  ['2.6.12', false],
  ['3.0.11', false],
  ['3.1.0', true],
  ['3.1.8', true],
  ['3.1.9', false],
  ['3.2.0', true],
  ['3.2.4', true],
  ['3.2.5-1', false],
  ['3.3.0', false],
  ['3.4.7', false],
])('HAProxy %s freezes at reloads on macOS: %s', (version, wanted) => {
  expect(freezes(version)).toBe(wanted)
})

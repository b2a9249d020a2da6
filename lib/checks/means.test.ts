import { expect, test } from 'vitest'
import { meaning } from './means.ts'

test.each([
  ['firewall.haproxy', 'Nobody on another device gets an answer.'],
  ['firewall.table', 'The gateway itself refuses what it should; the firewall before it does not.'],
  ['nothing.of-the-kind', undefined],
])('%s means what the longest beginning of it says', (id, means) => {
  expect(meaning(id)).toBe(means)
})

import { expect, test } from 'vitest'
import type { Ended } from './ended.ts'
import { wanted } from './log.ts'

const of = (changes: Partial<Ended>): Ended => ({
  ...{
    time: '',
    id: '',
    address: '',
    who: '',
    login: '',
    device: '',
    agent: '',
    group: '',
    method: 'GET',
    path: '/x',
    model: '',
  },
  ...{ status: 200, bytes: 0, queueMs: 0, firstByteMs: 0, totalMs: 0, end: 'done', denied: '' },
  ...changes,
})

test('off wants nothing, requests everything', () => {
  for (const one of [of({}), of({ end: 'denied', status: 403 })]) {
    expect(wanted('off', one)).toBe(false)
    expect(wanted('requests', one)).toBe(true)
  }
})

test.each([
  [of({}), false],
  [of({ end: 'denied', status: 403 }), true],
  [of({ status: 500 }), true],
  [of({ end: 'client left in the stream' }), true],
  [of({ end: 'denied', status: 403, path: '/v1/messages/count_tokens' }), false],
  [of({ status: 503, path: '/healthz' }), false],
])('errors wants what was refused, failed or left, and not what is usual: %j %s', (one, yes) => {
  expect(wanted('errors', one)).toBe(yes)
})

import { expect, test } from 'vitest'
import { storm } from '../attacks/storm.ts'

test('changes of keys and reloads in turn cut no stream and fail no request; each change holds at the next request', async () => {
  const left = await storm({ streams: 30, keyChanges: 24, reloads: 8 })
  expect(left).toMatchObject({ failed: [], cut: 0, wrong: [] })
  expect(left.requests).toBeGreaterThan(100)
  // The one with the streams, and one that is just going.
  expect(left.oldWorkers).toBeLessThanOrEqual(2)
})

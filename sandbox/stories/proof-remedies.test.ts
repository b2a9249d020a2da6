import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Box } from '../box/box.ts'
import { setFaults } from './installed.ts'
import { proofIds, usual, walked } from './proof-remedies.ts'
import { genuine, unlessReal } from './real.ts'
import { endless } from './stream.ts'
import { at, installed, quickBox } from './witness.ts'

let box: Box

beforeAll(async () => {
  box = await quickBox()
  box.write(at(box).settings, `models: [${endless}]\n${usual}`, 0o600)
  // Somebody's list of models is whole although the model has just come.
  await installed(box)
  // An answer that does not begin before HAProxy can see that it is late, nor is over before the observer can end it.
  setFaults(box, { silentMs: 100, stalls: { afterTokens: 20, ms: 4_000 } })
})
afterAll(() => box?.close())

test.skipIf(genuine)(unlessReal('what a proof misses is gone after the command that its remedy names'), async () => {
  const ids = proofIds(usual)
  expect((await walked(box, ids)).sort()).toEqual([...ids].sort())
})

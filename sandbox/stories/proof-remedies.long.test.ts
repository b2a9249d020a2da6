import { describe, expect, test } from 'vitest'
import { haproxyOf } from '../attacks/versions/debian.ts'
import { haproxyAt } from '../box/tools.ts'
import { byAddress, newer, proofIds, walked } from './proof-remedies.ts'
import { at, cannot, installed, modest, patience, quickBox, run, titled, told } from './witness.ts'

/** Proofs of settings that the story beside this one has not. */
const others = (settings: string): string[] => proofIds(settings).filter((id) => /^(limits|bandwidth)\./.test(id))

describe.skipIf(cannot)(titled('what a proof of a limit misses'), () => {
  test(
    'is gone after the command that its remedy names, with and without keys, also where HAProxy is new enough for all of them',
    async (context) => {
      const file = await haproxyOf('trixie').catch(() => undefined)
      if (file === undefined) return context.skip('no HAProxy 3.0 is to be had')
      const box = await quickBox({ haproxy: haproxyAt(file) })
      try {
        box.write(at(box).settings, `${modest}${newer}`, 0o600)
        await installed(box)
        for (const settings of [newer, byAddress]) {
          box.write(at(box).settings, `${modest}${settings}`, 0o600)
          const applied = await run(box, 'apply.ts')
          expect(applied.code, told(applied)).toBe(0)
          const ids = others(settings)
          expect((await walked(box, ids)).sort()).toEqual([...ids].sort())
        }
      } finally {
        await box.close()
      }
    },
    4 * patience,
  )
})

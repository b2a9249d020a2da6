import { Unfit } from '../../certificates/judge.ts'
import { renew } from '../../certificates/renew.ts'
import type { Settings } from '../../site/settings.ts'
import type { Duty } from '../duty.ts'

/** Has every name served with what its source has: renewed when a third of its life is left, and what is on disk and not served is served. */
export const certificates = (settings: () => Settings): Duty => ({
  name: 'certificates',
  everyMs: 60_000,
  async run(host) {
    const wanted = settings()
    const faults: string[] = []
    // One after the other: an authority counts what is asked at once.
    // That a source has none is remembered with the name, and no fault of this duty.
    for (const name of Object.keys(wanted.tls))
      await renew(host, wanted, name).catch((error: Error) => error instanceof Unfit || faults.push(error.message))
    if (faults.length > 0) throw new Error(faults.join(' '))
  },
})

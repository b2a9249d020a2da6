import { bound } from '../host/appended.ts'
import { places } from '../platform/here.ts'
import type { Duty } from './duty.ts'

/** Bytes after which it is begun anew, as at the start of the job (templates/bin/jobs.sh). */
const most = 1_000_000

/** What the observer says itself is appended to one file for as long as it runs. */
export const ownLog: Duty = {
  name: 'own log',
  everyMs: 10_000,
  run: (host) => bound(`${places(host).logs}/observer.log`, most),
}

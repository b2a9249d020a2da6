import type { Host } from '../host.ts'
import { places } from '../places.ts'
import type { Settings } from '../settings.ts'
import type { Duty } from './duty.ts'
import { type Ended, parseEnded } from './ended.ts'
import { follow, type Position } from './follow.ts'
import { wanted, writeLog } from './log.ts'

/** Whoever is told of requests that have ended. */
export interface Taker {
  /** `upTo` is the place in the file that this brings it to, `bad` the number of lines that were no request */
  take(requests: Ended[], upTo: Position, bad: number): void
}

/** Reads what HAProxy writes down, tells everyone who takes it, and writes what the settings want into the log. */
export function requests(home: string, settings: () => Settings, start: Position | undefined, takers: Taker[]): Duty {
  const follower = follow(places(home).access, start)
  return {
    name: 'requests',
    everyMs: 500,
    async run(host: Host) {
      for (;;) {
        const lines = await follower.next()
        if (lines.length === 0) return
        const read = lines.map(parseEnded).filter((request) => request !== undefined)
        for (const taker of takers) taker.take(read, follower.position(), lines.length - read.length)
        const { log } = settings()
        await writeLog(
          host,
          read.filter((request) => wanted(log, request)),
        )
      }
    },
  }
}

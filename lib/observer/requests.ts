import type { Host } from '../host.ts'
import { places } from '../places.ts'
import { readSettings } from '../settings.ts'
import type { Duty } from './duty.ts'
import { type Ended, parseEnded } from './ended.ts'
import { type Follower, follow, type Position } from './follow.ts'
import { wanted, writeLog } from './log.ts'

/** Whoever is told of each request that has ended. */
export type Listener = (request: Ended) => void

export interface Requests extends Duty {
  position(): Position
  /** lines so far that were no request */
  bad(): number
}

/** Reads what HAProxy writes down, tells everyone who listens, and writes what the settings want into the log. */
export function requests(home: string, start: Position | undefined, listeners: Listener[]): Requests {
  const follower: Follower = follow(places(home).access, start)
  let bad = 0
  const told = (lines: string[]): Ended[] => {
    const read = lines.map(parseEnded).filter((request) => request !== undefined)
    bad += lines.length - read.length
    for (const request of read) for (const listener of listeners) listener(request)
    return read
  }
  return {
    name: 'requests',
    everyMs: 500,
    position: follower.position,
    bad: () => bad,
    async run(host: Host) {
      for (;;) {
        const lines = await follower.next()
        if (lines.length === 0) return
        const { log } = await readSettings(host)
        await writeLog(
          host,
          told(lines).filter((request) => wanted(log, request)),
        )
      }
    },
  }
}

import { empty, type Position } from '../host/appended.ts'
import type { Host } from '../host/host.ts'
import { places } from '../platform/here.ts'
import type { Somewhere } from '../platform/platform.ts'
import type { Settings } from '../site/settings.ts'
import type { Duty } from './duty.ts'
import { type Ended, parseEnded } from './ended.ts'
import { follow } from './follow.ts'
import { wanted, writeLog, writtenIds } from './log.ts'
import { ownRequests } from './own-requests.ts'
import type { Lost } from './sign.ts'

/** Whoever is told of requests that have ended. */
export interface Taker {
  /** `upTo` is the place in the file that this brings it to, `bad` the number of lines that were no request */
  take(requests: Ended[], upTo: Position, bad: number): void
}

export interface Reading extends Duty {
  /** what was not counted since this observer began */
  lost(): Lost
}

/** Reads what HAProxy writes down, tells everyone who takes it, and writes what the settings want into the log. */
export function requests(
  at: Somewhere,
  settings: () => Settings,
  start: Position | undefined,
  takers: Taker[],
): Reading {
  const follower = follow(places(at).access, start)
  let unreadable = 0
  let written: Set<string> | undefined
  return {
    name: 'requests',
    lost: () => ({ unreadable, gaps: follower.gaps() }),
    everyMs: 500,
    async run(host: Host) {
      for (;;) {
        const lines = await follower.next()
        if (lines.length === 0) {
          // What an earlier observer may have written is behind by now.
          written = new Set()
          return
        }
        const all = lines.map(parseEnded).filter((request) => request !== undefined)
        const bad = lines.length - all.length
        unreadable += bad
        const own = await ownRequests(host)
        const read = all.filter((request) => !own(request))
        for (const taker of takers) taker.take(read, follower.position(), bad)
        const { log } = settings()
        const known = written ?? (await writtenIds(host))
        written = known
        await writeLog(
          host,
          read.filter((request) => wanted(log, request) && !known.has(request.id)),
        )
      }
    },
  }
}

/** Bytes after which the file is emptied once all of it is counted and nobody writes; the gateway's job has a bound of its own (templates/bin/bounded-file). */
const most = 5_000_000

/** Keeps what HAProxy writes down small. */
export const emptying = (kept: () => Position | undefined): Duty => ({
  name: 'emptying',
  everyMs: 5000,
  async run(host) {
    const upTo = kept()
    if (upTo && upTo.offset > most) await empty(places(host).access, upTo)
  },
})

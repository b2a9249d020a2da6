import { cut } from '../../haproxy/cut.ts'
import { nameOf, sightings, streams } from '../../haproxy/streams.ts'
import type { Duty } from '../duty.ts'

/** Ends requests that took longer than their key or group may; HAProxy has no limit for a whole request. The log says that it was killed. */
export function overlong(now: () => number = Date.now, steady = () => performance.now()): Duty {
  const sight = sightings(steady)
  return {
    name: 'overlong',
    everyMs: 1000,
    async run(host) {
      const found = await streams(host)
      const seenFor = sight(found)
      // By HAProxy's word for its start, and where the clock was set back since, by what was seen of it.
      const over = found.filter(
        (stream) => stream.whole > 0 && Math.max(now() - stream.started, seenFor(stream)) >= stream.whole * 1000,
      )
      if (over.length > 0) await cut(host, (stream) => over.some((one) => nameOf(one) === nameOf(stream)))
    },
  }
}

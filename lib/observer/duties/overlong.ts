import { cut } from '../../keys/cut.ts'
import type { Duty } from '../duty.ts'
import { streams } from '../streams.ts'

/** Ends requests that took longer than their key or group may; HAProxy has no limit for a whole request. The log says that it was killed. */
export const overlong = (now: () => number = Date.now): Duty => ({
  name: 'overlong',
  everyMs: 1000,
  async run(host) {
    for (const stream of await streams(host))
      if (stream.whole > 0 && now() - stream.started >= stream.whole * 1000) await cut(host, stream)
  },
})

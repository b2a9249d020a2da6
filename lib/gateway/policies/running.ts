import type { Gateway, Policy } from '../policy.ts'
import { unkeyed } from './own-probes.ts'

/** `gpt0` holds 32 bits: of the unix time in ms, what is left over these. */
const gpt0 = 2 ** 32

/**
 * Which requests are under way, for whoever looks from outside: `who|address:port|s it may take|model`, and in `gpt0` the start. HAProxy ends
 * none by itself; a revoked key's streams and overlong ones are found here (haproxy-policy.md §10). A connection has one request at a
 * time, and the start is not part of the key, so the next request of a connection finds its entry again: new entries were the dearest
 * part of a request.
 */
export const running = ({ settings }: Gateway): Policy => ({
  name: 'running',
  lines: {
    inspect: [
      ...unkeyed(settings),
      'http-request set-var-fmt(txn.stream) "%[var(txn.who)]|%[var(sess.address)]:%[src_port]|%[var(txn.whole)]|%[var(txn.model)]" if inference',
      'http-request track-sc2 var(txn.stream) table streams if inference',
      `http-request sc-set-gpt0(2) date(0,ms),mod(${gpt0}) if inference`,
    ],
  },
  sections: ['backend streams\n    stick-table type string len 360 size 20k expire 5s store conn_cur,gpt0'],
})

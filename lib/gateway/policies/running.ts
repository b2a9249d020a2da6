import type { Policy } from '../policy.ts'

/**
 * Which requests are under way, for whoever looks from outside: `who|address:port|s it may take|ms of its start|model`. HAProxy ends
 * none by itself; a revoked key's streams and overlong ones are found here (haproxy-policy.md §10).
 */
export const running = (): Policy => ({
  name: 'running',
  lines: {
    inspect: [
      'http-request set-var-fmt(txn.stream) "%[var(txn.who)]|%[src]:%[src_port]|%[var(txn.whole)]|%[date(0,ms)]|%[var(txn.model)]" if inference',
      'http-request track-sc2 var(txn.stream) table streams if inference',
    ],
  },
  sections: ['backend streams\n    stick-table type string len 360 size 20k expire 5s store conn_cur'],
})

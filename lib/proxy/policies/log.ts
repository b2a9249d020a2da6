import type { Gateway, Policy } from '../policy.ts'

/** One JSON object a line; every field that a client controls is bounded, so that no line is cut (haproxy-policy.md §11). */
const line = [
  '"time":"%tr"',
  '"id":"%ID"',
  '"client":"%ci:%cp"',
  '"agent":"%[var(txn.agent),json(utf8s)]"',
  '"who":"%[var(txn.who),json(utf8s)]"',
  '"login":"%[var(txn.peer),field(1,|),json(utf8s)]"',
  '"device":"%[var(txn.peer),field(2,|),json(utf8s)]"',
  '"group":"%[var(txn.group)]"',
  '"method":"%[var(txn.method),json(utf8s)]"',
  '"path":"%[var(txn.path),json(utf8s)]"',
  '"status":%ST',
  '"end":"%tsc"',
  '"queue_ms":%Tw',
  '"first_byte_ms":%Tr',
  '"total_ms":%Ta',
  '"bytes":%B',
].join(',')

const quiet = 'http-request set-log-level silent if { path /v1/messages/count_tokens / /healthz /api/hello }'

/** What is written down: nothing, what went wrong, or every request; never bodies, keys or queries. */
export function log(gateway: Gateway): Policy {
  const level = gateway.settings.log
  if (level === 'off') return { name: 'log', lines: { defaults: ['no log'] } }
  return {
    name: 'log',
    lines: {
      // Only `err` and worse get out, and lines of requests are given that level: HAProxy's own words ("Proxy … stopped",
      // "Server … is DOWN") are no JSON, and are on standard error anyway.
      global: ['log stdout len 8192 format raw daemon err'],
      // A normal line is not even written for the waste basket: it is the dearest part of a request (haproxy-operations.md §7).
      defaults: [
        'log global',
        'option dontlognull',
        'option log-separate-errors',
        ...(level === 'errors' ? ['option dontlog-normal'] : []),
      ],
      inference: ['no log'],
      metadata: ['no log'],
      prepare: [
        'http-request set-var(txn.agent) req.fhdr(user-agent),bytes(0,128)',
        'http-request set-var(txn.peer) src,map_ip({{keys}}/devices.map)',
        `log-format '{${line}}'`,
        level === 'errors' ? quiet : 'http-request set-log-level err',
      ],
    },
  }
}

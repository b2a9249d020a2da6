import { hasNodes } from '../nodes.ts'
import type { Gateway, Policy } from '../policy.ts'
import { writtenDown } from '../proofs/observed.ts'
import { ownProbe } from './own-probes.ts'

const text = (name: string, fetch: string): string => `"${name}":"%[${fetch},json(utf8s)]"`

/** One JSON object a line; every field that a client controls is bounded, so that no line is cut (haproxy-policy.md §11). */
const line = [
  '"time":"%tr"',
  '"id":"%[var(txn.id)]"',
  '"address":"%[var(sess.address)]"',
  text('who', 'var(txn.who)'),
  text('login', 'var(txn.peer),field(1,|)'),
  text('device', 'var(txn.peer),field(2,|)'),
  text('agent', 'var(txn.agent)'),
  '"group":"%[var(txn.group)]"',
  text('method', 'var(txn.method)'),
  text('path', 'var(txn.path)'),
  text('model', 'var(txn.model),bytes(0,200)'),
  '"status":%ST',
  '"bytes":%B',
  '"queueMs":%Tw',
  '"firstByteMs":%Tr',
  '"totalMs":%Ta',
  '"end":"%tsc"',
  '"denied":"%[var(txn.denied)]"',
]

/** Who served it, and which way it came to them. */
const way = ['"node":"%[var(txn.node)]"', '"route":"%[var(txn.route)]"']

/** Asked all day long and of no interest; the log of errors is without them. */
export const quietPaths = ['/v1/messages/count_tokens', '/', '/healthz', '/api/hello']

/** What HAProxy itself leaves out where nobody reads every line. */
const chosen = {
  off: { defaults: [], prepare: [] },
  errors: {
    defaults: ['option dontlog-normal'],
    prepare: [`http-request set-log-level silent if { path ${quietPaths.join(' ')} }`],
  },
  requests: { defaults: [], prepare: ['http-request set-log-level err'] },
}

/** The policy whose rule refuses tells its name in a header, which is read and taken off again (`refuse` in refusal.ts). */
const named = [
  'http-after-response set-header x-request-id %[var(txn.id)]',
  // The rest is for refusals, and for web pages (names.ts); a rule for every answer stands before it, or is an http-response.
  'http-after-response allow if { status lt 400 } !{ var(txn.origin) -m found }',
  'http-after-response set-var(txn.denied) res.fhdr(x-denied-by) if { status ge 400 }',
  'http-after-response del-header x-denied-by if { var(txn.denied) -m found }',
]

/** What is written down: nothing, what went wrong, or every request; never bodies, keys or queries. The observer is told every request and chooses itself. */
export function log(gateway: Gateway): Policy {
  const { settings } = gateway
  const whole = [...line, ...(hasNodes(gateway) ? way : [])].join(',')
  const level = settings.observer === 'on' ? 'requests' : settings.log
  if (level === 'off') return { name: 'log', lines: { defaults: ['no log'], afterResponse: named } }
  return {
    name: 'log',
    lines: {
      // Only `err` and worse get out, and lines of requests are given that level: HAProxy's own words ("Proxy … stopped",
      // "Server … is DOWN") are no JSON, and are on standard error anyway.
      global: ['log stdout len 8192 format raw daemon err'],
      // A normal line is not even written for the waste basket: it is the dearest part of a request (haproxy-operations.md §7).
      defaults: ['log global', 'option dontlognull', 'option log-separate-errors', ...chosen[level].defaults],
      inference: ['no log', 'http-after-response allow if { status lt 400 }'],
      metadata: ['no log'],
      prepare: [
        'http-request set-var(txn.agent) req.fhdr(user-agent),bytes(0,128)',
        'http-request set-var(txn.peer) src,map_ip({{keys}}/devices.map)',
        `log-format '{${whole}}'`,
        ...chosen[level].prepare,
        ...(settings.observer === 'on' ? [] : [`http-request set-log-level silent if ${ownProbe(settings)}`]),
      ],
      afterResponse: named,
    },
    proof: (target) => (settings.observer === 'on' ? [writtenDown(target)] : []),
  }
}

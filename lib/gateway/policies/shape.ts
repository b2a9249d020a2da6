import type { Policy } from '../policy.ts'
import { refusedAs } from '../proofs/refused.ts'
import { refuse } from '../refusal.ts'

const bad = 'http-request deny status 400 default-errorfiles if'

/** HAProxy itself answers 400 when the key is missing (RFC 6455 §4.1). */
const upgrade = {
  upgrade: 'websocket',
  connection: 'Upgrade',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
}

/** One way to write a request: HTTP/1.1, origin form, bounded; each line closes a hole that was seen (haproxy-policy.md §1.2, §11). */
export function shape(): Policy {
  return {
    name: 'shape',
    lines: {
      defaults: ['option disable-h2-upgrade'],
      shape: [
        `${bad} !{ req.ver 1.1 }`,
        `${bad} !{ url -m beg / }`,
        `${bad} { req.hdrs,length gt 16384 } or { url_len gt 4096 }`,
        `${bad} { var(txn.letters) -m int gt 24 }`,
        refuse({
          status: 426,
          message: 'no WebSocket here; use plain HTTP.',
          when: ['{ req.fhdr(upgrade) -m sub -i websocket }'],
          headers: { upgrade: 'HTTP/1.1', connection: 'upgrade' },
        }),
        refuse({
          status: 415,
          message: 'compressed request bodies are not taken; send plain JSON.',
          when: ['{ req.fhdr(content-encoding) -m found }'],
        }),
      ],
    },
    proof: (target) => [
      refusedAs(target, {
        id: 'refused.websocket',
        title: 'A WebSocket is answered with 426, so that clients fall back at once',
        status: 426,
        path: '/v1/responses',
        headers: upgrade,
      }),
      refusedAs(target, {
        id: 'refused.compressed',
        title: 'A compressed request body is refused',
        status: 415,
        method: 'POST',
        path: '/v1/chat/completions',
        headers: { 'content-encoding': 'zstd' },
      }),
    ],
  }
}

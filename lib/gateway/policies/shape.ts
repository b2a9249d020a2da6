import type { Policy } from '../policy.ts'
import { refusedAs } from '../proofs/refused.ts'
import { refuse } from '../refusal.ts'

/** The same limit, whether a rule finds it or the buffer ends there, which HAProxy says itself. */
export const tooLong = {
  head: 'the headers are over 16 KB in all; send fewer or shorter ones (in a browser, delete the cookies of this name).',
  target: 'the path with its query is over 4 KB; send what is long in the body.',
}

/** Ways of writing a request that nobody needs: what is said of each, and when. */
export const malformed: [message: string, ...when: string[]][] = [
  ['only HTTP/1.1 is spoken here; this request names another version.', '!{ req.ver 1.1 }'],
  [
    'the request names a whole URL, as for a proxy; send the path alone, and use this server as base URL, not as proxy.',
    '!{ url -m beg / } { path -m beg / }',
  ],
  [tooLong.head, '{ req.hdrs,length gt 16384 }'],
  [tooLong.target, '{ url_len gt 4096 }'],
  ['the method has over 24 letters, and there is none such.', '{ var(txn.letters) -m int gt 24 }'],
]

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
        ...malformed.map(([message, ...when]) => refuse({ status: 400, message, when })),
        // Without a path there is no family either.
        'http-request deny status 400 default-errorfiles if !{ url -m beg / }',
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

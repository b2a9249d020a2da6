import type { Gateway, Policy } from '../policy.ts'
import { refusedAs } from '../proofs/refused.ts'
import { modelRows } from '../proofs/target.ts'
import { refuse } from '../refusal.ts'
import { buffers, waitForBody } from './buffers.ts'

/** How large a body may be, and how slowly it may come. Content-Length is signed in HAProxy: 2^63 would be negative, hence its length in letters. */
export function bodies(gateway: Gateway): Policy {
  const { body_limit: limit, chunked_body: chunked } = gateway.settings
  return {
    name: 'bodies',
    lines: {
      // Patterns are few; remembering their verdicts costs more than judging again (measured).
      global: [
        ...buffers(gateway),
        'tune.pattern.cache-size 0',
        // Free buffers kept at hand by each thread: the default of 512 KB holds four of them, and the rest went back to the allocator after each request (8 of 59 µs).
        '.if version_atleast(2.8)',
        'tune.memory.hot-size 4194304',
        '.endif',
      ],
      defaults: ['timeout http-request 30s'],
      inspect: [
        refuse({
          status: 413,
          message: `the request body is over ${Math.round(limit / 1024)} KB.`,
          when: [`{ req.body_size gt ${limit} }`, '{ req.fhdr(content-length),length gt 11 }'],
        }),
        // A buffer for bodies that are held whole has room for more.
        ...waitForBody(
          `at-least ${chunked} `,
          `!{ req.fhdr(content-length) -m found } or { req.body_size le ${chunked} }`,
        ),
        refuse({
          status: 413,
          message: `a body without Content-Length may have ${chunked / 1024} KB at most (chunked_body in settings.yaml); send Content-Length.`,
          when: [`!{ req.fhdr(content-length) -m found } { req.body_len ge ${chunked} }`],
        }),
      ],
    },
    proof: (target) =>
      modelRows(target)
        .slice(0, 1)
        .map(({ method, path }) =>
          refusedAs(target, {
            ...{ method, path, status: 413 },
            id: 'refused.large',
            title: 'A body over the limit is refused before it is read',
            headers: { 'content-length': `${limit + 1}` },
            // An engine that is down is told first.
            needs: ['ollama.service'],
          }),
        ),
  }
}

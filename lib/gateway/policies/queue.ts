import { openGroups, spell } from '../../site/settings.ts'
import { hasNodes } from '../nodes.ts'
import type { Gateway, Policy } from '../policy.ts'
import { slots } from '../proofs/counted.ts'
import { refuse } from '../refusal.ts'
import { late } from './errors.ts'

export const full = (max: number): string =>
  max === 0 ? 'every slot is taken; try again shortly.' : `${max} requests are waiting already; try again shortly.`
const retry = { 'retry-after': '5' }

/** Few requests at the engine, the rest in a queue that tells clients what they handle well: 429 with Retry-After; 503 only when the engine is down. */
export function queue(gateway: Gateway): Policy {
  if (hasNodes(gateway)) return { name: 'queue', lines: {} }
  const { queue: waiting, inference, engine } = gateway.settings
  const address = `127.0.0.1:${engine.port}`
  return {
    name: 'queue',
    lines: {
      limit: [
        refuse({
          status: 429,
          message: 'the server is about to restart Ollama; try again shortly.',
          when: ['inference { str(draining),map_str({{files}}/engine.map) -m str yes }'],
          headers: retry,
        }),
        refuse({
          status: 503,
          message: 'Ollama is down on this server.',
          // Not `nbsrv`: in a worker that is being replaced it is 0, and its last requests would be refused.
          when: [
            `row${openGroups(gateway.settings).includes('connect') ? ' !page' : ''} !{ srv_is_up(inference/engine) }`,
          ],
          headers: retry,
        }),
      ],
      // Counted once the body is here: requests that are still sending it would all find the queue short.
      inspect: [
        refuse({
          status: 429,
          message: full(waiting.max),
          when: [
            `inference { queue(inference) ge ${waiting.max} } { srv_conn(inference/engine) ge ${inference.slots} }`,
          ],
          headers: retry,
        }),
      ],
      inference: [
        `timeout queue ${spell(waiting.wait)}`,
        'option httpchk',
        `http-check send meth GET uri /api/version ver HTTP/1.1 hdr Host ${address}`,
        'http-check expect status 200',
        'timeout check 5s',
        'retry-on conn-failure',
        'retries 2',
        late(503, 429),
        'http-after-response set-header retry-after 5 if { status 503 } { srv_is_up(inference/engine) }',
        'http-after-response set-status 429 if { status 503 } { srv_is_up(inference/engine) }',
        `server engine ${address} maxconn ${inference.slots} check inter 2s fastinter 500ms downinter 500ms fall 2 rise 1`,
      ],
      metadata: ['retry-on conn-failure', 'retries 2', `server engine ${address} track inference/engine`],
    },
    files: { 'engine.map': 'draining no\n' },
    proof: () => [slots(gateway.settings.inference.slots)],
  }
}

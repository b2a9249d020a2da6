import { hasNodes } from '../nodes.ts'
import type { Gateway, Policy } from '../policy.ts'
import { body, errorFile, refusalFiles } from '../refusal.ts'
import { tooLong } from './shape.ts'

const parsed: [number, string, string][] = [
  [
    400,
    'Bad request',
    'the request could not be understood: a line of it is malformed, it has over 100 headers, or its address contradicts its Host.',
  ],
  [405, 'Method Not Allowed', 'this method is not taken here.'],
  [408, 'Request Time-out', 'the request did not arrive in time.'],
  [413, 'Payload Too Large', 'the request body is too large.'],
  [422, 'Unprocessable Content', 'the request could not be understood.'],
  [500, 'Internal Server Error', 'an error inside the gateway; see its log.'],
  [501, 'Not Implemented', 'the request could not be understood.'],
]
/** Codes of their own since HAProxy 3.2 only. */
const later: [number, string, string][] = [
  [414, 'URI Too Long', tooLong.target],
  [431, 'Request Header Fields Too Large', tooLong.head],
]

const afterwards: Record<number, string> = {
  429: `%[var(txn.queue,0),bool,iif(no slot came free in the time that this key or group may wait,all slots stayed busy)], or Ollama is restarting; try again shortly.`,
  502: 'Ollama gave no valid answer (it may have crashed or been restarted).',
  503: 'Ollama does not answer, or is restarting; try again shortly.',
  504: 'Ollama stayed silent for too long.',
}

const file = ([status]: [number, string, string]): string => `    errorfile ${status} {{files}}/${status}.http`

/** What HAProxy says itself after the rules, made when it happens; `said` names the text where its status is changed afterwards. */
export const late = (status: number, said = status): string =>
  `http-error status ${status} content-type application/json ${status === 503 ? 'hdr retry-after 5 ' : ''}lf-string '${body(said, afterwards[said] ?? '')}'`

/** A request's own name: microseconds, and 32 bits of chance. No secret, and half the price of a UUID. */
const id = 'req_%[date(0,us),hex,bytes(2)]%[rand,hex,bytes(8)]'

/** Every error that HAProxy makes itself, as JSON in the caller's family; never HTML, never empty. */
export function errors(gateway: Gateway): Policy {
  return {
    name: 'errors',
    lines: {
      prepare: [
        `http-request set-var-fmt(txn.id) "${id}"`,
        'http-request set-var(txn.path) path,bytes(0,300)',
        'http-request set-var(txn.method) method,bytes(0,24)',
        'http-request set-var(txn.letters) method,length',
        'http-request set-var(txn.now) date',
      ],
      defaults: [
        ...parsed.map((entry) => file(entry).trim()),
        '.if version_atleast(3.2)',
        ...later.map((entry) => file(entry).trim()),
        '.endif',
        ...[502, 503, 504].map((status) => late(status)),
      ],
    },
    files: {
      // Of one engine it is the engine that says what it has not.
      ...refusalFiles(hasNodes(gateway) ? [] : [404]),
      ...Object.fromEntries([...[...parsed, ...later].map((entry) => [`${entry[0]}.http`, errorFile(...entry)])]),
    },
  }
}

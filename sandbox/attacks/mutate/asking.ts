import { setTimeout as pause } from 'node:timers/promises'
import type { RunningGateway } from '../../lab/gateway.ts'
import { type Exchange, exchange, request } from '../../lab/raw.ts'
import { type Answer, bytes, events, json, type Received, type Recorder, silent } from '../../lab/recorder.ts'

/** A gateway that may have a hole, and what reaches its engine. */
export interface Patient {
  gateway: RunningGateway
  engine: Recorder
}

/** Fails with what was seen when it does not hold. */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what)
}

/** Sends one request of ours: our Host unless another is given, a body where there is a POST. */
export function ask({ gateway }: Patient, line: string, headers: string[] = [], text?: string): Promise<Exchange> {
  const host = headers.some((header) => /^host:/i.test(header)) ? [] : [`Host: ${gateway.host}`]
  const body = text ?? (line.startsWith('POST') ? '{"model":"m"}' : undefined)
  return exchange(gateway, request(`${line} HTTP/1.1`, [...host, ...headers], body), 1, 5_000)
}

const stream = events({ count: 16, gap: 10 })
/** More bytes than sockets on the way hold. */
const large = 30_000_000
const answers: Record<string, Answer> = {
  stream,
  silent,
  nonsense: bytes('nonsense\r\n\r\n'),
  large: (wire) => wire.send(`HTTP/1.1 200 OK\r\nContent-Length: ${large}\r\n\r\n${'x'.repeat(large)}`),
  die: (wire) => wire.die(),
  late: async (wire, received) => {
    await pause(850)
    await json()(wire, received)
  },
  pausing: async (wire) => {
    wire.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    wire.chunk('one')
    await pause(1_200)
    wire.chunk('two')
    wire.end()
  },
  busy: json('{"error":"server busy"}', '503 Service Unavailable'),
  missing: json('{"error":"no such model"}', '404 Not Found'),
}

/** When the gateway closed the connection that a request came by. */
const closings = new WeakMap<Received, Promise<number>>()

/** Answers as the query says: `?e=stream`, `silent`, `nonsense`, `large`, `die`, `late`, `pausing`, `busy` or `missing`; JSON unless told. */
export const byQuery: Answer = (wire, received) => {
  closings.set(received, wire.closed)
  return (answers[/[?&]e=(\w+)/.exec(received.target)?.[1] ?? ''] ?? json())(wire, received)
}

/** What arrived with this mark in its target. */
export const arrived = ({ engine }: Patient, mark: string): Received[] =>
  engine.received.filter(({ target }) => target.includes(mark))

/** Whether the engine's connection for the request with this mark closes within the time (ms). */
export async function closes(patient: Patient, mark: string, withinMs: number): Promise<boolean> {
  const [request] = arrived(patient, mark)
  const closed = request && closings.get(request)
  return closed !== undefined && (await Promise.race([closed, pause(withinMs, -1)])) >= 0
}

/** Types of errors by status, as clients of OpenAI and Anthropic read them (facts: clients.md §5). */
const types: Record<number, string> = {
  401: 'authentication_error',
  411: 'invalid_request_error',
  403: 'permission_error',
  413: 'request_too_large',
  415: 'invalid_request_error',
  421: 'invalid_request_error',
  426: 'invalid_request_error',
  429: 'rate_limit_error',
  502: 'api_error',
  503: 'overloaded_error',
  504: 'api_error',
}

/** Our refusal with this status and these words, in the shape of the family. */
export function refusal(answer: Exchange, status: number, words: string, family: 'v1' | 'api' = 'v1'): void {
  must(answer.status === status, `${answer.status} instead of ${status}: ${answer.body.slice(0, 200)}`)
  const { error, type, request_id } = JSON.parse(answer.body)
  must(answer.headers['x-request-id'] === request_id, `x-request-id ${answer.headers['x-request-id']}`)
  must(!('x-denied-by' in answer.headers), 'the policy’s name goes out')
  const text = family === 'api' ? error : error.message
  must(text.startsWith('Gateway: ') && text.includes(words), `says ${text} instead of ${words}`)
  if (family === 'api') return
  must(type === 'error' && error.type === types[status] && error.code === error.type, `shape ${answer.body}`)
  must(/^req_([0-9A-F]{22}|unserved)$/.test(request_id), `request_id ${request_id}`)
}

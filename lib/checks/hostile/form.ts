import { unnamed } from '../../people/own-probes.ts'

/** Where a request is sent to, for those that must name it. */
export interface Aim {
  /** the Host header that names the gateway */
  host: string
  address: string
  port: number
  /** the name to shake hands for, where it is asked by https */
  tlsName?: string
  /** bytes that a body may have */
  limit: number
  /** bytes that one without Content-Length may have */
  chunked: number
  /** bytes of HAProxy's buffer */
  buffer: number
  /** an API key, where the gateway asks for one */
  key?: string
}

/**
 * One hostile request and what must come of it. `expect` is one result for all versions of HAProxy, or four, for
 * 2.6 / 3.0 / 3.2 / 3.4 and newer. A result is a status, several joined by `+` for several requests, alternatives
 * joined by `|`; `close` is a connection that ends without an answer. `→` behind an alternative says that the first
 * request reaches the engine, and 200 is then the engine's own answer.
 *
 * These are sent to live machines, too: none may change or harm one whose gateway lets it through. So no model, blob,
 * file or registry that one names can exist, and nothing stays open.
 */
export interface Hostile {
  name: string
  expect: string
  /** latin1: a letter is a byte */
  bytes(aim: Aim): string
  /** the advisory that it comes from */
  id?: string
  /** where our configuration is stricter than most, or what makes the case odd */
  note?: string
}

/** No model can be called that: Ollama takes no blank in a name (recorded of 0.24.0: `a b` is invalid for copy, pull, chat). */
export const nobody = 'no such model'
/** As little harm in it as can be, should it reach an engine. */
export const body = JSON.stringify({ model: nobody })

const credential = /^(authorization|x-api-key) ?:/i

/** Whether a request shows a key of its own, which is none that the gateway knows. */
export const hasOwnKey = (request: Hostile, aim: Aim): boolean =>
  request
    .bytes({ ...aim, key: undefined })
    .split('\r\n')
    .some((header) => credential.test(header))

/** Lines in front of the others: the gateway's name, and its key unless they show one themselves. */
const front = ({ host, key }: Aim, others: string[]): string[] => [
  `Host: ${host}`,
  ...(key === undefined || others.some((header) => credential.test(header)) ? [] : [`Authorization: Bearer ${key}`]),
]

/** A whole request of our own form: request line, one Host that is right, further headers, a body with its length. */
export function plain(line: string, more: string[] = [], text?: string): (aim: Aim) => string {
  const length = text === undefined ? [] : [`Content-Length: ${Buffer.byteLength(text)}`]
  return (aim) => [`${line} HTTP/1.1`, ...front(aim, more), unnamed, ...more, ...length, '', text ?? ''].join('\r\n')
}

export const get = (target: string, more: string[] = []) => plain(`GET ${target}`, more)
export const post = (target: string, more: string[] = [], text = body) => plain(`POST ${target}`, more, text)

/** A POST of the chat row with headers as they are, and the bytes after them. */
export const chat =
  (lines: string[], after = body) =>
  (aim: Aim): string =>
    ['POST /v1/chat/completions HTTP/1.1', ...front(aim, []), unnamed, ...lines, '', after].join('\r\n')

/** A request whose Host lines are these. */
export const hosts =
  (lines: (aim: Aim) => string[]) =>
  (aim: Aim): string =>
    ['GET /api/version HTTP/1.1', ...lines(aim), ...front(aim, []).slice(1), unnamed, '', ''].join('\r\n')

/** A request that begins with these bytes instead of a decent request line. */
export const line =
  (text: string) =>
  (aim: Aim): string =>
    [text, ...front(aim, []), unnamed, '', ''].join('\r\n')

import { families } from './base-urls.ts'

/** OpenAI's and Anthropic's word for each status of ours (facts: clients.md §5). */
const types: Record<number, string> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  405: 'invalid_request_error',
  408: 'invalid_request_error',
  413: 'request_too_large',
  415: 'invalid_request_error',
  421: 'invalid_request_error',
  422: 'invalid_request_error',
  426: 'invalid_request_error',
  429: 'rate_limit_error',
  500: 'api_error',
  502: 'api_error',
  503: 'overloaded_error',
  504: 'api_error',
  508: 'api_error',
}

const typeOf = (status: number): string => types[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error')

/** The object that OpenAI's and Anthropic's clients both read: a union of their shapes. */
export function unionBody(status: number, message: string, requestId: string): string {
  const type = typeOf(status)
  return `{"type":"error","error":{"type":"${type}","message":"Gateway: ${message}","param":null,"code":"${type}"},"request_id":"${requestId}"}`
}

export interface Refusal {
  status: number
  /** one line; may hold HAProxy's %[…]; no quotes */
  message: string
  /** conditions, one for each alternative; always when absent */
  when?: string[]
  headers?: Record<string, string>
  /** in plain words instead of JSON: a person's browser shows it as it is */
  plain?: boolean
  /** what an engine would have said, had it been asked: not a word of the gateway's policy */
  asEngine?: boolean
}

/** Words of a type of error, to be found by the beginning of the path when a refusal happens: what stands before the message, and what after it. */
const openFile = (status: number): string => `${typeOf(status)}.open`
const closeFile = (status: number): string => `${typeOf(status)}.close`

/** The files that refusals name: for each type of error, both families' words around a message. */
export function refusalFiles(without: number[] = []): Record<string, string> {
  const words = Object.keys(types)
    .map(Number)
    .filter((status) => !without.includes(status))
    .flatMap((status): [string, string][] => {
      const type = typeOf(status)
      return [
        [openFile(status), byFamily('{"error":"', `{"type":"error","error":{"type":"${type}","message":"`)],
        [closeFile(status), byFamily('","request_id":"', `","param":null,"code":"${type}"},"request_id":"`)],
      ]
    })
  return { ...Object.fromEntries(words), 'families.map': families.map((line) => `${line.join(' ')}\n`).join('') }
}

/** A line for each family. */
const byFamily = (api: string, v1: string): string => `api ${api}\nv1 ${v1}\n`

const words = (file: string): string => `%[var(txn.path),map_beg({{files}}/families.map,v1),map_str({{files}}/${file})]`

/** A body in the family of the path, as a log-format string: under /api/ Ollama's own shape, elsewhere the union. */
export const body = (status: number, message: string, from = 'Gateway: '): string =>
  `${words(openFile(status))}${from}${message}${words(closeFile(status))}%[var(txn.id)]"}`

/** The rule that refuses, in the family of the path. `deny`, since HAProxy's log does not count a `return` as an error. */
export function refuse({ status, message, when, headers = {}, plain, asEngine }: Refusal): string {
  const extra = Object.entries(headers)
    .map(([name, value]) => `hdr ${name} ${value} `)
    .join('')
  const condition = when ? ` if ${when.join(' or ')}` : ''
  const [type, text] = plain
    ? ['text/plain', `Gateway: ${message}`]
    : ['application/json', body(status, message, asEngine ? '' : undefined)]
  return `http-request deny status ${status} content-type ${type} ${extra}lf-string '${text}'${condition}`
}

/** A refusal for a person's browser; nothing of the request stands in it. */
const html = (message: string): string =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>Gateway</title><p>Gateway: ${message}</p><p><small>%[var(txn.id)]</small></p></html>`

/** The rule that refuses in the form of a page. */
export const pageRefusal = ({ status, message, when = [] }: Pick<Refusal, 'status' | 'message' | 'when'>): string =>
  `http-request deny status ${status} content-type text/html hdr cache-control no-store lf-string '${html(message)}'${when.length > 0 ? ` if ${when.join(' or ')}` : ''}`

/** What HAProxy says itself of a status, in the form of a page. */
export const pageSaid = (status: number, message: string): string =>
  `http-error status ${status} content-type text/html hdr cache-control no-store hdr retry-after 5 lf-string '${html(message)}'`

/** A refusal's rule with its policy's name in a header; other rules as they are. */
export const sign = (rule: string, policy: string): string =>
  rule.replace(/^http-request deny status \d+ content-type \S+ /, (head) => `${head}hdr x-denied-by ${policy} `)

/** A whole HTTP answer for HAProxy's `errorfile`, whose family is unknown: the union object. */
export function errorFile(status: number, reason: string, message: string): string {
  const body = `${unionBody(status, message, 'req_unparsed')}\n`
  const head = [
    `HTTP/1.1 ${status} ${reason}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-cache',
    'Connection: close',
  ]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}

/** OpenAI's and Anthropic's word for each status of ours (facts: clients.md §5). */
const types: Record<number, string> = {
  400: 'invalid_request_error',
  403: 'permission_error',
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
}

const typeOf = (status: number): string => types[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error')

/** The object that OpenAI's and Anthropic's clients both read: a union of their shapes. */
export function unionBody(status: number, message: string, requestId = '%[unique-id]'): string {
  const type = typeOf(status)
  return `{"type":"error","error":{"type":"${type}","message":"Gateway: ${message}","param":null,"code":"${type}"},"request_id":"${requestId}"}`
}

/** Ollama's own shape, for everything under /api/. */
export const ollamaBody = (message: string): string => `{"error":"Gateway: ${message}"}`

export interface Refusal {
  status: number
  /** one line; may hold HAProxy's %[…]; no quotes */
  message: string
  /** conditions, one for each alternative; always when absent */
  when?: string[]
  headers?: Record<string, string>
}

/** The two rules that refuse, one a family of errors; the ACL `api` is set by the policy `errors`. `deny`, since HAProxy's log does not count a `return` as an error. */
export function refuse({ status, message, when = [''], headers = {} }: Refusal): string[] {
  const extra = Object.entries(headers)
    .map(([name, value]) => `hdr ${name} ${value} `)
    .join('')
  const rule = (family: string, body: string) =>
    `http-request deny status ${status} content-type application/json ${extra}lf-string '${body}' if ${when
      .map((condition) => `${family} ${condition}`.trim())
      .join(' or ')}`
  return [rule('api', ollamaBody(message)), rule('!api', unionBody(status, message))]
}

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

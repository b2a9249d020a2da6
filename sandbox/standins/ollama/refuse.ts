import { randomBytes } from 'node:crypto'
import type { Turn } from './context.ts'
import type { ApiError } from './errors.ts'

/** `encoded`: through the writer of a family (newline, no charset); `plain`: refused before the handler (charset, none). */
type Way = 'encoded' | 'plain'

const send = (turn: Turn, error: ApiError, way: Way, body: unknown): void => {
  if (way === 'encoded') turn.reply.encode(error.status, body)
  else turn.reply.json(error.status, body)
}

const openaiType = (status: number): string =>
  status === 400 ? 'invalid_request_error' : status === 404 ? 'not_found_error' : 'api_error'

const ANTHROPIC: Record<number, string> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  529: 'overloaded_error',
}

/** An error in the shape of each family of routes. */
export const refuse = {
  native: (turn: Turn, error: ApiError): void => turn.reply.json(error.status, { error: error.message }),
  openai: (turn: Turn, error: ApiError, way: Way): void =>
    send(turn, error, way, {
      error: { message: error.message, type: openaiType(error.status), param: null, code: null },
    }),
  anthropic: (turn: Turn, error: ApiError, way: Way): void =>
    send(turn, error, way, {
      type: 'error',
      error: { type: ANTHROPIC[error.status] ?? 'api_error', message: error.message },
      request_id: `req_${randomBytes(12).toString('hex')}`,
    }),
}

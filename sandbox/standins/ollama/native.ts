import type { Handler, Turn } from './context.ts'
import { type Ask, messagesOf, newAsk, newCallId, open, type Talk, toolsOf } from './core.ts'
import { CHAT, decode, GENERATE } from './decode.ts'
import type { Metrics } from './engine.ts'
import { ApiError } from './errors.ts'
import { goJson } from './gojson.ts'
import { relay, type Sink } from './relay.ts'
import { type Fields, isNode, type Struct, text } from './shape.ts'
import { tokenize } from './tokens.ts'
import type { Piece } from './voices.ts'

/** A time as Go writes it in UTC: ns since 1970, zeros at the end left out. */
export const goTime = (nanos: bigint): string => {
  const fraction = `${nanos % 1_000_000_000n}`.padStart(9, '0').replace(/0+$/, '')
  const seconds = new Date(Number(nanos / 1_000_000_000n) * 1000).toISOString()
  return seconds.replace('.000Z', fraction ? `.${fraction}Z` : 'Z')
}

const goNow = (): string => goTime(BigInt(Date.now()) * 1_000_000n + (process.hrtime.bigint() % 1_000_000n))

/** Body of a native route; its refusals are `{"error":…}` with status 400. */
export const nativeBody = async (turn: Turn, shape: Struct): Promise<Fields> => {
  const bound = decode(await turn.request.body.read(), shape)
  if ('fields' in bound) return bound.fields
  throw new ApiError(400, bound.refused === 'EOF' ? 'missing request body' : bound.refused)
}

const common = (ask: Ask, fields: Fields): Ask => ({
  ...ask,
  format: isNode(fields.format) ? fields.format : undefined,
  think: typeof fields.think === 'boolean' ? fields.think : undefined,
  options: (fields.options as Fields | undefined) ?? {},
  keepAliveMs: typeof fields.keep_alive === 'number' ? fields.keep_alive : undefined,
  truncate: fields.truncate !== false,
  shift: fields.shift !== false,
})

const figures = ({ doneReason, ...rest }: Metrics, context?: number[]): Fields => {
  const counts = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== 0))
  return { done: true, done_reason: doneReason, ...(context ? { context } : {}), ...counts }
}

interface Heard {
  content: string
  thinking: string
  calls: unknown[]
}

/** A native stream or, from the same parts, one native answer. */
const sinkFor = (
  turn: Turn,
  model: string,
  streams: boolean,
  body: (part: Heard) => Fields,
  context?: () => number[],
): Sink => {
  const all: Heard = { content: '', thinking: '', calls: [] }
  const line = (value: Fields) => turn.reply.write(`${goJson(value)}\n`)
  const head = () => ({ model, created_at: goNow() })
  let calls = 0
  if (streams) turn.reply.set('Content-Type', 'application/x-ndjson')
  return {
    piece: (piece: Piece) => {
      const call = piece.call && { id: newCallId(), function: { index: calls++, ...piece.call } }
      const part: Heard = {
        content: piece.kind === 'content' ? piece.text : '',
        thinking: piece.kind === 'thinking' ? piece.text : '',
        calls: call ? [call] : [],
      }
      if (streams) return line({ ...head(), ...body(part), done: false })
      all.content += part.content
      all.thinking += part.thinking
      all.calls.push(...part.calls)
    },
    finish: (metrics) => {
      const last = { ...head(), ...body(all), ...figures(metrics, context?.()) }
      if (streams) line(last)
      else turn.reply.json(200, last)
    },
    broke: (message) => line({ error: message }),
    refuse: (error) => {
      if (streams) turn.reply.set('Content-Type', 'application/json')
      turn.reply.json(error.status, { error: error.message })
    },
  }
}

const chatBody = ({ content, thinking, calls }: Heard): Fields => ({
  message: {
    role: 'assistant',
    content,
    ...(thinking ? { thinking } : {}),
    ...(calls.length ? { tool_calls: calls } : {}),
  },
})

const generateBody = ({ content, thinking }: Heard): Fields => ({
  response: content,
  ...(thinking ? { thinking } : {}),
})

/** POST /api/chat */
export const chat: Handler = async (turn) => {
  const fields = await nativeBody(turn, CHAT)
  const model = text(fields.model)
  if (model === '') throw new ApiError(400, 'model is required')
  const ask = {
    ...common(newAsk(model, 'chat'), fields),
    messages: messagesOf(fields.messages),
    tools: toolsOf(fields.tools),
  }
  const { talk, done } = await open(turn, ask)
  if (!talk) {
    const message = { role: 'assistant', content: '' }
    return turn.reply.json(200, { model, created_at: goNow(), message, done: true, done_reason: done })
  }
  const streams = fields.stream !== false
  return relay(turn, talk, sinkFor(turn, model, streams, chatBody), streams)
}

const contextOf = (talk: Talk, raw: boolean): (() => number[]) | undefined =>
  raw ? undefined : () => tokenize(talk.prompt + talk.raw.join(''))

/** POST /api/generate */
export const generateRoute: Handler = async (turn) => {
  const fields = await nativeBody(turn, GENERATE)
  const model = text(fields.model)
  const images = Array.isArray(fields.images) ? fields.images.map((_, at) => `[img-${at}]`).join('') : ''
  const ask: Ask = {
    ...common(newAsk(model, 'generate'), fields),
    prompt: images + text(fields.prompt),
    suffix: text(fields.suffix),
    system: text(fields.system),
    raw: fields.raw === true,
  }
  const { talk, done } = await open(turn, ask)
  if (!talk) return turn.reply.json(200, { model, created_at: goNow(), response: '', done: true, done_reason: done })
  const streams = fields.stream !== false
  return relay(turn, talk, sinkFor(turn, model, streams, generateBody, contextOf(talk, ask.raw)), streams)
}

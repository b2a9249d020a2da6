import { randomInt } from 'node:crypto'
import type { Handler, Turn } from './context.ts'
import { type Ask, newAsk, newCallId, open, refuseCloud, type Talk, toolsOf } from './core.ts'
import { decode } from './decode.ts'
import type { Metrics } from './engine.ts'
import { ApiError } from './errors.ts'
import { GoJsonError, goJson, type Node } from './gojson.ts'
import { refuse } from './refuse.ts'
import { relay, type Sink } from './relay.ts'
import {
  ANY,
  BOOL,
  type Fields,
  FLOAT,
  fieldsOf,
  INT,
  isNode,
  list,
  listOf,
  MAP,
  NODE,
  STRING,
  type Struct,
  struct,
  text,
} from './shape.ts'
import type { ChatMessage } from './templates.ts'
import { bodyFor } from './zstd.ts'

const MESSAGE = struct('openai.Message', {
  role: STRING,
  content: ANY,
  reasoning: STRING,
  tool_calls: list(
    struct('openai.ToolCall', { id: STRING, type: STRING, function: struct('', { name: STRING, arguments: STRING }) }),
    '[]openai.ToolCall',
  ),
  name: STRING,
  tool_call_id: STRING,
})
const FORMAT = struct('openai.ResponseFormat', {
  type: STRING,
  json_schema: struct('openai.JsonSchema', { schema: NODE }),
})
const CHAT = struct('openai.ChatCompletionRequest', {
  model: STRING,
  messages: list(MESSAGE, '[]openai.Message'),
  stream: BOOL,
  stream_options: struct('openai.StreamOptions', { include_usage: BOOL }),
  max_tokens: INT,
  seed: INT,
  stop: ANY,
  temperature: FLOAT,
  frequency_penalty: FLOAT,
  presence_penalty: FLOAT,
  top_p: FLOAT,
  response_format: FORMAT,
  tools: list(ANY, 'api.Tools'),
  reasoning: struct('openai.Reasoning', { effort: STRING }),
  reasoning_effort: STRING,
})
const COMPLETION = struct('openai.CompletionRequest', {
  model: STRING,
  prompt: STRING,
  suffix: STRING,
  stream: BOOL,
  stream_options: struct('openai.StreamOptions', { include_usage: BOOL }),
  max_tokens: INT,
  seed: INT,
  stop: ANY,
  temperature: { is: 'float' },
  top_p: FLOAT,
  options: MAP,
})

/** Body of an OpenAI route; refused in its shape before the handler, cloud names in the plain one. */
export const openaiBody = async (turn: Turn, shape: Struct): Promise<Fields> => {
  const bound = decode(await bodyFor(turn), shape)
  if ('refused' in bound) throw new GoJsonError(bound.refused)
  refuseCloud(turn, text(bound.fields.model))
  return bound.fields
}

/** Runs a handler of the OpenAI family: what its decoder refuses is a 400 of that family. */
export const openaiRoute =
  (handler: Handler): Handler =>
  async (turn) => {
    try {
      await handler(turn)
    } catch (error) {
      if (!(error instanceof GoJsonError)) throw error
      refuse.openai(turn, new ApiError(400, error.message), 'plain')
    }
  }

/** Errors of the inner handler come through the family's writer. */
export const openFor = async (turn: Turn, ask: Ask): Promise<{ talk?: Talk; done?: 'load' | 'unload' } | undefined> => {
  try {
    return await open(turn, ask)
  } catch (error) {
    if (!(error instanceof ApiError) || error.message.startsWith('ollama cloud')) throw error
    refuse.openai(turn, error, 'encoded')
    return undefined
  }
}

const partText = (part: unknown): ChatMessage['content'] => {
  const fields = fieldsOf(part)
  if (fields.type === 'text') return text(fields.text)
  const url = text(fieldsOf(fields.image_url).url) || text(fields.image_url)
  if (fields.type === 'image_url' && /^https?:/.test(url)) {
    throw new GoJsonError('image URLs are not currently supported, please use base64 encoded data instead')
  }
  if (fields.type === 'image_url') return '[img-0]'
  throw new GoJsonError('invalid message format')
}

const argumentsOf = (raw: unknown): unknown => {
  try {
    return JSON.parse(text(raw) || '{}')
  } catch {
    throw new GoJsonError('invalid tool call arguments')
  }
}

/** One OpenAI message; several content parts become several messages, as Ollama makes them. */
const messageOf = (value: unknown): ChatMessage[] => {
  const fields = fieldsOf(value)
  const role = text(fields.role)
  const calls = listOf(fields.tool_calls).map((call) => fieldsOf(fieldsOf(call).function))
  const toolCalls = calls.map((c) => ({ name: text(c.name), arguments: argumentsOf(c.arguments) }))
  const thinking = text(fields.reasoning)
  const extra = { ...(toolCalls.length ? { toolCalls } : {}), ...(thinking ? { thinking } : {}) }
  if (Array.isArray(fields.content)) return fields.content.map((part) => ({ role, content: partText(part), ...extra }))
  if (typeof fields.content === 'string') return [{ role, content: fields.content, ...extra }]
  if (fields.content === undefined && toolCalls.length) return [{ role, content: '', ...extra }]
  if (fields.content === undefined) return [{ role, content: '', ...extra }]
  throw new GoJsonError(
    `invalid message content type: ${typeof fields.content === 'number' ? 'float64' : typeof fields.content === 'boolean' ? 'bool' : 'map[string]interface {}'}`,
  )
}

const EFFORTS = ['high', 'medium', 'low', 'max']
/** `reasoning_effort` as Ollama's think value; `none` is false. */
export const thinkOf = (effort: string, more: string[] = []): boolean | undefined => {
  if (effort === '') return undefined
  if (effort === 'none') return false
  if ([...EFFORTS, ...more].includes(effort)) return true
  throw new GoJsonError(`invalid reasoning value: '${effort}' (must be "high", "medium", "low", "max", or "none")`)
}

const JSON_NODE: Node = { type: 'string', text: 'json', from: 0, to: 0 }
/** `response_format` as a native format. */
export const formatFrom = (format: Fields): Node | undefined => {
  if (format.type === 'json_object') return JSON_NODE
  const schema = fieldsOf(format.json_schema).schema
  return format.type === 'json_schema' && isNode(schema) ? schema : undefined
}

const optionsOf = (fields: Fields): Fields => ({
  ...(fields.max_tokens !== undefined ? { num_predict: fields.max_tokens } : {}),
  ...(fields.stop !== undefined ? { stop: [fields.stop].flat() } : {}),
  temperature: fields.temperature ?? 1,
  top_p: fields.top_p ?? 1,
})

interface Head extends Fields {
  id: string
}
const usageOf = (m: Metrics): Fields => ({
  prompt_tokens: m.prompt_eval_count,
  completion_tokens: m.eval_count,
  total_tokens: m.prompt_eval_count + m.eval_count,
})
const event = (turn: Turn, value: unknown): void => turn.reply.write(`data: ${goJson(value)}\n\n`)

/** Newer servers give the role only in the first delta and finish with an empty one. */
const isNewer = (turn: Turn): boolean => Number(turn.server.version.split('.')[1]) >= 30

const chatStream = (turn: Turn, model: string, usage: boolean): Sink => {
  const newer = isNewer(turn)
  const created = now()
  const id = `chatcmpl-${randomInt(999)}`
  const head = (name: string): Head => ({
    id,
    object: 'chat.completion.chunk',
    created: newer ? created : now(),
    model: name,
    system_fingerprint: 'fp_ollama',
  })
  const choice = (delta: Fields, finish: string | null) => [{ index: 0, delta, finish_reason: finish }]
  let calls = 0
  let first = true
  const role = (): Fields => (newer && !first ? {} : { role: 'assistant' })
  turn.reply.set('Content-Type', 'text/event-stream')
  return {
    piece: (piece) => {
      const call = piece.call && toolCall(calls++, piece.call)
      const content =
        newer && (call || piece.kind === 'thinking') ? {} : { content: piece.kind === 'content' ? piece.text : '' }
      const delta = {
        ...role(),
        ...content,
        ...(piece.kind === 'thinking' ? { reasoning: piece.text } : {}),
        ...(call ? { tool_calls: [call] } : {}),
      }
      first = false
      event(turn, { ...head(model), choices: choice(delta, null) })
    },
    finish: (metrics) => {
      const reason = calls > 0 && (!newer || metrics.doneReason === 'stop') ? 'tool_calls' : metrics.doneReason
      event(turn, { ...head(model), choices: choice(newer ? {} : { role: 'assistant', content: '' }, reason) })
      if (usage) event(turn, { ...head(model), choices: [], usage: usageOf(metrics) })
      turn.reply.write('data: [DONE]\n\n')
    },
    broke: () => event(turn, { ...head(''), choices: choice({ role: 'assistant', content: '' }, null) }),
    refuse: (error) => refuse.openai(turn, error, 'encoded'),
  }
}

const toolCall = (index: number, call: { name: string; arguments: Fields }): Fields => ({
  id: newCallId(),
  index,
  type: 'function',
  function: { name: call.name, arguments: goJson(call.arguments) },
})
const now = (): number => Math.floor(Date.now() / 1000)

const chatWhole = (turn: Turn, model: string): Sink => {
  const heard = { content: '', reasoning: '' }
  const calls: Fields[] = []
  return {
    piece: (piece) => {
      if (piece.call) calls.push(toolCall(calls.length, piece.call))
      if (piece.kind === 'content') heard.content += piece.text
      if (piece.kind === 'thinking') heard.reasoning += piece.text
    },
    finish: (metrics) => {
      const { content, reasoning } = heard
      const message = {
        role: 'assistant',
        content,
        ...(reasoning ? { reasoning } : {}),
        ...(calls.length ? { tool_calls: calls } : {}),
      }
      const finish_reason = calls.length ? 'tool_calls' : metrics.doneReason
      const head = {
        id: `chatcmpl-${randomInt(999)}`,
        object: 'chat.completion',
        created: now(),
        model,
        system_fingerprint: 'fp_ollama',
      }
      turn.reply.encode(200, { ...head, choices: [{ index: 0, message, finish_reason }], usage: usageOf(metrics) })
    },
    broke: () => undefined,
    refuse: (error) => refuse.openai(turn, error, 'encoded'),
  }
}

const wantsUsage = (fields: Fields): boolean => fieldsOf(fields.stream_options).include_usage === true

/** POST /v1/chat/completions */
export const chatCompletions: Handler = openaiRoute(async (turn) => {
  const fields = await openaiBody(turn, CHAT)
  const messages = listOf(fields.messages)
  if (messages.length === 0) throw new GoJsonError("[] is too short - 'messages'")
  const model = text(fields.model)
  const ask: Ask = {
    ...newAsk(model, 'chat'),
    messages: messages.flatMap(messageOf),
    tools: toolsOf(fields.tools),
    format: formatFrom(fieldsOf(fields.response_format)),
    think: thinkOf(
      text(fieldsOf(fields.reasoning).effort) || text(fields.reasoning_effort),
      isNewer(turn) ? ['minimal', 'xhigh', 'ultra'] : [],
    ),
    options: optionsOf(fields),
  }
  if (model === '') return refuse.openai(turn, new ApiError(400, 'model is required'), 'encoded')
  const opened = await openFor(turn, ask)
  if (!opened?.talk) return
  const streams = fields.stream === true
  await relay(
    turn,
    opened.talk,
    streams ? chatStream(turn, model, wantsUsage(fields)) : chatWhole(turn, model),
    streams,
  )
})

const NO_USAGE = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }

const completionStream = (turn: Turn, model: string, usage: boolean): Sink => {
  const id = `cmpl-${randomInt(999)}`
  const row = (name: string, choices: unknown[], used?: Fields) =>
    event(turn, {
      id,
      object: 'text_completion',
      created: now(),
      choices,
      model: name,
      system_fingerprint: 'fp_ollama',
      ...(used ? { usage: used } : {}),
    })
  const choice = (part: string, finish: string | null) => [{ text: part, index: 0, finish_reason: finish }]
  turn.reply.set('Content-Type', 'text/event-stream')
  return {
    piece: (piece) =>
      row(model, choice(piece.kind === 'content' ? piece.text : '', null), usage ? NO_USAGE : undefined),
    finish: (metrics) => {
      row(model, choice('', metrics.doneReason), usage ? NO_USAGE : undefined)
      if (usage) row(model, [], usageOf(metrics))
      turn.reply.write('data: [DONE]\n\n')
    },
    broke: () => row('', choice('', null)),
    refuse: (error) => refuse.openai(turn, error, 'encoded'),
  }
}

const completionWhole = (turn: Turn, model: string): Sink => {
  let said = ''
  return {
    piece: (piece) => {
      if (piece.kind === 'content') said += piece.text
    },
    finish: (metrics) => sendCompletion(turn, model, said, metrics.doneReason, usageOf(metrics)),
    broke: () => undefined,
    refuse: (error) => refuse.openai(turn, error, 'encoded'),
  }
}

const sendCompletion = (turn: Turn, model: string, said: string, reason: string, usage: Fields): void => {
  const head = {
    id: `cmpl-${randomInt(999)}`,
    object: 'text_completion',
    created: now(),
    model,
    system_fingerprint: 'fp_ollama',
  }
  turn.reply.encode(200, { ...head, choices: [{ text: said, index: 0, finish_reason: reason }], usage })
}

/** POST /v1/completions */
export const completions: Handler = openaiRoute(async (turn) => {
  const fields = await openaiBody(turn, COMPLETION)
  const model = text(fields.model)
  const ask: Ask = {
    ...newAsk(model, 'generate'),
    prompt: text(fields.prompt),
    suffix: text(fields.suffix),
    options: optionsOf(fields),
  }
  const opened = await openFor(turn, ask)
  if (!opened) return
  if (!opened.talk) return sendCompletion(turn, model, '', opened.done ?? 'load', NO_USAGE)
  const streams = fields.stream === true
  await relay(
    turn,
    opened.talk,
    streams ? completionStream(turn, model, wantsUsage(fields)) : completionWhole(turn, model),
    streams,
  )
})

import { randomInt } from 'node:crypto'
import type { Handler, Turn } from './context.ts'
import { type Ask, newAsk, newCallId, toolsOf } from './core.ts'
import type { Metrics } from './engine.ts'
import { ApiError } from './errors.ts'
import { GoJsonError, goJson, plain, sorted } from './gojson.ts'
import { formatFrom, openaiBody, openaiRoute, openFor, thinkOf } from './openai.ts'
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
  NODE,
  STRING,
  struct,
  text,
} from './shape.ts'
import type { ChatMessage } from './templates.ts'
import type { Piece } from './voices.ts'

const TOOL = struct('openai.ResponsesTool', {
  type: STRING,
  name: STRING,
  description: ANY,
  strict: ANY,
  parameters: ANY,
})
const REQUEST = struct('openai.ResponsesRequest', {
  model: STRING,
  input: ANY,
  instructions: STRING,
  max_output_tokens: INT,
  temperature: FLOAT,
  top_p: FLOAT,
  stream: BOOL,
  tools: list(TOOL, '[]openai.ResponsesTool'),
  reasoning: struct('openai.ResponsesReasoning', { effort: STRING, summary: STRING }),
  text: struct('openai.ResponsesText', {
    format: struct('openai.ResponsesTextFormat', { type: STRING, name: STRING, schema: NODE, strict: BOOL }),
  }),
  truncation: STRING,
})

const contentText = (content: unknown): string => {
  if (typeof content === 'string') return content
  return listOf(content)
    .map((part) => (fieldsOf(part).type === 'input_image' ? '[img-0]' : text(fieldsOf(part).text)))
    .join('')
}

const parsed = (raw: unknown): unknown => {
  try {
    return JSON.parse(text(raw) || '{}')
  } catch {
    throw new GoJsonError('failed to parse function call arguments')
  }
}

/** One input item as a chat message. */
const itemOf = (value: unknown): ChatMessage[] => {
  const item = fieldsOf(value)
  if (item.type === 'function_call') {
    return [
      { role: 'assistant', content: '', toolCalls: [{ name: text(item.name), arguments: parsed(item.arguments) }] },
    ]
  }
  if (item.type === 'function_call_output') return [{ role: 'tool', content: contentText(item.output) }]
  if (item.type === 'reasoning') return []
  return [{ role: text(item.role), content: contentText(item.content) }]
}

const messagesOf = (fields: Fields): ChatMessage[] => {
  const head: ChatMessage[] = text(fields.instructions) ? [{ role: 'system', content: text(fields.instructions) }] : []
  if (typeof fields.input === 'string') return [...head, { role: 'user', content: fields.input }]
  return [...head, ...listOf(fields.input).flatMap(itemOf)]
}

const nativeTools = (fields: Fields): unknown[] =>
  toolsOf(
    listOf(fields.tools).map((tool) => {
      const { type, name, description, parameters } = fieldsOf(tool)
      return { type, function: { name, description, parameters } }
    }),
  )

/** What every response object repeats of its request. */
interface Echo {
  fields: Fields
  id: string
  created: number
  streams: boolean
}

const toolEcho = (tool: unknown): Fields => {
  const { type, name, description, strict, parameters } = fieldsOf(tool)
  return {
    type,
    name: name ?? '',
    description: description ?? null,
    strict: strict ?? null,
    parameters: parameters === undefined ? null : sorted(parameters),
  }
}

const formatEcho = (fields: Fields): Fields => {
  const { schema, ...rest } = fieldsOf(fieldsOf(fields.text).format)
  if (rest.type === undefined) return { type: 'text' }
  return { ...rest, ...(isNode(schema) ? { schema: plain(schema) } : {}) }
}

const reasoningEcho = (echo: Echo): unknown => {
  const { effort, summary } = fieldsOf(echo.fields.reasoning)
  if (effort === undefined && summary === undefined) return null
  if (echo.streams) return { effort: effort ?? null, summary: summary ?? null }
  return { ...(effort ? { effort } : {}), ...(summary ? { summary } : {}) }
}

/** A response object with its fields in the order in which the plain answer prints them. */
const objectOf = (echo: Echo, status: string, output: unknown[], usage: unknown): Fields => ({
  id: echo.id,
  object: 'response',
  created_at: echo.created,
  completed_at: status === 'completed' ? Math.floor(Date.now() / 1000) : null,
  status,
  incomplete_details: null,
  model: text(echo.fields.model),
  previous_response_id: null,
  instructions: text(echo.fields.instructions) || null,
  output,
  error: null,
  tools: listOf(echo.fields.tools).map(toolEcho),
  tool_choice: 'auto',
  truncation: text(echo.fields.truncation) || 'disabled',
  parallel_tool_calls: true,
  text: { format: formatEcho(echo.fields) },
  top_p: echo.fields.top_p ?? 1,
  presence_penalty: 0,
  frequency_penalty: 0,
  top_logprobs: 0,
  temperature: echo.fields.temperature ?? 1,
  reasoning: reasoningEcho(echo),
  usage,
  max_output_tokens: echo.fields.max_output_tokens ?? null,
  max_tool_calls: null,
  store: false,
  background: false,
  service_tier: 'default',
  metadata: {},
  safety_identifier: null,
  prompt_cache_key: null,
})

const usageOf = (input: number, output: number): Fields => ({
  input_tokens: input,
  output_tokens: output,
  total_tokens: input + output,
  input_tokens_details: { cached_tokens: 0 },
  output_tokens_details: { reasoning_tokens: 0 },
})

const reasoningItem = (id: string, thought: string): Fields => ({
  id,
  type: 'reasoning',
  summary: [{ type: 'summary_text', text: thought }],
  encrypted_content: thought,
})
const textPart = (said: string): Fields => ({ type: 'output_text', text: said, annotations: [], logprobs: [] })
const messageItem = (id: string, said: string): Fields => ({
  id,
  type: 'message',
  status: 'completed',
  role: 'assistant',
  content: [textPart(said)],
})
const callItem = (id: string, call_id: string, name: string, args: string, status = 'completed'): Fields => ({
  id,
  type: 'function_call',
  status,
  call_id,
  ...(name ? { name } : {}),
  arguments: args,
})

const wholeSink = (turn: Turn, echo: Echo): Sink => {
  const calls: Fields[] = []
  let said = ''
  let thought = ''
  return {
    piece: (piece) => {
      if (piece.call)
        calls.push(
          callItem(`fc_${echo.id}_${calls.length}`, newCallId(), piece.call.name, goJson(piece.call.arguments)),
        )
      if (piece.kind === 'thinking') thought += piece.text
      if (piece.kind === 'content') said += piece.text
    },
    finish: (m) => {
      const output = [
        ...(thought ? [reasoningItem(`rs_${echo.id}`, thought)] : []),
        ...(calls.length ? calls : [messageItem(`msg_${randomInt(999_999)}`, said)]),
      ]
      turn.reply.encode(200, objectOf(echo, 'completed', output, usageOf(m.prompt_eval_count, m.eval_count)))
    },
    broke: () => undefined,
    refuse: (error) => refuse.openai(turn, error, 'encoded'),
  }
}

/** The events of a streamed response: numbered from 0, one HTTP chunk each, keys in alphabetical order. */
class EventStream implements Sink {
  private readonly turn: Turn
  private readonly echo: Echo
  private readonly output: Fields[] = []
  private readonly messageId = `msg_${randomInt(999_999)}`
  private readonly reasoningId = `rs_${randomInt(999_999)}`
  private readonly callsId = randomInt(999_999)
  private number = 0
  private calls = 0
  private thought = ''
  private said = ''
  private state: 'new' | 'thinking' | 'thought' | 'text' = 'new'

  constructor(turn: Turn, echo: Echo) {
    this.turn = turn
    this.echo = echo
  }

  private emit(type: string, fields: Fields): void {
    const data = goJson(sorted({ ...fields, type, sequence_number: this.number++ }))
    this.turn.reply.write(`event: ${type}\ndata: ${data}\n\n`)
    void this.turn.reply.flush()
  }

  private open(): void {
    if (this.number > 0) return
    for (const type of ['response.created', 'response.in_progress'])
      this.emit(type, { response: objectOf(this.echo, 'in_progress', [], null) })
  }

  piece(piece: Piece): void {
    this.open()
    if (piece.kind === 'thinking') this.think(piece.text)
    else if (piece.call) this.call(piece.call.name, goJson(piece.call.arguments))
    else this.speak(piece.text)
  }

  private think(delta: string): void {
    const place = { item_id: this.reasoningId, output_index: 0 }
    if (this.state === 'new')
      this.emit('response.output_item.added', {
        item: { id: this.reasoningId, summary: [], type: 'reasoning' },
        output_index: 0,
      })
    this.state = 'thinking'
    this.thought += delta
    this.emit('response.reasoning_summary_text.delta', { ...place, summary_index: 0, delta })
  }

  private endThought(): void {
    if (this.state !== 'thinking') return
    this.state = 'thought'
    const item = reasoningItem(this.reasoningId, this.thought)
    this.emit('response.reasoning_summary_text.done', {
      item_id: this.reasoningId,
      output_index: 0,
      summary_index: 0,
      text: this.thought,
    })
    this.emit('response.output_item.done', { item, output_index: this.output.length })
    this.output.push(item)
  }

  private speak(delta: string): void {
    this.endThought()
    const output_index = this.output.length
    if (this.state !== 'text') {
      const item = { content: [], id: this.messageId, role: 'assistant', status: 'in_progress', type: 'message' }
      this.emit('response.output_item.added', { item, output_index })
      this.emit('response.content_part.added', {
        content_index: 0,
        item_id: this.messageId,
        output_index,
        part: textPart(''),
      })
    }
    this.state = 'text'
    this.said += delta
    this.emit('response.output_text.delta', {
      content_index: 0,
      delta,
      item_id: this.messageId,
      logprobs: [],
      output_index,
    })
  }

  private endText(): void {
    if (this.state !== 'text') return
    const place = { content_index: 0, item_id: this.messageId, output_index: this.output.length }
    const item = messageItem(this.messageId, this.said)
    this.emit('response.output_text.done', { ...place, logprobs: [], text: this.said })
    this.emit('response.content_part.done', { ...place, part: textPart(this.said) })
    this.emit('response.output_item.done', { item, output_index: this.output.length })
    this.output.push(item)
    this.state = 'thought'
  }

  private call(name: string, args: string): void {
    this.endThought()
    this.endText()
    const id = `fc_${this.callsId}_${this.calls++}`
    const call_id = newCallId()
    const output_index = this.output.length
    const item = callItem(id, call_id, name, args)
    this.emit('response.output_item.added', { item: callItem(id, call_id, name, '', 'in_progress'), output_index })
    this.emit('response.function_call_arguments.delta', { delta: args, item_id: id, output_index })
    this.emit('response.function_call_arguments.done', { arguments: args, item_id: id, output_index })
    this.emit('response.output_item.done', { item, output_index })
    this.output.push(item)
  }

  finish(m: Metrics): void {
    this.open()
    this.endThought()
    this.endText()
    const usage = usageOf(m.prompt_eval_count, m.eval_count)
    this.emit('response.completed', { response: objectOf(this.echo, 'completed', this.output, usage) })
  }

  /** Nothing of an error shows after the first token. */
  broke(): void {}

  refuse(error: ApiError): void {
    refuse.openai(this.turn, error, 'encoded')
  }
}

/** Headers that the streams of /v1/responses and /v1/messages send ahead of everything, errors included. */
export const eventHeaders = (turn: Turn): void => {
  turn.reply.set('Cache-Control', 'no-cache')
  turn.reply.set('Connection', 'keep-alive')
  turn.reply.set('Content-Type', 'text/event-stream')
}

/** POST /v1/responses */
export const responses: Handler = openaiRoute(async (turn) => {
  const fields = await openaiBody(turn, REQUEST)
  const model = text(fields.model)
  const streams = fields.stream === true
  const options: Fields = { temperature: fields.temperature ?? 1, top_p: fields.top_p ?? 1 }
  if (fields.max_output_tokens !== undefined) options.num_predict = fields.max_output_tokens
  const format = fieldsOf(fieldsOf(fields.text).format)
  const ask: Ask = {
    ...newAsk(model, 'chat'),
    messages: messagesOf(fields),
    tools: nativeTools(fields),
    think: thinkOf(text(fieldsOf(fields.reasoning).effort), ['minimal']),
    format: formatFrom({ type: format.type, json_schema: { schema: format.schema } }),
    options,
  }
  if (streams) eventHeaders(turn)
  if (model === '') return refuse.openai(turn, new ApiError(400, 'model is required'), 'encoded')
  const opened = await openFor(turn, ask)
  if (!opened) return
  const echo: Echo = { fields, id: `resp_${randomInt(999_999)}`, created: Math.floor(Date.now() / 1000), streams }
  const sink = streams ? new EventStream(turn, echo) : wholeSink(turn, echo)
  if (opened.talk) return relay(turn, opened.talk, sink, streams)
  sink.finish({ ...NOTHING })
})

const NOTHING: Metrics = {
  doneReason: 'stop',
  total_duration: 0,
  load_duration: 0,
  prompt_eval_count: 0,
  prompt_eval_duration: 0,
  eval_count: 0,
  eval_duration: 0,
}

import { randomBytes } from 'node:crypto'
import type { Handler, Turn } from './context.ts'
import { type Ask, capabilitiesOf, newAsk, newCallId, open, refuseCloud, toolsOf } from './core.ts'
import { decode } from './decode.ts'
import type { Metrics } from './engine.ts'
import { ApiError } from './errors.ts'
import { goJson } from './gojson.ts'
import { refuse } from './refuse.ts'
import { relay, type Sink } from './relay.ts'
import { eventHeaders } from './responses.ts'
import { ANY, BOOL, type Fields, FLOAT, fieldsOf, INT, list, listOf, STRING, struct, text } from './shape.ts'
import type { ChatMessage } from './templates.ts'
import type { Piece } from './voices.ts'
import { bodyFor } from './zstd.ts'

const TOOL = struct('anthropic.Tool', { type: STRING, name: STRING, description: STRING, input_schema: ANY })
const REQUEST = struct('anthropic.MessagesRequest', {
  model: STRING,
  max_tokens: INT,
  messages: list(struct('anthropic.MessageParam', { role: STRING, content: ANY }), '[]anthropic.MessageParam'),
  system: ANY,
  stream: BOOL,
  temperature: FLOAT,
  top_p: FLOAT,
  top_k: INT,
  stop_sequences: list(STRING, '[]string'),
  tools: list(TOOL, '[]anthropic.Tool'),
  tool_choice: ANY,
  thinking: struct('anthropic.ThinkingConfig', { type: STRING, budget_tokens: INT }),
  metadata: ANY,
})

const textOf = (content: unknown): string =>
  typeof content === 'string'
    ? content
    : listOf(content)
        .map((block) => text(fieldsOf(block).text))
        .join('')

interface Blocks {
  said: string
  thinking: string
  calls: { name: string; arguments: unknown }[]
  results: ChatMessage[]
}

const sortBlock = (all: Blocks, value: unknown): Blocks => {
  const block = fieldsOf(value)
  if (block.type === 'text') all.said += text(block.text)
  if (block.type === 'image') all.said += '[img-0]'
  if (block.type === 'thinking') all.thinking += text(block.thinking)
  if (block.type === 'tool_use') all.calls.push({ name: text(block.name), arguments: block.input ?? {} })
  if (block.type === 'tool_result') all.results.push({ role: 'tool', content: textOf(block.content) })
  return all
}

const messagesFrom = (value: unknown): ChatMessage[] => {
  const { role, content } = fieldsOf(value)
  if (typeof content === 'string') return [{ role: text(role), content }]
  const { said, thinking, calls, results } = listOf(content).reduce(sortBlock, {
    said: '',
    thinking: '',
    calls: [],
    results: [],
  } as Blocks)
  const own = said || thinking || calls.length
  const message = {
    role: text(role),
    content: said,
    ...(thinking ? { thinking } : {}),
    ...(calls.length ? { toolCalls: calls } : {}),
  }
  return [...(own ? [message] : []), ...results]
}

const isSearch = (tool: Fields): boolean => text(tool.type).startsWith('web_search')
const SEARCH_SCHEMA = {
  type: 'object',
  required: ['query'],
  properties: { query: { type: 'string', description: 'The search query to look up on the web' } },
}

const nativeTools = (fields: Fields): unknown[] =>
  toolsOf(
    listOf(fields.tools)
      .map(fieldsOf)
      .map((tool) =>
        isSearch(tool)
          ? {
              type: 'function',
              function: {
                name: 'web_search',
                description:
                  'Search the web for current information. Use this to find up-to-date information about any topic.',
                parameters: SEARCH_SCHEMA,
              },
            }
          : {
              type: 'function',
              function: { name: tool.name, description: tool.description, parameters: tool.input_schema },
            },
      ),
  )

/** The estimate of message_start: a quarter of the characters of roles, texts and tools. */
const estimate = (fields: Fields): number => {
  const said = listOf(fields.messages).map((m) => text(fieldsOf(m).role).length + textOf(fieldsOf(m).content).length)
  const tools = listOf(fields.tools).map((tool) => {
    const { name, description, input_schema } = fieldsOf(tool)
    return text(name).length + text(description).length + (input_schema ? JSON.stringify(input_schema).length : 0)
  })
  return Math.floor([...said, ...tools, textOf(fields.system).length].reduce((sum, n) => sum + n, 0) / 4)
}

const stopReason = (metrics: Metrics, calls: number): string =>
  calls > 0 ? 'tool_use' : metrics.doneReason === 'length' ? 'max_tokens' : 'end_turn'
const messageId = (): string => `msg_${randomBytes(12).toString('hex')}`

const wholeSink = (turn: Turn, model: string): Sink => {
  const calls: Fields[] = []
  let said = ''
  let thinking = ''
  return {
    piece: (piece) => {
      if (piece.call)
        calls.push({ type: 'tool_use', id: newCallId(), name: piece.call.name, input: piece.call.arguments })
      if (piece.kind === 'content') said += piece.text
      if (piece.kind === 'thinking') thinking += piece.text
    },
    finish: (m) => {
      const content = [
        ...(thinking ? [{ type: 'thinking', thinking }] : []),
        ...(said ? [{ type: 'text', text: said }] : []),
        ...calls,
      ]
      turn.reply.encode(200, {
        id: messageId(),
        type: 'message',
        role: 'assistant',
        model,
        content: content.length ? content : null,
        stop_reason: stopReason(m, calls.length),
        usage: { input_tokens: m.prompt_eval_count, output_tokens: m.eval_count },
      })
    },
    broke: () => undefined,
    refuse: (error) => refuse.anthropic(turn, error, 'encoded'),
  }
}

/** The events of a streamed message, one HTTP chunk each. */
class EventStream implements Sink {
  private readonly turn: Turn
  private readonly model: string
  private readonly estimated: number
  private block = -1
  private open: 'none' | 'thinking' | 'text' = 'none'
  private started = false
  private calls = 0

  constructor(turn: Turn, model: string, estimated: number) {
    this.turn = turn
    this.model = model
    this.estimated = estimated
  }

  private emit(type: string, fields: Fields): void {
    this.turn.reply.write(`event: ${type}\ndata: ${goJson({ type, ...fields })}\n\n`)
    void this.turn.reply.flush()
  }

  private start(): void {
    if (this.started) return
    this.started = true
    const usage = { input_tokens: this.estimated, output_tokens: 0 }
    this.emit('message_start', {
      message: { id: messageId(), type: 'message', role: 'assistant', model: this.model, content: [], usage },
    })
  }

  private close(): void {
    if (this.open !== 'none') this.emit('content_block_stop', { index: this.block })
    this.open = 'none'
  }

  private begin(content_block: Fields): void {
    this.emit('content_block_start', { index: ++this.block, content_block })
  }

  private delta(delta: Fields): void {
    this.emit('content_block_delta', { index: this.block, delta })
  }

  piece(piece: Piece): void {
    this.start()
    if (piece.call) this.call(piece.call.name, piece.call.arguments)
    else this.say(piece)
  }

  private say(piece: Piece): void {
    const kind = piece.kind === 'thinking' ? 'thinking' : 'text'
    if (this.open !== kind) {
      this.close()
      this.begin({ type: kind, [kind]: '' })
      this.open = kind
    }
    this.delta({ type: `${kind}_delta`, [kind]: piece.text })
  }

  private call(name: string, input: Fields): void {
    this.close()
    this.calls++
    this.begin({ type: 'tool_use', id: newCallId(), name, input: {} })
    this.delta({ type: 'input_json_delta', partial_json: goJson(input) })
    this.emit('content_block_stop', { index: this.block })
  }

  finish(m: Metrics): void {
    this.start()
    this.close()
    const usage = { input_tokens: m.prompt_eval_count, output_tokens: m.eval_count }
    this.emit('message_delta', { delta: { stop_reason: stopReason(m, this.calls) }, usage })
    this.emit('message_stop', {})
  }

  /** Nothing of an error shows after the first token. */
  broke(): void {}

  refuse(error: ApiError): void {
    refuse.anthropic(this.turn, error, 'encoded')
  }
}

const invalid = (fields: Fields): string | undefined => {
  if (text(fields.model) === '') return 'model is required'
  if (Number(fields.max_tokens ?? 0) <= 0) return 'max_tokens is required and must be positive'
  return listOf(fields.messages).length === 0 ? 'messages is required' : undefined
}

const askFrom = (turn: Turn, fields: Fields): Ask => {
  const model = text(fields.model)
  const system = textOf(fields.system)
  const type = text(fieldsOf(fields.thinking).type)
  const found = turn.server.store.find(model)
  const thinks = found !== undefined && capabilitiesOf(found).includes('thinking')
  const wanted = type === 'enabled' || type === 'adaptive' ? true : type === 'disabled' ? false : undefined
  return {
    ...newAsk(model, 'chat'),
    messages: [
      ...(system ? [{ role: 'system', content: system }] : []),
      ...listOf(fields.messages).flatMap(messagesFrom),
    ],
    tools: nativeTools(fields),
    think: thinks ? wanted : undefined,
    options: { num_predict: fields.max_tokens, ...(fields.stop_sequences ? { stop: fields.stop_sequences } : {}) },
  }
}

const refuseEarly = (turn: Turn, message: string): void => refuse.anthropic(turn, new ApiError(400, message), 'plain')

/** POST /v1/messages */
export const messages: Handler = async (turn) => {
  const bound = decode(await bodyFor(turn), REQUEST)
  if ('refused' in bound) return refuseEarly(turn, bound.refused)
  const { fields } = bound
  const model = text(fields.model)
  refuseCloud(turn, model)
  const wrong = invalid(fields)
  if (wrong) return refuseEarly(turn, wrong)
  const streams = fields.stream === true
  if (streams) eventHeaders(turn)
  try {
    const { talk } = await open(turn, askFrom(turn, fields))
    if (talk)
      await relay(
        turn,
        talk,
        streams ? new EventStream(turn, model, estimate(fields)) : wholeSink(turn, model),
        streams,
      )
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    refuse.anthropic(turn, error, 'encoded')
  }
}

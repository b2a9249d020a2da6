import { randomInt } from 'node:crypto'
import type { Turn } from './context.ts'
import { generate, type Metrics } from './engine.ts'
import { ApiError } from './errors.ts'
import { readFaults } from './faults.ts'
import { goJson, type Node, plain } from './gojson.ts'
import { isCloudName, parseName } from './names.ts'
import { isToyWeights } from './registry.ts'
import { type Fields, fieldsOf, listOf, text } from './shape.ts'
import type { Model } from './store.ts'
import { type ChatMessage, type Prompt, render } from './templates.ts'
import { tokenize } from './tokens.ts'
import { type Piece, piecesOf } from './voices.ts'

/** A generation as any family of routes asks for it. */
export interface Ask {
  model: string
  verb: 'chat' | 'generate'
  messages: ChatMessage[]
  prompt: string
  suffix: string
  system: string
  raw: boolean
  tools: unknown[]
  format: Node | undefined
  think: boolean | undefined
  options: Fields
  keepAliveMs: number | undefined
  truncate: boolean
  shift: boolean
}

/** Running talk: pieces, then metrics; `raw` is prompt and answer as the model saw them. */
export interface Talk {
  model: Model
  thinks: boolean
  prompt: string
  raw: string[]
  events: AsyncGenerator<Piece, Metrics>
}

export const newAsk = (model: string, verb: Ask['verb']): Ask => ({
  model,
  verb,
  messages: [],
  prompt: '',
  suffix: '',
  system: '',
  raw: false,
  tools: [],
  format: undefined,
  think: undefined,
  options: {},
  keepAliveMs: undefined,
  truncate: true,
  shift: true,
})

/** What a model can do, read off its template as Ollama does. */
export const capabilitiesOf = (model: Model): string[] => {
  if (model.config.model_family.endsWith('bert')) return ['embedding']
  const has = (word: string, name: string) => (model.template.includes(word) ? [name] : [])
  return ['completion', ...has('.Tools', 'tools'), ...has('.Suffix', 'insert'), ...has('.Thinking', 'thinking')]
}

export const CLOUD_OFF = 'ollama cloud is disabled: remote model is unavailable'

/** Refuses names of cloud models: 403 when the cloud is off, else what an unreachable cloud gives. */
export const refuseCloud = (turn: Turn, model: string, off = CLOUD_OFF): void => {
  if (!isCloudName(model)) return
  if (turn.server.settings.noCloud) throw new ApiError(403, off)
  throw new ApiError(502, 'Post "https://ollama.com:443/api/chat": dial tcp: lookup ollama.com: no such host')
}

export const findModel = (turn: Turn, written: string): Model => {
  const model = turn.server.store.find(written)
  if (!model) throw new ApiError(404, `model '${written}' not found`)
  return model
}

const requireAbilities = (ask: Ask, model: Model): void => {
  const can = capabilitiesOf(model)
  if (!can.includes('completion') || !turnable(model))
    throw new ApiError(400, `${goJson(ask.model)} does not support ${ask.verb}`)
  if (ask.think && !can.includes('thinking')) throw new ApiError(400, `${goJson(ask.model)} does not support thinking`)
  if (ask.tools.length > 0 && !can.includes('tools')) throw new ApiError(400, `${model.full} does not support tools`)
  if (ask.suffix && !can.includes('insert')) throw new ApiError(400, `${model.full} does not support insert`)
}

const turnable = (model: Model): boolean => model.weights !== '' && model.config.model_family !== ''

const NUMBERS = [
  'temperature',
  'top_p',
  'min_p',
  'typical_p',
  'repeat_penalty',
  'presence_penalty',
  'frequency_penalty',
]
const INTEGERS = [
  'num_ctx',
  'num_predict',
  'num_batch',
  'num_gpu',
  'num_thread',
  'num_keep',
  'seed',
  'top_k',
  'repeat_last_n',
]
const checkOptions = (options: Fields): void => {
  for (const [key, value] of Object.entries(options)) {
    const want = NUMBERS.includes(key) ? 'float32' : INTEGERS.includes(key) ? 'integer' : key === 'stop' ? 'array' : ''
    const right = want === 'array' ? Array.isArray(value) : want === '' || typeof value === 'number'
    if (!right && value !== null) throw new ApiError(500, `option ${goJson(key)} must be of type ${want}`)
  }
}

/** `json`, a schema, or nothing; anything else fails only when the model is about to speak. */
const formatOf = (node: Node | undefined): unknown => {
  const value = node ? plain(node) : undefined
  if (value === undefined || value === null || value === '') return undefined
  if (value === 'json' || (typeof value === 'object' && !Array.isArray(value))) return value
  throw new ApiError(
    500,
    `invalid format: ${goJson(JSON.stringify(value))}; expected "json" or a valid JSON Schema object`,
  )
}

const withSystem = (ask: Ask, model: Model): ChatMessage[] => {
  if (ask.verb === 'chat') {
    const first = ask.messages[0]?.role === 'system'
    return first || !model.system ? ask.messages : [{ role: 'system', content: model.system }, ...ask.messages]
  }
  const system = ask.system || model.system
  return [...(system ? [{ role: 'system', content: system }] : []), { role: 'user', content: ask.prompt }]
}

const promptOf = (ask: Ask, model: Model): Prompt => {
  if (ask.raw) return { text: ask.prompt, voice: 'story' }
  const { prompt, suffix, tools, think } = ask
  return render(model.template, { messages: withSystem(ask, model), prompt, suffix, tools, think }, goJson)
}

const callId = (): string => `call_${Array.from({ length: 8 }, () => randomInt(36).toString(36)).join('')}`
/** A new id for a tool call, as all families show it. */
export const newCallId = callId

const lastUser = (ask: Ask): string => ask.prompt || (ask.messages.findLast((m) => m.role === 'user')?.content ?? '')

export const isLoadOnly = (ask: Ask): boolean =>
  ask.verb === 'chat' ? ask.messages.length === 0 : ask.prompt === '' && ask.suffix === ''

/** Refuses, loads or unloads; `talk` is there when something is to be said. Throws ApiError before the first token. */
export const open = async (turn: Turn, ask: Ask): Promise<{ talk?: Talk; done?: 'load' | 'unload' }> => {
  const { scheduler, box } = turn.server
  const fault = readFaults(box).http500
  if (fault !== undefined) throw new ApiError(500, fault)
  refuseCloud(turn, ask.model)
  if (ask.model !== '' && !parseName(ask.model))
    throw new ApiError(ask.verb === 'chat' ? 400 : 404, `model '${ask.model}' not found`)
  const model = findModel(turn, ask.model)
  if (isLoadOnly(ask) && ask.keepAliveMs === 0) {
    const runner = scheduler.runners.get(model.weights)
    if (runner) scheduler.keep(runner, 0)
    return { done: 'unload' }
  }
  requireAbilities(ask, model)
  checkOptions(ask.options)
  const options = { ...model.parameters, ...ask.options }
  const context = scheduler.contextFor(model, Number(options.num_ctx) || undefined)
  const runner = await scheduler.acquire(model, context, turn.request.signal)
  if (isLoadOnly(ask)) {
    scheduler.release(runner, ask.keepAliveMs)
    return { done: 'load' }
  }
  try {
    const talk = begin(turn, ask, model, context, options)
    return {
      talk: {
        ...talk,
        events: releasing(generate(scheduler, box, talk.job, runner), () => scheduler.release(runner, ask.keepAliveMs)),
      },
    }
  } catch (error) {
    scheduler.release(runner, ask.keepAliveMs)
    throw error
  }
}

const begin = (turn: Turn, ask: Ask, model: Model, context: number, options: Fields) => {
  const prompt = promptOf(ask, model)
  const count = tokenize(prompt.text).length
  if (count > context && !ask.truncate) throw new ApiError(400, 'the input length exceeds the context length')
  const raw: string[] = []
  const toy = isToyWeights(model.weights)
  const speech = { voice: prompt.voice, toy, model: model.short, tools: ask.tools, lastUser: lastUser(ask) }
  const job = {
    model,
    context,
    promptTokens: Math.min(count, context),
    pieces: lazily(() => piecesOf({ ...speech, format: formatOf(ask.format) })),
    limit: Number(options.num_predict ?? 0),
    stops: [options.stop].flat().filter((stop) => typeof stop === 'string'),
    shift: ask.shift,
    keepAliveMs: ask.keepAliveMs,
    signal: turn.request.signal,
    raw,
  }
  return { model, thinks: capabilitiesOf(model).includes('thinking'), prompt: prompt.text, raw, job }
}

/** A bad format is found by the model process, after the checks and inside the stream. */
function* lazily(make: () => Iterable<Piece>): Generator<Piece> {
  yield* make()
}

async function* releasing(events: AsyncGenerator<Piece, Metrics>, release: () => void): AsyncGenerator<Piece, Metrics> {
  try {
    return yield* events
  } finally {
    release()
  }
}

/** Messages of a native chat request. */
export const messagesOf = (value: unknown): ChatMessage[] =>
  listOf(value).map((item) => {
    const fields = fieldsOf(item)
    const images = listOf(fields.images).map((_, at) => `[img-${at}]`)
    const calls = listOf(fields.tool_calls).map((call) => fieldsOf(fieldsOf(call).function))
    return {
      role: text(fields.role),
      content: images.join('') + text(fields.content),
      ...(text(fields.thinking) ? { thinking: text(fields.thinking) } : {}),
      ...(calls.length ? { toolCalls: calls.map((c) => ({ name: text(c.name), arguments: c.arguments ?? {} })) } : {}),
    }
  })

/** Tools in the order of fields in which Ollama prints them into a prompt. */
export const toolsOf = (value: unknown): unknown[] =>
  listOf(value).map((item) => {
    const fn = fieldsOf(fieldsOf(item).function)
    const parameters = fieldsOf(fn.parameters)
    const { type, required, properties } = parameters
    return {
      type: text(fieldsOf(item).type),
      function: {
        name: text(fn.name),
        ...(fn.description ? { description: fn.description } : {}),
        parameters: { type: type ?? '', ...(required ? { required } : {}), properties: properties ?? null },
      },
    }
  })

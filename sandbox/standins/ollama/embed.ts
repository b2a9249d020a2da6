import { createHash } from 'node:crypto'
import type { Handler, Turn } from './context.ts'
import { refuseCloud } from './core.ts'
import { EMBED, EMBEDDINGS } from './decode.ts'
import { ApiError } from './errors.ts'
import { readFaults } from './faults.ts'
import { GoJsonError } from './gojson.ts'
import { embeddingLength } from './modelinfo.ts'
import { nativeBody } from './native.ts'
import { openaiBody, openaiRoute } from './openai.ts'
import { refuse } from './refuse.ts'
import { ANY, INT, STRING, struct, text } from './shape.ts'
import type { Model } from './store.ts'
import { tokenize } from './tokens.ts'

interface Embedded {
  rows: number[][]
  tokens: number
  loadMs: number
}

/** A unit vector that depends on the text alone: the same here and everywhere. */
const vectorOf = (input: string, width: number): number[] => {
  const raw: number[] = []
  for (let i = 0; raw.length < width; i++) {
    const bytes = createHash('sha256').update(`${i}:${input}`).digest()
    for (let at = 0; at < 32 && raw.length < width; at += 2) raw.push(bytes.readUInt16BE(at) / 32768 - 1)
  }
  const norm = Math.hypot(...raw)
  return raw.map((value) => Math.fround(value / norm))
}

const unit = (row: number[], width: number): number[] => {
  const cut = row.slice(0, width)
  const norm = Math.hypot(...cut)
  return cut.map((value) => Math.fround(value / norm))
}

/** A float32 with as few digits as say it, as Go prints one. */
const short = (value: number): number => {
  for (let digits = 6; digits < 10; digits++) {
    const tried = Number(value.toPrecision(digits))
    if (Math.fround(tried) === value) return tried
  }
  return value
}

const tokensIn = (model: Model, input: string): number =>
  model.config.model_family.endsWith('bert') ? (input.match(/\S+/g)?.length ?? 0) + 2 : tokenize(input).length

interface Want {
  model: string
  inputs: string[]
  truncate: boolean
  dimensions: number
  keepAliveMs: number | undefined
}

const embedAll = async (turn: Turn, want: Want): Promise<Embedded> => {
  const { scheduler, store, box } = turn.server
  const fault = readFaults(box).http500
  if (fault !== undefined) throw new ApiError(500, fault)
  refuseCloud(turn, want.model)
  const model = store.find(want.model)
  if (!model) throw new ApiError(404, `model ${JSON.stringify(want.model)} not found, try pulling it first`)
  const context = scheduler.contextFor(model, undefined)
  const runner = await scheduler.acquire(model, context, turn.request.signal)
  try {
    const counts = want.inputs.map((input) => tokensIn(model, input))
    if (!want.truncate && counts.some((count) => count > context))
      throw new ApiError(400, 'the input length exceeds the context length')
    const width = embeddingLength(model)
    const rows = want.inputs
      .map((input) => vectorOf(input, width))
      .map((row) => (want.dimensions ? unit(row, want.dimensions) : row))
    return { rows, tokens: counts.reduce((sum, count) => sum + Math.min(count, context), 0), loadMs: runner.loadedMs }
  } finally {
    scheduler.release(runner, want.keepAliveMs)
  }
}

const inputsOf = (value: unknown): string[] => {
  if (value === undefined || value === null || value === '') return []
  if (typeof value === 'string') return [value]
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value
  throw new ApiError(400, 'invalid input type')
}

/** POST /api/embed */
export const embed: Handler = async (turn) => {
  const fields = await nativeBody(turn, EMBED)
  const model = text(fields.model)
  const inputs = inputsOf(fields.input)
  const dimensions = Number(fields.dimensions ?? 0)
  const keepAliveMs = typeof fields.keep_alive === 'number' ? fields.keep_alive : undefined
  const { rows, tokens, loadMs } = await embedAll(turn, {
    model,
    inputs,
    truncate: fields.truncate !== false,
    dimensions,
    keepAliveMs,
  })
  if (inputs.length === 0) return turn.reply.json(200, { model, embeddings: [] })
  const load_duration = loadMs * 1_000_000 + 1_000_000
  turn.reply.json(200, {
    model,
    embeddings: rows.map((row) => row.map(short)),
    total_duration: load_duration + 700_000,
    load_duration,
    prompt_eval_count: tokens,
  })
}

/** POST /api/embeddings: one text, every digit of the numbers. */
export const embeddings: Handler = async (turn) => {
  const fields = await nativeBody(turn, EMBEDDINGS)
  const inputs = inputsOf(fields.prompt)
  const { rows } = await embedAll(turn, {
    model: text(fields.model),
    inputs,
    truncate: true,
    dimensions: 0,
    keepAliveMs: undefined,
  })
  turn.reply.json(200, { embedding: rows[0] ?? [] })
}

const V1 = struct('openai.EmbedRequest', { input: ANY, model: STRING, dimensions: INT, encoding_format: STRING })

const base64Of = (row: number[]): string => {
  const bytes = Buffer.alloc(row.length * 4)
  for (const [at, value] of row.entries()) bytes.writeFloatLE(value, at * 4)
  return bytes.toString('base64')
}

/** POST /v1/embeddings: an empty text is embedded, not refused. */
export const v1Embeddings: Handler = openaiRoute(async (turn) => {
  const fields = await openaiBody(turn, V1)
  const format = text(fields.encoding_format)
  if (fields.input === undefined || (Array.isArray(fields.input) && fields.input.length === 0))
    throw new GoJsonError('invalid input')
  if (format !== '' && format !== 'float' && format !== 'base64') {
    throw new GoJsonError(`Invalid value for 'encoding_format' = ${format}. Supported values: ['float', 'base64'].`)
  }
  const model = text(fields.model)
  try {
    const inputs = fields.input === '' ? [''] : inputsOf(fields.input)
    const { rows, tokens } = await embedAll(turn, {
      model,
      inputs,
      truncate: true,
      dimensions: Number(fields.dimensions ?? 0),
      keepAliveMs: undefined,
    })
    const data = rows.map((row, index) => ({
      object: 'embedding',
      embedding: format === 'base64' ? base64Of(row) : row.map(short),
      index,
    }))
    turn.reply.encode(200, { object: 'list', data, model, usage: { prompt_tokens: tokens, total_tokens: tokens } })
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    refuse.openai(turn, error, 'encoded')
  }
})

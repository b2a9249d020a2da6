import { createHash } from 'node:crypto'
import type { Handler, Turn } from './context.ts'
import { COPY, CREATE, DELETE, PULL } from './decode.ts'
import { ApiError } from './errors.ts'
import { goJson } from './gojson.ts'
import { parseName } from './names.ts'
import { nativeBody } from './native.ts'
import { openaiRoute } from './openai.ts'
import { refuse } from './refuse.ts'
import { fieldsOf, text } from './shape.ts'
import type { Model, NewModel } from './store.ts'

/** Lines of a long job: each at once in a chunk of its own, or only the last one. */
export const progress = (turn: Turn, streams: boolean) => {
  if (streams) turn.reply.set('Content-Type', 'application/x-ndjson')
  return {
    line: async (value: unknown): Promise<void> => {
      if (!streams) return
      turn.reply.write(`${goJson(value)}\n`)
      await turn.reply.flush()
    },
    done: async (): Promise<void> => {
      if (!streams) return turn.reply.text(200, 'application/json', goJson({ status: 'success' }))
      turn.reply.write(`${goJson({ status: 'success' })}\n`)
      await turn.reply.flush()
    },
    /** The error as last line of a 200, or as a 500 when lines were not asked for. */
    failed: async (message: string): Promise<void> => {
      if (!streams) return turn.reply.text(500, 'application/json', goJson({ error: message }))
      turn.reply.write(`${goJson({ error: message })}\n`)
      await turn.reply.flush()
    },
  }
}

/** What Go's dialler says without a network. */
export const UNREACHABLE =
  'dial tcp: lookup registry.ollama.ai on 192.0.2.53:53: dial udp 192.0.2.53:53: connect: network is unreachable'

/** POST /api/copy */
export const copy: Handler = async (turn) => {
  const fields = await nativeBody(turn, COPY)
  const source = text(fields.source)
  const to = parseName(text(fields.destination))
  if (!parseName(source)) throw new ApiError(400, `source ${goJson(source)} is invalid`)
  if (!to) throw new ApiError(400, `destination ${goJson(text(fields.destination))} is invalid`)
  const model = turn.server.store.find(source)
  if (!model) throw new ApiError(404, `model ${goJson(source)} not found`)
  turn.server.store.copy(model, to)
}

/** DELETE /api/delete */
export const remove: Handler = async (turn) => {
  const fields = await nativeBody(turn, DELETE)
  const asked = text(fields.model) || text(fields.name)
  if (!parseName(asked)) throw new ApiError(400, `name ${goJson(asked)} is invalid`)
  const model = turn.server.store.find(asked)
  if (!model) throw new ApiError(404, `model '${asked}' not found`)
  turn.server.store.remove(model)
}

const isDigest = (value: string): boolean => /^sha256[:-][0-9a-f]{64}$/.test(value)

/** HEAD /api/blobs/{digest} */
export const blobHead: Handler = async ({ reply, param, server }) => {
  if (!isDigest(param)) return reply.json(400, { error: 'invalid digest format' })
  if (server.store.hasBlob(param)) return
  reply.json(404, { error: `blob ${goJson(param)} not found` })
}

/** POST /api/blobs/{digest}: what does not match is refused, but kept, as the real server keeps it. */
export const blobPost: Handler = async ({ reply, param, server, request }) => {
  const body = await request.body.read()
  if (!isDigest(param)) return reply.json(400, { error: 'invalid digest format' })
  if (server.store.hasBlob(param)) return
  const got = `sha256:${createHash('sha256').update(body).digest('hex')}`
  server.store.writeBlob(body)
  if (got !== param) return reply.json(400, { error: `digest mismatch, expected ${goJson(param)}, got ${goJson(got)}` })
  reply.status = server.version === '0.24.0' ? 200 : 201
}

const fromModel = (base: Model, fields: Record<string, unknown>): NewModel => ({
  config: base.config,
  weights: { digest: base.weights, size: base.size, content: '' },
  template: text(fields.template) || base.template,
  system: text(fields.system) || base.system,
  license: base.license,
  parameters: { ...base.parameters, ...fieldsOf(fields.parameters) },
})

const fromBlob = (digest: string, fields: Record<string, unknown>): NewModel => ({
  config: {
    model_format: 'gguf',
    model_family: 'llama',
    model_families: ['llama'],
    model_type: '841K',
    file_type: 'F16',
  },
  weights: { digest, size: 1_693_000, content: '' },
  template: text(fields.template),
})

/** Ends a create that was refused before it began: a chunked 400. */
const refuseCreate = (turn: Turn, message: string): Promise<void> => {
  turn.reply.text(400, 'application/json', goJson({ error: message }))
  return turn.reply.flush()
}

const isBadTemplate = (template: string): boolean => /\{\{[^}]*\}(?!\})/.test(template)

/** POST /api/create, from a model or a blob that is there; other sources fail as they do offline. */
export const create: Handler = async (turn) => {
  const fields = await nativeBody(turn, CREATE)
  const name = parseName(text(fields.model) || text(fields.name))
  if (!name) throw new ApiError(400, 'invalid model name')
  const from = text(fields.from)
  const file = Object.values(fieldsOf(fields.files)).map(text)[0]
  if (!from && !file) return refuseCreate(turn, "neither 'from' or 'files' was specified")
  if (isBadTemplate(text(fields.template)))
    return refuseCreate(turn, 'template error: template: :1: unexpected "}" in if')
  const lines = progress(turn, fields.stream !== false)
  const base = from ? turn.server.store.find(from) : undefined
  if (from && !base) {
    await lines.line({ status: 'pulling manifest' })
    const url = `https://registry.ollama.ai/v2/library/${from}/manifests/latest`
    return lines.failed(`pull model manifest: Get "${url}": ${UNREACHABLE}`)
  }
  if (file) await lines.line({ status: 'parsing GGUF' })
  if (file && !turn.server.store.hasBlob(file)) {
    return lines.failed(`open ${turn.server.store.blobPath(file)}: no such file or directory`)
  }
  await lines.line({ status: `using existing layer ${base?.weights ?? file}` })
  const made = base ? fromModel(base, fields) : fromBlob(file ?? '', fields)
  const layer = createHash('sha256')
    .update(made.template ?? '')
    .digest('hex')
  if (file) await lines.line({ status: `creating new layer sha256:${layer}` })
  turn.server.store.add(name, made)
  await lines.line({ status: 'writing manifest' })
  await lines.done()
}

/** POST /api/push: there is no registry to push to. */
export const push: Handler = async (turn) => {
  const fields = await nativeBody(turn, PULL)
  const name = parseName(text(fields.model) || text(fields.name))
  if (!name) throw new ApiError(400, 'invalid model name')
  const lines = progress(turn, fields.stream !== false)
  await lines.line({ status: 'retrieving manifest' })
  const model = turn.server.store.find(text(fields.model) || text(fields.name))
  if (model)
    return lines.failed(
      `Head "https://registry.ollama.ai/v2/${name.namespace}/${name.model}/blobs/${model.weights}": ${UNREACHABLE}`,
    )
  await lines.line({ status: "couldn't retrieve manifest" })
  await lines.failed(`open ${turn.server.store.manifestPath(name)}: no such file or directory`)
}

export const me: Handler = async ({ reply }) => reply.json(503, { error: 'account unavailable' })
export const signout: Handler = async ({ reply }) => reply.json(500, { error: 'there was an error signing out' })

const cloudOnly =
  (what: string): Handler =>
  async ({ reply, server }) =>
    server.settings.noCloud
      ? reply.json(403, { error: `ollama cloud is disabled: ${what} is unavailable` })
      : reply.json(502, { error: 'dial tcp: lookup ollama.com: no such host' })
export const webSearch = cloudOnly('web search')
export const webFetch = cloudOnly('web fetch')

const suggestion = (model: string, description: string, context_length: number, max_output_tokens: number) => ({
  model,
  description,
  context_length,
  max_output_tokens,
})

/** GET /api/experimental/model-recommendations: the list that 0.24.0 carries. */
export const recommendations: Handler = async ({ reply }) =>
  reply.json(200, {
    recommendations: [
      suggestion(
        'kimi-k2.6:cloud',
        'State-of-the-art coding, long-horizon execution, and multimodal agent swarm capability',
        262144,
        262144,
      ),
      suggestion('glm-5.1:cloud', 'Reasoning and code generation', 202752, 131072),
      suggestion('qwen3.5:cloud', 'Reasoning, coding, and agentic tool use with vision', 262144, 32768),
      suggestion('minimax-m2.7:cloud', 'Fast, efficient coding and real-world productivity', 204800, 128000),
      { model: 'gemma4', description: 'Reasoning and code generation locally', vram_bytes: 12000000000 },
      { model: 'qwen3.5', description: 'Reasoning, coding, and visual understanding locally', vram_bytes: 14000000000 },
    ],
  })

/** POST /v1/images/generations on a text model: 200 with nothing in it. */
export const imageGenerations: Handler = async ({ reply }) => {
  reply.set('Content-Type', 'application/x-ndjson')
  await reply.flush()
}

const refusedAs = (message: string): Handler =>
  openaiRoute(async (turn) => refuse.openai(turn, new ApiError(400, message), 'plain'))
export const imageEdits = refusedAs('image is required')
export const transcriptions = refusedAs(
  "failed to parse multipart form: request Content-Type isn't multipart/form-data",
)

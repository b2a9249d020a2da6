import { GoJsonError, goJson, type Node, parseFirst, plain } from './gojson.ts'
import { parseDuration } from './settings.ts'
import { ANY, BOOL, bind, type Fields, list, MAP, NODE, type Shape, STRING, type Struct, struct } from './shape.ts'

/** Bodies as Ollama's API structs take them; the names show in error texts. */
const keepAlive = (node: Node): number => {
  if (node.type === 'number') return seconds(Number(node.text))
  if (node.type !== 'string')
    throw new GoJsonError(`json: cannot unmarshal ${node.type} into Go value of type api.Duration`)
  const ms = parseDuration(node.text)
  if (ms === undefined) throw new GoJsonError(`time: invalid duration ${goJson(node.text)}`)
  return ms < 0 ? Number.POSITIVE_INFINITY : ms
}
const seconds = (count: number): number => (count < 0 ? Number.POSITIVE_INFINITY : count * 1000)

const LEVELS = ['high', 'medium', 'low', 'max']
const think = (node: Node): boolean => {
  if (node.type === 'bool') return node.yes
  const value = plain(node)
  if (typeof value === 'string' && LEVELS.includes(value)) return true
  if (typeof value !== 'string')
    throw new GoJsonError('think must be a boolean or string ("high", "medium", "low", "max", true, or false)')
  throw new GoJsonError(
    `invalid think value: ${goJson(value)} (must be "high", "medium", "low", "max", true, or false)`,
  )
}

const KEEP_ALIVE: Shape = { is: 'make', from: keepAlive }
const THINK: Shape = { is: 'make', from: think }
const TOOL_CALL = struct('api.ToolCall', {
  id: STRING,
  function: struct('api.ToolCallFunction', { name: STRING, arguments: MAP }),
})
const MESSAGE = struct('api.Message', {
  role: STRING,
  content: STRING,
  thinking: STRING,
  images: list(STRING, '[]api.ImageData'),
  tool_calls: list(TOOL_CALL, '[]api.ToolCall'),
  tool_name: STRING,
  tool_call_id: STRING,
})
const COMMON: Record<string, Shape> = {
  model: STRING,
  stream: BOOL,
  format: NODE,
  keep_alive: KEEP_ALIVE,
  options: MAP,
  think: THINK,
  truncate: BOOL,
  shift: BOOL,
}

export const CHAT = struct('api.ChatRequest', {
  ...COMMON,
  messages: list(MESSAGE, '[]api.Message'),
  tools: list(ANY, 'api.Tools'),
})
export const GENERATE = struct('api.GenerateRequest', {
  ...COMMON,
  prompt: STRING,
  suffix: STRING,
  system: STRING,
  template: STRING,
  raw: BOOL,
  context: list(ANY, '[]int'),
  images: list(STRING, '[]api.ImageData'),
})
export const SHOW = struct('api.ShowRequest', {
  model: STRING,
  name: STRING,
  system: STRING,
  template: STRING,
  verbose: BOOL,
  options: MAP,
})
export const EMBED = struct('api.EmbedRequest', {
  model: STRING,
  input: ANY,
  keep_alive: KEEP_ALIVE,
  truncate: BOOL,
  dimensions: { is: 'int' },
  options: MAP,
})
export const EMBEDDINGS = struct('api.EmbeddingRequest', {
  model: STRING,
  prompt: STRING,
  keep_alive: KEEP_ALIVE,
  options: MAP,
})
export const PULL = struct('api.PullRequest', { model: STRING, name: STRING, insecure: BOOL, stream: BOOL })
export const COPY = struct('api.CopyRequest', { source: STRING, destination: STRING })
export const DELETE = struct('api.DeleteRequest', { model: STRING, name: STRING })
export const CREATE = struct('api.CreateRequest', {
  model: STRING,
  name: STRING,
  from: STRING,
  files: MAP,
  template: STRING,
  system: STRING,
  parameters: MAP,
  stream: BOOL,
})

/** A body bound to a struct, or the words in which Go refuses it. */
export const decode = (body: Buffer, shape: Struct): { fields: Fields } | { refused: string } => {
  try {
    return { fields: bind(parseFirst(body), shape) }
  } catch (error) {
    if (error instanceof GoJsonError) return { refused: error.message }
    throw error
  }
}

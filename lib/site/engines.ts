import { type Endpoint, endpoints } from './endpoints.ts'

/** How a kind of engine is spoken to, and what it has. */
export interface EngineKind {
  /** what a person calls it */
  what: string
  /** where it listens unless told otherwise */
  port: number
  /** answers 200 while it can work */
  check: string
  /** how it tells its models and which are loaded */
  lists: 'ollama' | 'openai' | 'llamacpp' | 'lmstudio'
  /** `METHOD /path` of the rows that it serves; absent: all of them */
  rows?: string[]
  /** what it would do with a name that it has not */
  otherName: 'refuses' | 'answers with what it has' | 'downloads it'
  /** takes a request for many answers at once (`n`, `best_of`) for one of each */
  many: boolean
}

const chat = ['POST /v1/chat/completions', 'GET /v1/models', 'GET /v1/models/{model}']
const texts = ['POST /v1/completions']
const vectors = ['POST /v1/embeddings']
const agents = ['POST /v1/responses', 'POST /v1/messages']

/** The engines that a node can be (facts: nodes.md §7, by their documents; vLLM v0.32, llama.cpp 00dd081, LM Studio 0.4, mlx_lm.server 0130d3b). */
export const engineKinds = {
  ollama: { what: 'Ollama', port: 11434, check: '/api/version', lists: 'ollama', otherName: 'refuses', many: false },
  gateway: {
    ...{ what: 'a gateway like this one', port: 11434, check: '/healthz', lists: 'openai' },
    ...{ otherName: 'refuses', many: false },
  },
  vllm: {
    ...{ what: 'vLLM', port: 8000, check: '/health', lists: 'openai', otherName: 'refuses', many: true },
    rows: [...chat, ...texts, ...vectors, ...agents, 'POST /v1/audio/transcriptions'],
  },
  llamacpp: {
    ...{ what: 'llama.cpp', port: 8080, check: '/health', lists: 'llamacpp', many: true },
    ...{ otherName: 'answers with what it has', rows: [...chat, ...texts, ...vectors, ...agents] },
  },
  lmstudio: {
    ...{ what: 'LM Studio', port: 1234, check: '/v1/models', lists: 'lmstudio', many: false },
    ...{ otherName: 'answers with what it has', rows: [...chat, ...texts, ...vectors, ...agents] },
  },
  mlx: {
    ...{ what: 'MLX', port: 8080, check: '/health', lists: 'openai', many: false },
    ...{ otherName: 'downloads it', rows: [...chat, ...texts] },
  },
} as const satisfies Record<string, EngineKind>

export type EngineName = keyof typeof engineKinds

export const engineNames = Object.keys(engineKinds) as EngineName[]

/** The kind of an engine, with what is absent for some. */
export const kindOf = (engine: EngineName): EngineKind => engineKinds[engine]

/** Which kinds serve a row. */
const serving = ({ method, path }: Endpoint): EngineName[] =>
  engineNames.filter((name) => kindOf(name).rows?.includes(`${method} ${path}`) ?? true)

/** Rows that are passed on, by the kinds that serve them: rows of one class go to the same kinds. */
const classes = [
  ...new Set(
    endpoints
      .filter(({ backend }) => backend === 'inference' || backend === 'metadata')
      .map((row) => `${serving(row)}`),
  ),
]

/** The class of a row, as the gateway's maps name it. */
export const classOf = (row: Endpoint): string => `r${classes.indexOf(`${serving(row)}`)}`

/** The classes that a kind serves. */
export const classesOf = (engine: EngineName): string[] =>
  classes.flatMap((kinds, at) => (kinds.split(',').includes(engine) ? [`r${at}`] : []))

export const allClasses: string[] = classes.map((_, at) => `r${at}`)

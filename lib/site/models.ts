import { z } from 'zod'
import { json, Stop } from '../host/command.ts'
import { getAt, type Host, type Look } from '../host/host.ts'
import { didYouMean } from './nearest.ts'

/** Models worth having, with what they take on disk and about as much again of memory (bytes; ollama.com/library). */
export const suggestions: { name: string; bytes: number; what: string; agents?: true }[] = [
  { name: 'qwen3:0.6b', bytes: 0.52e9, what: 'tiny, for trying' },
  { name: 'deepseek-coder:6.7b', bytes: 3.8e9, what: 'small coding model, without tools' },
  { name: 'qwen2.5-coder:7b', bytes: 4.7e9, what: 'small coding model', agents: true },
  { name: 'qwen2.5-coder:14b', bytes: 9.0e9, what: 'coding model', agents: true },
  { name: 'qwen3-coder:30b', bytes: 19e9, what: 'made for coding agents, fast', agents: true },
  { name: 'qwen2.5-coder:32b', bytes: 20e9, what: 'large coding model' },
  { name: 'deepseek-r1:70b', bytes: 43e9, what: 'large reasoning model' },
]

/** Two thirds of the memory can be wired for the GPU (llmfit#754), and the context needs its part. */
export const fits = (bytes: number, memory: number): boolean => bytes * 1.2 < memory * 0.66

/** The best for a coding agent that this memory (bytes) holds with the long context of one; the smallest where it holds none. */
export const bestFor = (memory: number): string =>
  suggestions.filter(({ bytes, agents }) => agents && fits(bytes * 1.33, memory)).at(-1)?.name ?? smallest

/** The smallest one, for `test.ts` on a machine without any. */
export const smallest = suggestions[0]?.name ?? 'qwen3:0.6b'

/** Whether a model is made for code, and whether it makes no text at all, by its name. */
const codes = (name: string): boolean => /cod(e|er|ing)\b|coder|devstral|codestral/i.test(name)
export const embeds = (name: string): boolean => /embed|minilm|\bbge/i.test(name)

/** Which of these models a client is given: one that is wanted before others, and of those one that codes. */
export function forClients(installed: string[], wanted: string[] = []): string | undefined {
  const chats = installed.filter((name) => !embeds(name))
  const settled = chats.filter((name) => wanted.some((one) => sameModel(one, name)))
  const [pool] = [settled, chats, installed].filter((names) => names.length > 0)
  return pool?.find(codes) ?? pool?.[0]
}

const tagList = z.object({
  models: z.array(z.object({ name: z.string(), size: z.number(), modified_at: z.string().optional() })).nullable(),
})

/** Installed models with their sizes in bytes; undefined when Ollama does not answer. */
export async function tags(
  look: Look,
  address: string,
  port: number,
): Promise<{ name: string; size: number }[] | undefined> {
  const answer = await getAt(look, { address, port }, '/api/tags')
  const parsed = tagList.safeParse(json(answer.body))
  return parsed.success ? (parsed.data.models ?? []) : undefined
}

const loaded = z.object({
  models: z
    .array(
      z.object({
        name: z.string(),
        size: z.number(),
        size_vram: z.number().optional(),
        expires_at: z.string().optional(),
      }),
    )
    .nullable(),
})

/** Models in memory, with what of each the GPU holds (bytes); undefined when Ollama does not answer. */
export async function running(
  look: Look,
  address: string,
  port: number,
): Promise<{ name: string; size: number; size_vram?: number }[] | undefined> {
  const answer = await getAt(look, { address, port }, '/api/ps')
  const parsed = loaded.safeParse(json(answer.body))
  return parsed.success ? (parsed.data.models ?? []) : undefined
}

/** One line of `POST /api/pull`; sizes in bytes. */
export interface PullProgress {
  status: string
  digest?: string
  total?: number
  completed?: number
}

/** Downloads a model (Ollama resumes by itself); throws with Ollama's own words when it fails: failure is a last line in a 200. */
export async function pullModel(
  host: Host,
  base: string,
  name: string,
  onProgress: (progress: PullProgress) => void,
): Promise<void> {
  let failure: string | undefined
  let last = ''
  const status = await host.post(`${base}/api/pull`, { model: name }, (line) => {
    const said = (json(line) ?? {}) as PullProgress & { error?: string }
    if (said.error) failure = said.error
    last = said.status ?? last
    if (said.status) onProgress(said)
  })
  if (failure !== undefined) {
    const offline = /no such host|network is unreachable|dial tcp/i.test(failure)
    throw new Stop(offline ? 3 : 1, `${name} could not be downloaded: ${failure}${unknown(name, failure)}`)
  }
  if (status !== 200 || last !== 'success')
    throw new Stop(
      1,
      `${name} could not be downloaded: the answer (${status}) ended with "${last}"; run it again, it goes on where it stopped.`,
    )
}

/** What helps where the registry knows no such model. */
function unknown(name: string, failure: string): string {
  if (!/file does not exist|not found/i.test(failure)) return ''
  const known = suggestions.map((model) => model.name)
  return `; no model is called that, see https://ollama.com/library for those there are${didYouMean(name, known)}`
}

/** Loads a model by a request without a prompt; one for embeddings by one without a text. Throws with Ollama's own words. */
export async function loadModel(host: Host, base: string, name: string, keepAlive?: string): Promise<void> {
  // Ollama reads a text as a time with its unit, so for ever is a number.
  const stay = keepAlive ? { keep_alive: keepAlive === '-1' ? -1 : keepAlive } : {}
  const first = await fault(host, `${base}/api/generate`, { model: name, ...stay })
  const other = first?.includes('does not support generate')
  const failure = other ? await fault(host, `${base}/api/embed`, { model: name, input: [], ...stay }) : first
  if (failure !== undefined) throw new Stop(1, `${name} could not be loaded: ${failure}`)
}

/** What is wrong with the answer to a request, in Ollama's words; undefined when nothing is. */
async function fault(host: Host, url: string, body: object): Promise<string | undefined> {
  let said: string | undefined
  const status = await host.post(url, body, (line) => {
    said = ((json(line) ?? {}) as { error?: string }).error ?? said
  })
  return said ?? (status === 200 ? undefined : `status ${status}`)
}

/** The file that a model's weights are in, as `/api/show` tells it; models made from one another share it. */
export async function weightsOf(look: Look, address: string, port: number, name: string): Promise<string | undefined> {
  const answer = await look.probe({
    address,
    port,
    method: 'POST',
    target: '/api/show',
    headers: { host: `${address}:${port}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: name }),
  })
  const { modelfile = '' } = (json(answer.body) ?? {}) as { modelfile?: string }
  return /^FROM (\/.*)$/m.exec(modelfile)?.[1]
}

/** `qwen3` and `qwen3:latest` are one model. */
export const sameModel = (one: string, other: string): boolean => full(one) === full(other)

const full = (name: string): string =>
  (name.includes(':') ? name : `${name}:latest`).toLowerCase().replace(/^(registry\.ollama\.ai\/)?library\//, '')

/** Bytes as people read them. */
export const gigabytes = (bytes: number): string =>
  bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`

/** A line a second at most: bytes, speed, time left. */
export function progress(say: (text: string) => void, model: string): (progress: PullProgress) => void {
  let last = Number.NEGATIVE_INFINITY
  let first: { at: number; bytes: number } | undefined
  let status = ''
  return (now) => {
    const at = performance.now()
    const completed = now.completed ?? 0
    if (now.status !== status) first = undefined
    first ??= { at, bytes: completed }
    // Licences and templates are a few KB.
    if (now.total !== undefined && now.total < 100_000) return
    if (now.status === status && at - last < 1000) return
    status = now.status
    last = at
    say(
      `${model}: ${status.replace(/^pulling ([0-9a-f]{12})\w*$/, 'downloading')}${now.total ? ` ${share(now.total, completed, first, at)}` : ''}`,
    )
  }
}

function share(total: number, completed: number, first: { at: number; bytes: number }, at: number): string {
  const speed = (completed - first.bytes) / Math.max((at - first.at) / 1000, 0.001)
  const left = speed > 0 ? `, ${gigabytes(speed)}/s, ${Math.ceil((total - completed) / speed)} s left` : ''
  return `${gigabytes(completed)} of ${gigabytes(total)}${left}`
}

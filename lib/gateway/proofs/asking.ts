import { type ZodType, z } from 'zod'
import type { Look, RawAnswer } from '../../host/host.ts'
import { typed } from '../../host/typed.ts'
import type { Group } from '../../site/endpoints.ts'
import { smallest } from '../../site/models.ts'
import { type Check, type Finding, missed, ok, skipped, unexplained } from '../../steps/step.ts'
import { parsed } from './sse.ts'
import { bearer, json, send, type Target } from './target.ts'

/** Tokens that a model is asked for at most. */
export const tokens = 16

/** Tokens that an answer may count: Ollama counts the one that ends it too (0.24: `eval_count` is one more). */
export const tokensAtMost = tokens + 1

/** The model to ask; empty when there is none. */
export const modelName = (target: Target): string => target.model?.name ?? ''

/** Whether the model can do this, by what `/api/show` lists. */
export const can = (target: Target, capability: string): boolean =>
  target.model?.capabilities.includes(capability) ?? false

/** An answer, or why there is none to judge. */
export type Reply = RawAnswer | Finding

/** Asks when first needed; later callers get the same answer. */
export function once<T>(make: (look: Look) => Promise<T>): (look: Look) => Promise<T> {
  let answer: Promise<T> | undefined
  return (look) => {
    answer ??= make(look)
    return answer
  }
}

/**
 * Gives a way to ask the model: each question is sent once, however many checks look at its answer. The first may take
 * 120 s, since a cold model loads; when `budgetMs` is spent the rest is skipped, so that a run ends within minutes.
 */
export function asker(
  target: Target,
  budgetMs: number,
): (path: string, body: object) => (look: Look) => Promise<Reply> {
  const atLeast = 15_000
  const whole = 45_000
  let spent = 0
  let asked = false
  return (path, body) =>
    once(async (look) => {
      const left = budgetMs - spent
      if (left < atLeast) return tooSlow(target, spent)
      const answer = await send(look, target, path, body, asked ? Math.min(whole, left) : 120_000)
      const shortened = asked && left < whole
      asked = true
      spent += answer.ms
      return shortened && answer.end === 'timeout' ? tooSlow(target, spent) : answer
    })
}

const tooSlow = (target: Target, spent: number): Finding =>
  skipped(`${modelName(target)} is slow: ${seconds(spent)} are spent; name a smaller one with --model`)

const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`

/** What one check sends and how its answer is judged. */
export interface Trial {
  id: string
  title: string
  group: Group
  /** the request target, for the remedy */
  path: string
  needs?: readonly string[]
  /** false: no installed model is needed */
  model?: boolean
  /** a model without it is not asked */
  capability?: string
  /** false: the model gives no answer */
  inference?: boolean
  /** 200 when absent */
  status?: number
  answer(look: Look): Promise<Reply>
  see(answer: RawAnswer, look: Look): Finding | Promise<Finding>
}

/** A check that sends something through the gateway and judges the answer's shape, never its words. */
export function trial(target: Target, it: Trial): Check {
  return {
    id: it.id,
    title: it.title,
    needs: [...(it.needs ?? ['haproxy.service'])],
    ...(it.inference === false ? {} : { inference: true }),
    ...(target.groups.includes(it.group) ? {} : { closed: true }),
    async check(look) {
      const idle = unasked(target, it)
      if (idle) return idle
      const reply = await it.answer(look)
      if ('is' in reply) return reply
      const finding = trouble(reply, it.status ?? 200) ?? (await it.see(reply, look))
      return finding.is === 'missed' ? { ...finding, remedy: finding.remedy || askItself(target, it.path) } : finding
    },
  }
}

function unasked(target: Target, it: Trial): Finding | undefined {
  if (!target.groups.includes(it.group)) return skipped(`group ${it.group} is not open`)
  if (it.model === false) return undefined
  if (!target.model) return skipped(`no model is installed: ${typed('warm')} ${smallest}`)
  const { name, capabilities } = target.model
  const lacks = [...(capabilities.length > 0 ? ['completion'] : []), ...(it.capability ? [it.capability] : [])].find(
    (capability) => !can(target, capability),
  )
  return lacks
    ? skipped(`${name} is not made for ${lacks} (its capabilities: ${capabilities.join(', ') || 'none known'})`)
    : undefined
}

/** The remedy where either Ollama or the gateway may be at fault. */
export const askItself = ({ engine: { address, port } }: Target, path: string): string =>
  `Ask Ollama itself at http://${address}:${port}${path}: if it says the same, update Ollama or try another model with --model; else ${unexplained}`

/** What is wrong before the body is looked at. */
function trouble(answer: RawAnswer, status: number): Finding | undefined {
  if (answer.end === 'refused') return amiss(`no answer (${answer.error ?? 'refused'})`)
  if (answer.end === 'timeout')
    return amiss(`no whole answer within ${seconds(answer.ms)} (${answer.body.length} characters came)`)
  if (answer.end === 'cut') return amiss(`the answer was cut after ${answer.body.length} characters`)
  if (answer.status === 429 || (answer.status === 503 && /busy/i.test(answer.body)))
    return skipped(`the server is busy with other answers (${answer.status}); run again when it is idle`)
  if (answer.status === status) return undefined
  return amiss(`${answer.status} instead of ${status}: ${excerpt(answer.body)}`)
}

/** The beginning of a text on one line. */
export const excerpt = (text: string): string => JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text)

/** A miss whose remedy the trial fills in. */
export const amiss = (saw: string): Finding => missed(saw, '')

/** Passes with what was seen unless there is a complaint; the first one counts. */
export function proven(saw: string, ...complaints: (string | false | undefined)[]): Finding {
  const first = complaints.find((complaint) => typeof complaint === 'string' && complaint !== '')
  return first ? amiss(first) : ok(saw)
}

/** Judges a value that has the shape; says where it has not. */
export function shaped<T>(schema: ZodType<T>, value: unknown, see: (data: T) => Finding): Finding {
  const result = schema.safeParse(value)
  if (result.success) return see(result.data)
  const issue = result.error.issues[0]
  return amiss(`${issue?.path.join('.') || 'the body'}: ${issue?.message ?? 'another shape'}`)
}

/** The same for an answer whose whole body is one JSON value. */
export function shapedAnswer<T>(schema: ZodType<T>, answer: RawAnswer, see: (data: T) => Finding): Finding {
  const value = json(answer)
  if (value === undefined) return amiss(`the body is no JSON: ${excerpt(answer.body)}`)
  return shaped(schema, value, see)
}

/** Every text as one shape, in order; undefined when one is no JSON or has another shape, with the complaint. */
export function allShaped<T>(schema: ZodType<T>, texts: string[]): { all: T[]; complaint?: string } {
  const all: T[] = []
  for (const [at, text] of texts.entries()) {
    const result = schema.safeParse(parsed(text))
    if (!result.success) return { all, complaint: `event ${at + 1} has another shape: ${excerpt(text)}` }
    all.push(result.data)
  }
  return { all }
}

/** What a stream is called (WHATWG HTML); a parameter may follow. */
export const notStream = (answer: RawAnswer): string | false =>
  !/^text\/event-stream\b/.test(answer.headers['content-type'] ?? '') &&
  `the content type is ${answer.headers['content-type'] ?? 'missing'}, not text/event-stream`

/** OpenAI's errors, as Ollama words them. */
export const openaiError = z.object({ error: z.object({ message: z.string().min(1), type: z.string().min(1) }) })

/** Anthropic's errors, as Ollama words them. */
export const anthropicError = z.object({
  type: z.literal('error'),
  error: z.object({ type: z.string().min(1), message: z.string().min(1) }),
})

/** Judges an error in its family's shape; one of the gateway's own would mean that Ollama was not asked. */
export const errorSeen = (
  answer: RawAnswer,
  schema: ZodType<{ error: { type: string; message: string } }>,
  type?: string,
): Finding =>
  shapedAnswer(schema, answer, ({ error }) =>
    proven(
      `${answer.status} ${error.type}: ${error.message}`,
      error.message.startsWith('Gateway: ') && `the gateway refused it: ${error.message}`,
      type !== undefined && error.type !== type && `the error is called ${error.type}, not ${type}`,
    ),
  )

/** Sends a body as it is, to see what becomes of one that is no JSON. */
export const sendText = (look: Look, target: Target, path: string, body: string): Promise<RawAnswer> =>
  look.probe({
    address: target.address,
    port: target.port,
    method: 'POST',
    target: path,
    headers: { host: target.host, 'content-type': 'application/json', ...bearer(target) },
    body,
  })

/** The engine as a target: the same question past the gateway. */
export const engineItself = (target: Target): Target => {
  const { address, port } = target.engine
  return { ...target, address, port, host: `${address}:${port}` }
}

/** A tool without parameters: a whole call of it fits into few tokens. */
export const tool = { name: 'now', description: 'Tells the time of day.' }

/** The schema of no parameters. */
export const noParameters = { type: 'object', properties: {} }

/** A red square of 64 by 64, as PNG: vision models refuse images smaller than one of their patches (28). */
export const image =
  'iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAIAAAAlC+aJAAAAT0lEQVR42u3PQQkAAAgEsItz/VMYywi+hcEKLNO+FgEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBgcsC7w6BAFUms+MAAAAASUVORK5CYII='

import { z } from 'zod'
import {
  allShaped,
  amiss,
  can,
  excerpt,
  modelName,
  notStream,
  shapedAnswer,
  type Trial,
  tokens,
} from '../gateway/proofs/asking.ts'
import { serverEvents } from '../gateway/proofs/sse.ts'
import type { Target } from '../gateway/proofs/target.ts'
import type { RawAnswer } from '../host/host.ts'
import type { Finding } from '../steps/step.ts'

/** The route that these questions go to. */
export const chatPath = '/v1/chat/completions'

/** Asks the chat route with the usual fields and these. */
export type Asked = (messages: object[], more?: object) => Trial['answer']

const usage = z.object({
  prompt_tokens: z.int().positive(),
  completion_tokens: z.int().positive(),
  total_tokens: z.int().positive(),
})
type Usage = z.infer<typeof usage>

const finishes = z.enum(['stop', 'length', 'tool_calls'])

const call = z.object({
  id: z.string().min(1),
  type: z.literal('function'),
  function: z.object({ name: z.string(), arguments: z.string() }),
})

const completion = z.object({
  id: z.string().min(1),
  object: z.literal('chat.completion'),
  created: z.int().positive(),
  model: z.string(),
  choices: z.tuple([
    z.object({
      index: z.literal(0),
      message: z.object({
        role: z.literal('assistant'),
        content: z.string(),
        reasoning: z.string().optional(),
        tool_calls: z.array(call).optional(),
      }),
      finish_reason: finishes,
    }),
  ]),
  usage,
})
export type Completion = z.infer<typeof completion>

/** Both dialects: role in every delta (to 0.24) or in the first only, a finish with an empty delta (from 0.30). */
const chunk = z.object({
  id: z.string().min(1),
  object: z.literal('chat.completion.chunk'),
  model: z.string(),
  choices: z.array(
    z.object({
      index: z.literal(0),
      delta: z.object({
        role: z.literal('assistant').optional(),
        content: z.string().nullish(),
        reasoning: z.string().nullish(),
        tool_calls: z
          .array(z.object({ function: z.object({ name: z.string().optional(), arguments: z.string() }) }))
          .optional(),
      }),
      finish_reason: finishes.nullish(),
    }),
  ),
  usage: usage.nullish(),
})
export type Chunk = z.infer<typeof chunk>

/** A complaint when the parts are not the whole. */
export const sums = ({ prompt_tokens: asked, completion_tokens: said, total_tokens: all }: Usage): string | false =>
  asked + said !== all && `the usage does not add up: ${asked} + ${said} are not ${all}`

/** The usage in words. */
export const told = ({ prompt_tokens: asked, completion_tokens: said }: Usage): string => `${asked} + ${said} tokens`

/** What a person says. */
export const user = (content: string) => ({ role: 'user', content })

/** The body of a question; a thinking model is asked not to think, so that the few tokens become an answer. */
export function question(target: Target, messages: object[], more: object = {}): object {
  const still = can(target, 'thinking') ? { reasoning_effort: 'none' } : {}
  return { model: modelName(target), messages, max_tokens: tokens, temperature: 0, ...still, ...more }
}

/** What every whole answer must be; then what this one must be. */
export const completed = (target: Target, answer: RawAnswer, see: (data: Completion) => Finding): Finding =>
  shapedAnswer(completion, answer, (data) =>
    data.model === modelName(target) ? see(data) : amiss(`the answer names the model ${excerpt(data.model)}`),
  )

/** How it ended, in words. */
export const finish = (data: Completion): string => `${told(data.usage)}, finish ${data.choices[0].finish_reason}`

/** A complaint when more came than was asked for. */
export const limited = (said: number, limit: number): string | false =>
  said > limit && `${said} tokens came, ${limit} at most were asked for`

/** The chunks of a stream that ended as it should: events of one answer, then `[DONE]`, once and last. */
export function streamed(target: Target, answer: RawAnswer, see: (chunks: Chunk[]) => Finding): Finding {
  const strange = notStream(answer)
  if (strange) return amiss(strange)
  const texts = serverEvents(answer).map(({ data }) => data)
  if (texts.indexOf('[DONE]') !== texts.length - 1 || texts.length < 2)
    return amiss(
      `[DONE] is not the last of ${texts.length} events: the stream ends with ${excerpt(texts.at(-1) ?? '')}`,
    )
  const { all, complaint } = allShaped(chunk, texts.slice(0, -1))
  if (complaint) return amiss(complaint)
  const other = all.find((each) => each.model !== modelName(target))
  return other ? amiss(`an event names the model ${excerpt(other.model)}: its process may have died`) : see(all)
}

import { z } from 'zod'
import {
  amiss,
  asker,
  can,
  excerpt,
  modelName,
  proven,
  shaped,
  shapedAnswer,
  tokens,
  tokensAtMost,
  trial,
} from '../gateway/proofs/asking.ts'
import { jsonLines } from '../gateway/proofs/sse.ts'
import type { Target } from '../gateway/proofs/target.ts'
import type { RawAnswer } from '../host/host.ts'
import type { Check, Finding } from '../steps/step.ts'
import { limited, user } from './completions.ts'

/** ms for all answers of this family. */
const budget = 30_000

const final = z.object({
  model: z.string(),
  done: z.literal(true),
  done_reason: z.enum(['stop', 'length']),
  prompt_eval_count: z.int().positive(),
  eval_count: z.int().positive(),
})
type Final = z.infer<typeof final>

const said = z.object({ message: z.object({ role: z.literal('assistant'), content: z.string() }) })
const chatted = z.intersection(said, final)
const generated = z.intersection(z.object({ response: z.string() }), final)
const part = z.intersection(said, z.object({ done: z.literal(false) }))

/** Ollama's own chat and generate, when their group is open; closed by default, so nothing is said about them then. */
export function native(target: Target): Check[] {
  if (!target.groups.includes('native')) return []
  const ask = asker(target, budget)
  const base = { group: 'native' } as const
  const chat = question(target, { messages: [user('Say hello.')] })
  return [
    trial(target, {
      ...base,
      id: 'native.chat',
      title: 'POST /api/chat answers',
      path: '/api/chat',
      answer: ask('/api/chat', { ...chat, stream: false }),
      see: (answer) => shapedAnswer(chatted, answer, (data) => told(target, data)),
    }),
    trial(target, {
      ...base,
      id: 'native.chat-stream',
      title: 'POST /api/chat streams lines to the one that is done',
      path: '/api/chat',
      needs: ['native.chat'],
      answer: ask('/api/chat', chat),
      see: (answer) => streamed(target, answer),
    }),
    trial(target, {
      ...base,
      id: 'native.generate',
      title: 'POST /api/generate answers',
      path: '/api/generate',
      needs: ['native.chat'],
      answer: ask('/api/generate', question(target, { prompt: 'Say hello.', stream: false })),
      see: (answer) => shapedAnswer(generated, answer, (data) => told(target, data)),
    }),
  ]
}

const question = (target: Target, more: object): object => ({
  model: modelName(target),
  ...more,
  ...(can(target, 'thinking') ? { think: false } : {}),
  options: { num_predict: tokens, temperature: 0 },
})

const told = (target: Target, data: Final): Finding =>
  proven(
    `${data.prompt_eval_count} + ${data.eval_count} tokens, ${data.done_reason}`,
    data.model !== modelName(target) && `the answer names the model ${excerpt(data.model)}`,
    limited(data.eval_count, tokensAtMost),
  )

function streamed(target: Target, answer: RawAnswer): Finding {
  if (!/^application\/x-ndjson\b/.test(answer.headers['content-type'] ?? ''))
    return amiss(`the content type is ${answer.headers['content-type'] ?? 'missing'}, not application/x-ndjson`)
  const lines = jsonLines(answer)
  const strange = lines.slice(0, -1).findIndex((line) => !part.safeParse(line).success)
  if (strange >= 0 || lines.length < 2)
    return amiss(`line ${strange + 1} of ${lines.length} has another shape: ${excerpt(answer.body)}`)
  return shaped(chatted, lines.at(-1), (data) => told(target, data))
}

import { z } from 'zod'
import {
  allShaped,
  amiss,
  type asker,
  errorSeen,
  excerpt,
  modelName,
  notStream,
  openaiError,
  proven,
  shaped,
  shapedAnswer,
  tokens,
  tokensAtMost,
  trial,
} from '../gateway/proofs/asking.ts'
import { parsed, serverEvents } from '../gateway/proofs/sse.ts'
import { send, type Target } from '../gateway/proofs/target.ts'
import type { RawAnswer } from '../host/host.ts'
import type { Check, Finding } from '../steps/step.ts'
import { limited } from './completions.ts'

const path = '/v1/responses'

/** Ollama says `completed` even for an answer that max_output_tokens cut; OpenAI would say `incomplete`. */
const response = z.object({
  id: z.string().min(1),
  object: z.literal('response'),
  status: z.enum(['completed', 'incomplete']),
  model: z.string(),
  output: z.array(z.object({ type: z.string().min(1) })).min(1),
  usage: z.object({ input_tokens: z.int().positive(), output_tokens: z.int().positive() }),
})
const final = z.object({ response })
type Response = z.infer<typeof response>

const event = z.object({
  type: z.string().startsWith('response.'),
  sequence_number: z.int().nonnegative(),
  output_index: z.int().nonnegative().optional(),
})
type Event = z.infer<typeof event>

/** The Responses route, which Codex speaks. */
export function responses(target: Target, ask: ReturnType<typeof asker>): Check[] {
  const base = { group: 'responses', path, needs: ['openai.responses'] } as const
  const body = { model: modelName(target), input: 'Say hello.', max_output_tokens: tokens, temperature: 0 }
  const seen = (answer: RawAnswer) => shapedAnswer(response, answer, (data) => told(target, data))
  return [
    trial(target, {
      ...base,
      id: 'openai.responses',
      title: 'POST /v1/responses answers',
      needs: ['haproxy.service'],
      answer: ask(path, body),
      see: seen,
    }),
    trial(target, {
      ...base,
      id: 'openai.responses-stream',
      title: 'POST /v1/responses streams its events in order',
      answer: ask(path, { ...body, stream: true }),
      see: (answer) => streamed(target, answer),
    }),
    trial(target, {
      ...base,
      id: 'openai.responses-instructions',
      title: 'Instructions and input in parts are accepted',
      answer: ask(path, { ...body, instructions: 'You answer in one word.', input: inParts('Say hello.') }),
      see: seen,
    }),
    trial(target, {
      ...base,
      id: 'openai.responses-unknown-model',
      title: 'An unknown model is 404 on /v1/responses, too',
      needs: ['haproxy.service'],
      model: false,
      inference: false,
      status: 404,
      answer: (look) => send(look, target, path, { model: 'no-such-model', input: 'Say hello.' }),
      see: (answer) => errorSeen(answer, openaiError, 'not_found_error'),
    }),
  ]
}

const inParts = (text: string) => [{ role: 'user', content: [{ type: 'input_text', text }] }]

function told(target: Target, { status, model, output, usage }: Response): Finding {
  return proven(
    `${status}: ${output.map(({ type }) => type).join(', ')}; ${usage.input_tokens} + ${usage.output_tokens} tokens`,
    model !== modelName(target) && `the answer names the model ${excerpt(model)}`,
    limited(usage.output_tokens, tokensAtMost),
  )
}

function streamed(target: Target, answer: RawAnswer): Finding {
  const strange = notStream(answer)
  if (strange) return amiss(strange)
  const sent = serverEvents(answer).filter(({ data }) => data !== '[DONE]')
  const { all, complaint } = allShaped(
    event,
    sent.map(({ data }) => data),
  )
  const misnamed = sent.find(({ name }, at) => name !== all[at]?.type)
  const wrong = complaint ?? (misnamed && `an event is called ${misnamed.name || 'nothing'}: ${excerpt(misnamed.data)}`)
  if (wrong) return amiss(wrong)
  const disorder = misordered(all)
  if (disorder) return amiss(disorder)
  return shaped(final, parsed(sent.at(-1)?.data ?? ''), (data) => told(target, data.response))
}

/** Begins with created and in_progress, numbers without a gap, items added before done, completed last. */
function misordered(events: Event[]): string | undefined {
  const types = events.map(({ type }) => type.slice('response.'.length))
  const gap = events.findIndex(({ sequence_number: number }, at) => number !== at)
  const items = (type: string) =>
    events.flatMap((each, at) => (each.type === `response.output_item.${type}` ? [at] : []))
  const added = items('added')
  const done = items('done')
  if (types[0] !== 'created' || types[1] !== 'in_progress') return `it begins with ${types.slice(0, 2).join(', ')}`
  if (!['completed', 'incomplete'].includes(types.at(-1) ?? '')) return `it ends with ${types.at(-1)}`
  if (gap >= 0) return `event ${gap} has the number ${events[gap]?.sequence_number}`
  if (added.length === 0) return 'no output item was added'
  const paired = added.length === done.length && added.every((at, index) => at < (done[index] ?? 0))
  return paired ? undefined : `${added.length} items were added, ${done.length} are done`
}

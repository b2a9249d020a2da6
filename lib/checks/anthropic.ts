import { z } from 'zod'
import {
  allShaped,
  amiss,
  anthropicError,
  asker,
  can,
  errorSeen,
  excerpt,
  image,
  modelName,
  noParameters,
  notStream,
  proven,
  sendText,
  shapedAnswer,
  type Trial,
  tokens,
  tokensAtMost,
  tool,
  trial,
} from '../gateway/proofs/asking.ts'
import { type ServerEvent, serverEvents } from '../gateway/proofs/sse.ts'
import { send, type Target } from '../gateway/proofs/target.ts'
import type { RawAnswer } from '../host/host.ts'
import { type Check, type Finding, skipped } from '../steps/step.ts'
import { limited, user } from './completions.ts'

const path = '/v1/messages'

/** ms for all answers of this family. */
const budget = 60_000

const reasons = z.enum(['end_turn', 'max_tokens', 'tool_use', 'stop_sequence'])

const block = z.object({
  type: z.enum(['text', 'thinking', 'tool_use']),
  text: z.string().optional(),
  thinking: z.string().optional(),
  id: z.string().optional(),
  name: z.string().optional(),
  input: z.record(z.string(), z.unknown()).optional(),
})
type Block = z.infer<typeof block>

/** Ollama says null where nothing was said. */
const message = z.object({
  id: z.string().min(1),
  type: z.literal('message'),
  role: z.literal('assistant'),
  model: z.string(),
  content: z
    .array(block)
    .nullable()
    .transform((content) => content ?? []),
  stop_reason: reasons,
  usage: z.object({ input_tokens: z.int().positive(), output_tokens: z.int().positive() }),
})
type Message = z.infer<typeof message>

/** The Anthropic-compatible route, which Claude Code speaks. */
export function anthropic(target: Target): Check[] {
  const ask = asker(target, budget)
  const asked: Asked = (messages, more = {}) => ask(path, question(target, messages, more))
  return [...dialogue(target, asked), ...abilities(target, asked), ...errors(target)]
}

type Asked = (messages: object[], more?: object) => Trial['answer']

/** A thinking model is asked not to think, so that the few tokens become an answer. */
function question(target: Target, messages: object[], more: object): object {
  const still = can(target, 'thinking') ? { thinking: { type: 'disabled' } } : {}
  return { model: modelName(target), max_tokens: tokens, temperature: 0, messages, ...still, ...more }
}

const completed = (target: Target, answer: RawAnswer, see: (data: Message) => Finding): Finding =>
  shapedAnswer(message as z.ZodType<Message>, answer, (data) =>
    data.model === modelName(target) ? see(data) : amiss(`the answer names the model ${excerpt(data.model)}`),
  )

const told = ({ content, stop_reason: why, usage }: Message): string =>
  `${content.map(({ type }) => type).join(', ') || 'no block'}; ${usage.input_tokens} + ${usage.output_tokens} tokens, ${why}`

function dialogue(target: Target, asked: Asked): Check[] {
  const base = { group: 'anthropic', path, needs: ['anthropic.messages'] } as const
  const seen = (answer: RawAnswer) =>
    completed(target, answer, (data) => proven(told(data), limited(data.usage.output_tokens, tokensAtMost)))
  const rows: [string, string, Trial['answer'], Trial['see']?][] = [
    ['messages', 'POST /v1/messages answers', asked([user('Say hello.')])],
    [
      'messages-stream',
      'POST /v1/messages streams its events in order',
      asked([user('Say hello.')], { stream: true }),
      (answer) => streamed(target, answer),
    ],
    [
      'system-prompt',
      'A system prompt is accepted, in blocks',
      asked([user('Say hello.')], { system: [{ type: 'text', text: 'You answer in one word.' }] }),
    ],
    [
      'multi-turn',
      'A conversation of several turns goes on',
      asked([user('Say hello.'), { role: 'assistant', content: 'Hello.' }, user('Say it again.')]),
    ],
    [
      'max-tokens',
      'max_tokens ends an answer',
      asked([user('Count from 1 to 50, separated by blanks.')], { max_tokens: 2 }),
      (answer) => completed(target, answer, (data) => proven(told(data), limited(data.usage.output_tokens, 3))),
    ],
  ]
  return rows.map(([id, title, answer, see = seen]) => {
    const needs = id === 'messages' ? ['haproxy.service'] : base.needs
    return trial(target, { ...base, needs, id: `anthropic.${id}`, title, answer, see })
  })
}

const tools = [{ ...tool, input_schema: noParameters }]

function abilities(target: Target, asked: Asked): Check[] {
  const base = { group: 'anthropic', path, needs: ['anthropic.messages'] } as const
  const ask = user('What time is it now? Call the tool.')
  const use = { type: 'tool_use', id: 'toolu_1', name: tool.name, input: {} }
  const result = { type: 'tool_result', tool_use_id: 'toolu_1', content: '12:00' }
  const source = { type: 'base64', media_type: 'image/png', data: image }
  const seen = (answer: RawAnswer) => completed(target, answer, (data) => proven(told(data)))
  const rows: [string, string, string, Trial['answer'], Trial['see']][] = [
    [
      'tools',
      'A tool is used in the Anthropic shape',
      'tools',
      asked([ask], { tools }),
      (answer) => completed(target, answer, toolSeen),
    ],
    [
      'tools-result',
      'The result of a tool is taken and answered',
      'tools',
      asked([ask, { role: 'assistant', content: [use] }, { role: 'user', content: [result] }], { tools }),
      seen,
    ],
    [
      'image',
      'An image in base64 is looked at',
      'vision',
      asked([
        {
          role: 'user',
          content: [
            { type: 'image', source },
            { type: 'text', text: 'Which colour is this?' },
          ],
        },
      ]),
      seen,
    ],
    [
      'thinking',
      'Thinking comes as a block of its own',
      'thinking',
      asked([user('How many legs have three dogs?')], { thinking: { type: 'enabled', budget_tokens: 1024 } }),
      (answer) => completed(target, answer, thoughtSeen),
    ],
  ]
  return rows.map(([id, title, capability, answer, see]) =>
    trial(target, { ...base, id: `anthropic.${id}`, title, capability, answer, see }),
  )
}

/** A model may answer without its tool: then nothing is proven, and nothing is wrong. */
function toolSeen({ content, stop_reason: why }: Message): Finding {
  const used = content.find(({ type }) => type === 'tool_use')
  if (!used) return skipped(`the model used no tool within ${tokens} tokens (${why})`)
  return proven(
    `${used.name}(${JSON.stringify(used.input)}), ${why}`,
    used.name !== tool.name && `the tool ${used.name} was not offered`,
    !used.id && 'the use has no id',
    !used.input && 'the use has no input',
    why !== 'tool_use' && why !== 'max_tokens' && `a use ends with ${why}, not with tool_use`,
  )
}

function thoughtSeen({ content, stop_reason: why }: Message): Finding {
  const thought = content.find(({ type }) => type === 'thinking')
  if (!thought) return skipped(`the model did not think within ${tokens} tokens (${why})`)
  const said = content.map(({ text }: Block) => text ?? '').join('')
  return proven(
    `${thought.thinking?.length ?? 0} characters of thinking, ${said.length} of answer, ${why}`,
    !thought.thinking && 'the block of thinking is empty',
    /<\/?think>/.test(said) && 'thinking is left in the answer',
  )
}

const event = z.object({
  type: z.string(),
  index: z.int().nonnegative().optional(),
  message: z.object({ id: z.string().min(1), model: z.string() }).optional(),
  delta: z.object({ stop_reason: reasons.optional() }).optional(),
  usage: z.object({ output_tokens: z.int().positive() }).optional(),
})
type Event = z.infer<typeof event>

function streamed(target: Target, answer: RawAnswer): Finding {
  const strange = notStream(answer)
  if (strange) return amiss(strange)
  const sent = serverEvents(answer)
  const { all, complaint } = allShaped(
    event,
    sent.map(({ data }) => data),
  )
  const wrong = complaint ?? misnamed(sent, all)
  if (wrong) return amiss(wrong)
  const told = all.filter(({ type }) => type !== 'ping')
  const [start, end] = [told[0], told.at(-2)]
  return proven(
    `${all.length} events: ${shortly(all.map(({ type }) => type))}`,
    misordered(told),
    start?.message?.model !== modelName(target) && `it names the model ${excerpt(start?.message?.model ?? 'none')}`,
    !end?.delta?.stop_reason && 'message_delta tells no stop reason',
    !end?.usage && 'message_delta tells no usage',
  )
}

const misnamed = (sent: ServerEvent[], all: Event[]): string | undefined => {
  const wrong = sent.find(({ name }, at) => name !== all[at]?.type)
  return wrong && `an event is called ${wrong.name || 'nothing'}: ${excerpt(wrong.data)}`
}

/** message_start, then blocks one after the other (start, deltas, stop), then message_delta and message_stop. */
function misordered(events: Event[]): string | undefined {
  const spelled = events.map(({ type }) => letters[type] ?? '?').join('')
  if (!/^M(sd*e)+DE$/.test(spelled)) return `the order is ${shortly(events.map(({ type }) => type))}`
  let open = -1
  for (const { type, index } of events.filter((each) => each.index !== undefined)) {
    if (type === 'content_block_start') open += 1
    if (index !== open) return `${type} is for block ${index} while block ${open} is open`
  }
  return undefined
}

const letters: Record<string, string> = {
  message_start: 'M',
  content_block_start: 's',
  content_block_delta: 'd',
  content_block_stop: 'e',
  message_delta: 'D',
  message_stop: 'E',
}

/** Neighbours of one kind as one, with their number. */
function shortly(types: string[]): string {
  const runs: { type: string; count: number }[] = []
  for (const type of types) {
    const last = runs.at(-1)
    if (last?.type === type) last.count += 1
    else runs.push({ type, count: 1 })
  }
  return runs.map(({ type, count }) => (count > 1 ? `${type} ×${count}` : type)).join(', ') || 'none'
}

/** What Ollama refuses must come through as its own words, in a shape that clients know. */
function errors(target: Target): Check[] {
  const base = { group: 'anthropic', inference: false, model: false } as const
  const missing = { model: 'no-such-model', max_tokens: tokens, messages: [user('Say hello.')] }
  const unknown = (answer: RawAnswer) => errorSeen(answer, anthropicError, 'not_found_error')
  const invalid = (answer: RawAnswer) => errorSeen(answer, anthropicError, 'invalid_request_error')
  const rows: [string, string, number, string, object | string, Trial['see']][] = [
    ['unknown-model', 'An unknown model is 404 in the Anthropic shape', 404, path, missing, unknown],
    ['beta-query', 'POST /v1/messages?beta=true reaches Ollama', 404, `${path}?beta=true`, missing, unknown],
    [
      'no-max-tokens',
      'A question without max_tokens is 400 in the Anthropic shape',
      400,
      path,
      // Of a model that there is: of another one nodes are not asked.
      { ...missing, ...(target.several ? { model: modelName(target) } : {}), max_tokens: undefined },
      invalid,
    ],
    ['malformed', 'A body that is no JSON is 400 in the Anthropic shape', 400, path, '{"model":', invalid],
  ]
  return rows.map(([id, title, status, to, body, see]) =>
    trial(target, {
      ...base,
      id: `anthropic.${id}`,
      title,
      status,
      path: to,
      answer: (look) => (typeof body === 'string' ? sendText(look, target, to, body) : send(look, target, to, body)),
      see,
    }),
  )
}

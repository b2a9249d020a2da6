import { z } from 'zod'
import {
  amiss,
  asker,
  errorSeen,
  modelName,
  once,
  openaiError,
  proven,
  sendText,
  shapedAnswer,
  type Trial,
  tokensAtMost,
  trial,
} from '../gateway/proofs/asking.ts'
import { get, send, type Target } from '../gateway/proofs/target.ts'
import type { Look, RawAnswer } from '../host/host.ts'
import { sameModel } from '../site/models.ts'
import { type Check, type Finding, skipped } from '../steps/step.ts'
import { abilities } from './abilities.ts'
import {
  type Asked,
  type Chunk,
  completed,
  finish,
  limited,
  chatPath as path,
  question,
  streamed,
  sums,
  told,
  user,
} from './completions.ts'
import { responses } from './responses.ts'

/** The three inferences at the end of an install. */
export const quick = ['openai.chat', 'openai.chat-stream', 'anthropic.messages']

/** ms for all answers of this family. */
const budget = 150_000

const model = z.object({ id: z.string().min(1), object: z.literal('model'), created: z.number(), owned_by: z.string() })
/** Ollama says null where it has no models. */
const models = z.object({ object: z.literal('list'), data: z.array(model).nullable() })

/** A question whose JSON has so many bytes. */
function sized(question: object, bytes: number): object {
  const bare = JSON.stringify({ ...question, messages: [user('')] }).length
  return { ...question, messages: [user('All work and no play. '.repeat(bytes / 22).slice(0, bytes - bare))] }
}

/** The OpenAI-compatible routes: lists, chat, streams, errors, and responses. */
export function openai(target: Target): Check[] {
  const ask = asker(target, budget)
  return [...lists(target), ...chat(target, ask), ...errors(target), ...responses(target, ask)]
}

function lists(target: Target): Check[] {
  const base = { group: 'openai', inference: false, path: '/v1/models' } as const
  return [
    trial(target, {
      ...base,
      id: 'openai.models',
      title: 'GET /v1/models lists the models',
      model: false,
      answer: (look) => get(look, target, '/v1/models'),
      see: (answer) => listed(target, answer),
    }),
    trial(target, {
      ...base,
      id: 'openai.model',
      title: 'GET /v1/models/{model} describes one model',
      async answer(look) {
        if (modelName(target).includes('/')) return skipped('Ollama has no such route for a name with a slash')
        return get(look, target, `/v1/models/${modelName(target)}`)
      },
      see: (answer) =>
        shapedAnswer(model, answer, ({ id, owned_by: owner }) =>
          proven(`${id}, owned by ${owner}`, id !== modelName(target) && `it describes ${id}`),
        ),
    }),
    trial(target, {
      ...base,
      id: 'openai.query-string',
      title: 'A query string does no harm',
      model: false,
      answer: (look) => get(look, target, '/v1/models?limit=1000'),
      see: (answer) => listed(target, answer),
    }),
  ]
}

const listed = (target: Target, answer: RawAnswer): Finding =>
  shapedAnswer(models, answer, ({ data }) =>
    proven(
      `${data?.length ?? 0} model(s)`,
      target.model &&
        !data?.some(({ id }) => sameModel(id, modelName(target))) &&
        `${modelName(target)} is not among them`,
    ),
  )

function chat(target: Target, ask: ReturnType<typeof asker>): Check[] {
  const base = { group: 'openai', path, needs: ['openai.chat'] } as const
  const asked = (messages: object[], more: object = {}) => ask(path, question(target, messages, more))
  const plain = asked([user('Say hello.')])
  return [
    trial(target, {
      ...base,
      id: 'openai.chat',
      title: 'POST /v1/chat/completions answers',
      needs: ['haproxy.service'],
      answer: plain,
      see: (answer) => completed(target, answer, (data) => proven(finish(data))),
    }),
    trial(target, {
      ...base,
      id: 'openai.chat-usage',
      title: 'The usage adds up and keeps to max_tokens',
      answer: plain,
      see: (answer) =>
        completed(target, answer, ({ usage: used }) =>
          proven(told(used), sums(used), limited(used.completion_tokens, tokensAtMost)),
        ),
    }),
    ...dialogue(target, asked),
    ...streams(target, asked),
    ...abilities(target, asked),
  ]
}

function dialogue(target: Target, asked: Asked): Check[] {
  const base = { group: 'openai', path, needs: ['openai.chat'] } as const
  const seen = (answer: RawAnswer) => completed(target, answer, (data) => proven(finish(data), sums(data.usage)))
  const counting = user('Count from 1 to 50, separated by blanks.')
  const tuned = asked([counting], { stop: ['3'], seed: 7, top_p: 0.9, presence_penalty: 0, frequency_penalty: 0 })
  const hello = ['Say', 'hello.'].map((text) => ({ type: 'text', text }))
  const led = asked([
    { role: 'system', content: 'You answer in one word.' },
    { role: 'user', content: hello },
  ])
  const rows: [string, string, Trial['answer'], Trial['see']?][] = [
    [
      'max-tokens',
      'max_tokens ends an answer',
      asked([counting], { max_tokens: 2 }),
      (answer) => completed(target, answer, (data) => proven(finish(data), limited(data.usage.completion_tokens, 3))),
    ],
    ['parameters', 'seed, top_p and the penalties are accepted', tuned],
    [
      'stop',
      'stop ends an answer before the text named',
      tuned,
      (answer) =>
        completed(target, answer, (data) =>
          proven(finish(data), data.choices[0].message.content.includes('3') && 'the stop text is in the answer'),
        ),
    ],
    ['system-role', 'A system message is accepted', led],
    ['content-parts', 'A message in parts is accepted', led],
    [
      'multi-turn',
      'A conversation of several turns goes on',
      asked([user('Say hello.'), { role: 'assistant', content: 'Hello.' }, user('Say it again.')]),
    ],
  ]
  return rows.map(([id, title, answer, see = seen]) =>
    trial(target, { ...base, id: `openai.${id}`, title, answer, see }),
  )
}

function streams(target: Target, asked: Asked): Check[] {
  const base = { group: 'openai', path, needs: ['openai.chat-stream'] } as const
  const answer = asked([user('Say hello.')], { stream: true, stream_options: { include_usage: true } })
  return [
    trial(target, {
      ...base,
      id: 'openai.chat-stream',
      title: 'POST /v1/chat/completions streams to [DONE]',
      needs: ['openai.chat'],
      answer,
      see: (reply) => streamed(target, reply, (chunks) => proven(`${chunks.length} events, then [DONE]`)),
    }),
    trial(target, {
      ...base,
      id: 'openai.stream-order',
      title: 'A stream begins with the role and ends with one finish reason',
      answer,
      see: (reply) => streamed(target, reply, ordered),
    }),
    trial(target, {
      ...base,
      id: 'openai.stream-usage',
      title: 'A stream tells its usage when asked',
      answer,
      see: (reply) =>
        streamed(target, reply, (chunks) => {
          const last = chunks.at(-1)
          if (!last?.usage || last.choices.length > 0) return amiss('the last event before [DONE] tells no usage')
          return proven(told(last.usage), sums(last.usage), limited(last.usage.completion_tokens, tokensAtMost))
        }),
    }),
  ]
}

function ordered(chunks: Chunk[]): Finding {
  const said = chunks.flatMap(({ choices }) => choices)
  const finishing = said.filter((choice) => choice.finish_reason)
  const ids = new Set(chunks.map(({ id }) => id))
  return proven(
    `${said.length} events of ${[...ids].join(', ')}, finish ${finishing[0]?.finish_reason}`,
    ids.size !== 1 && `the events have ${ids.size} ids`,
    said[0]?.delta.role !== 'assistant' && 'the first event names no role',
    finishing.length !== 1 && `${finishing.length} events have a finish reason`,
    said.at(-1) !== finishing[0] && 'something is said after the finish',
  )
}

/** What Ollama refuses must come through as its own words, in a shape that clients know. */
function errors(target: Target): Check[] {
  const base = { group: 'openai', inference: false, model: false, path } as const
  const missing = { model: 'no-such-model', messages: [user('Say hello.')] }
  const sent = (body: object) => once((look: Look) => send(look, target, path, body))
  const large = Math.min(60 * 1024, target.bodyLimit ?? 60 * 1024)
  const unknown = (answer: RawAnswer) => errorSeen(answer, openaiError, 'not_found_error')
  const rows: [string, string, number, Trial['answer'], Trial['see']][] = [
    ['unknown-model', 'An unknown model is 404 in the OpenAI shape', 404, sent(missing), unknown],
    [
      'unknown-model-stream',
      'An unknown model is 404 when a stream was asked for, too',
      404,
      sent({ ...missing, stream: true }),
      unknown,
    ],
    ['large-body', `A conversation of ${large / 1024} KB reaches Ollama`, 404, sent(sized(missing, large)), unknown],
    [
      'model-unknown',
      'GET /v1/models/{model} of an unknown model is 404',
      404,
      (look) => get(look, target, '/v1/models/no-such-model'),
      unknown,
    ],
    [
      'empty-messages',
      'A question without messages is 400 in the OpenAI shape',
      400,
      sent({ model: modelName(target) || 'no-such-model', messages: [] }),
      (answer) => errorSeen(answer, openaiError),
    ],
    [
      'malformed',
      'A body that is no JSON is 400 in the OpenAI shape',
      400,
      (look) => sendText(look, target, path, '{"model":'),
      (answer) => errorSeen(answer, openaiError),
    ],
  ]
  return rows.map(([id, title, status, answer, see]) =>
    trial(target, { ...base, id: `openai.${id}`, title, status, answer, see }),
  )
}

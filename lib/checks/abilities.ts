import {
  amiss,
  engineItself,
  excerpt,
  image,
  noParameters,
  proven,
  tokens,
  tool,
  trial,
} from '../gateway/proofs/asking.ts'
import { parsed } from '../gateway/proofs/sse.ts'
import { send, type Target } from '../gateway/proofs/target.ts'
import type { Look, RawAnswer } from '../host/host.ts'
import { advice, type Check, type Finding, skipped } from '../steps/step.ts'
import { type Asked, completed, finish, chatPath as path, question, streamed, sums, user } from './completions.ts'

const tools = [{ type: 'function', function: { ...tool, parameters: noParameters } }]

/** What some models can and others cannot: JSON, tools, images, thinking. */
export const abilities = (target: Target, asked: Asked): Check[] => [
  ...formats(target, asked),
  ...toolUse(target, asked),
  ...senses(target, asked),
]

/** A text that is longer in UTF-8 than in letters, in a schema that allows nothing else. */
const foreign = 'é🙂'
const schema = {
  type: 'object',
  properties: { a: { type: 'string', enum: [foreign] } },
  required: ['a'],
  additionalProperties: false,
}

function formats(target: Target, asked: Asked): Check[] {
  const base = { group: 'openai', path, needs: ['openai.chat'] } as const
  const json = [user('Answer with this JSON and nothing else: {"ok":true}')]
  const exact = [user(`Answer with this JSON and nothing else: {"a":"${foreign}"}`)]
  const free = { response_format: { type: 'json_object' } }
  const bound = { response_format: { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } } }
  const strict = asked(exact, bound)
  return [
    trial(target, {
      ...base,
      id: 'openai.json-mode',
      title: 'JSON mode gives a JSON object',
      answer: asked(json, free),
      see: (answer, look) => orItself(target, look, question(target, json, free), answer, objectSeen),
    }),
    trial(target, {
      ...base,
      id: 'openai.json-schema',
      title: 'A JSON schema is kept to',
      answer: strict,
      see: (answer, look) => orItself(target, look, question(target, exact, bound), answer, boundSeen),
    }),
    trial(target, {
      ...base,
      id: 'openai.unicode',
      title: 'Letters beyond ASCII pass both ways unharmed',
      answer: strict,
      see: (answer) => unharmed(target, answer),
    }),
  ]
}

type Judge = (target: Target, answer: RawAnswer) => Finding

const boundSeen: Judge = (target, answer) => objectSeen(target, answer, (value) => 'a' in value)

/** A whole answer must be an object; one that was cut by max_tokens must begin as one. */
function objectSeen(target: Target, answer: RawAnswer, fits: (value: object) => boolean = () => true): Finding {
  return completed(target, answer, (data) => {
    const { finish_reason: why, message } = data.choices[0]
    const value = parsed(message.content)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return proven(message.content.trim(), !fits(value) && `another object: ${excerpt(message.content)}`)
    return proven(
      `begins as an object, cut by max_tokens: ${excerpt(message.content)}`,
      (why !== 'length' || !/^\s*(\{|$)/.test(message.content)) && `no JSON object: ${excerpt(message.content)}`,
    )
  })
}

/** Some engines do not bind some models to a format: when Ollama itself fails the same way, the gateway is innocent. */
async function orItself(target: Target, look: Look, body: object, answer: RawAnswer, judge: Judge): Promise<Finding> {
  const finding = judge(target, answer)
  if (finding.is !== 'missed') return finding
  const direct = await send(look, engineItself(target), path, body, 45_000)
  if (direct.status !== 200 || judge(target, direct).is !== 'missed') return finding
  return advice(`${finding.saw}; Ollama itself answers so, too`, 'Try another model with --model, or update Ollama.')
}

const unharmed = (target: Target, answer: RawAnswer): Finding =>
  completed(target, answer, (data) => {
    const { finish_reason: why, message } = data.choices[0]
    if (message.content.includes(foreign)) return proven(message.content.trim())
    return message.content.includes('\uFFFD')
      ? amiss(`the text came back broken: ${excerpt(message.content)}`)
      : skipped(`the model did not say it (finish ${why}): ${excerpt(message.content)}`)
  })

function toolUse(target: Target, asked: Asked): Check[] {
  const base = { group: 'openai', path, needs: ['openai.chat'], capability: 'tools' } as const
  const ask = user('What time is it now? Call the tool.')
  const called = { id: 'call_1', type: 'function', function: { name: tool.name, arguments: '{}' } }
  return [
    trial(target, {
      ...base,
      id: 'openai.tools',
      title: 'A tool is called in the OpenAI shape',
      answer: asked([ask], { tools }),
      see: (answer) =>
        completed(target, answer, ({ choices: [{ message, finish_reason: why }] }) =>
          toolSeen(message.tool_calls?.map((each) => each.function) ?? [], why),
        ),
    }),
    trial(target, {
      ...base,
      id: 'openai.tools-stream',
      title: 'A tool is called in a stream',
      answer: asked([ask], { tools, stream: true }),
      see: (answer) =>
        streamed(target, answer, (chunks) =>
          toolSeen(
            chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls?.map((each) => each.function) ?? []),
            chunks.flatMap(({ choices }) => choices[0]?.finish_reason ?? []).at(-1) ?? '',
          ),
        ),
    }),
    trial(target, {
      ...base,
      id: 'openai.tools-result',
      title: 'The result of a tool is taken and answered',
      answer: asked(
        [
          ask,
          { role: 'assistant', content: '', tool_calls: [called] },
          { role: 'tool', tool_call_id: 'call_1', content: '12:00' },
        ],
        { tools },
      ),
      see: (answer) => completed(target, answer, (data) => proven(finish(data), sums(data.usage))),
    }),
  ]
}

/** A model may answer without calling: then nothing is proven, and nothing is wrong. */
function toolSeen(calls: { name?: string; arguments: string }[], why: string): Finding {
  const [first] = calls
  if (!first) return skipped(`the model called no tool within ${tokens} tokens (finish ${why})`)
  return proven(
    `${first.name}(${first.arguments}), finish ${why}`,
    first.name !== tool.name && `the tool ${first.name} was not offered`,
    typeof parsed(first.arguments) !== 'object' && `the arguments are no JSON: ${excerpt(first.arguments)}`,
    why !== 'tool_calls' && why !== 'length' && `a call ends with ${why}, not with tool_calls`,
  )
}

function senses(target: Target, asked: Asked): Check[] {
  const base = { group: 'openai', path, needs: ['openai.chat'] } as const
  const url = `data:image/png;base64,${image}`
  const content = [
    { type: 'text', text: 'Which colour is this?' },
    { type: 'image_url', image_url: { url } },
  ]
  return [
    trial(target, {
      ...base,
      id: 'openai.image',
      title: 'An image in base64 is looked at',
      capability: 'vision',
      answer: asked([{ role: 'user', content }]),
      see: (answer) => completed(target, answer, (data) => proven(finish(data), sums(data.usage))),
    }),
    trial(target, {
      ...base,
      id: 'openai.thinking',
      title: 'Thinking comes apart from the answer',
      capability: 'thinking',
      answer: asked([user('How many legs have three dogs?')], { reasoning_effort: 'low' }),
      see: (answer) =>
        completed(target, answer, ({ choices: [{ message, finish_reason: why }] }) =>
          message.reasoning
            ? proven(
                `${message.reasoning.length} characters of thinking, ${message.content.length} of answer, finish ${why}`,
                /<\/?think>/.test(message.content) && 'thinking is left in the answer',
              )
            : skipped(`the model did not think within ${tokens} tokens (finish ${why})`),
        ),
    }),
  ]
}

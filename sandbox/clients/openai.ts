import OpenAI from 'openai'
import type { ChatCompletionMessageParam } from 'openai/resources/chat/completions'
import { given, runCases, weather } from './cases.ts'

/** The official `openai` package against a base URL: openai.ts http://HOST:PORT MODEL */
const { base, model, key } = given()
const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: key, maxRetries: 0, timeout: 60_000 })
const hello: ChatCompletionMessageParam[] = [{ role: 'user', content: 'Hello there' }]
const { name, description, schema: parameters } = weather

async function twoTurns() {
  const tools = [{ type: 'function' as const, function: { name, description, parameters } }]
  const first = await client.chat.completions.create({ model, messages: hello, tools })
  const message = first.choices[0]?.message
  const call = message?.tool_calls?.[0]
  if (!message || call?.type !== 'function') throw new Error('no tool was called')
  const result = { role: 'tool' as const, tool_call_id: call.id, content: '{"degrees":21}' }
  const second = await client.chat.completions.create({ model, messages: [...hello, message, result], tools })
  const { finish_reason: why, message: last } = second.choices[0] ?? {}
  return { asked: call.function.name, input: JSON.parse(call.function.arguments), why, text: last?.content }
}

async function chatStream() {
  const stream = await client.chat.completions.create({
    model,
    messages: hello,
    stream: true,
    stream_options: { include_usage: true },
  })
  const texts: string[] = []
  let why: string | null | undefined
  let usage: number | undefined
  for await (const chunk of stream) {
    const [choice] = chunk.choices
    if (choice?.delta.content) texts.push(choice.delta.content)
    why = choice?.finish_reason ?? why
    usage = chunk.usage?.completion_tokens ?? usage
  }
  return { pieces: texts.length, text: texts.join(''), why, usage }
}

async function responsesStream() {
  const stream = await client.responses.create({ model, input: 'Hello there', stream: true })
  const types: string[] = []
  let text = ''
  for await (const event of stream) {
    if (types.at(-1) !== event.type) types.push(event.type)
    if (event.type === 'response.output_text.delta') text += event.delta
  }
  return { types, text }
}

await runCases({
  list: async () => (await client.models.list()).data.map(({ id, object }) => `${object} ${id}`),
  retrieve: async () => (await client.models.retrieve(model)).id,
  chat: async () => {
    const { choices, usage } = await client.chat.completions.create({ model, messages: hello, max_tokens: 32 })
    return { text: choices[0]?.message.content, why: choices[0]?.finish_reason, usage }
  },
  stream: chatStream,
  tools: twoTurns,
  json: async () => {
    const response_format = { type: 'json_object' as const }
    const { choices } = await client.chat.completions.create({ model, messages: hello, response_format })
    return JSON.parse(choices[0]?.message.content ?? '')
  },
  responses: async () => {
    const answer = await client.responses.create({ model, input: 'Hello there', instructions: 'Be brief.' })
    return { status: answer.status, text: answer.output_text }
  },
  responsesStream,
  unknownModel: () => client.chat.completions.create({ model: 'no-such-model', messages: hello }),
  deniedRow: () => client.embeddings.create({ model, input: 'x' }),
  baseWithoutV1: () =>
    new OpenAI({ baseURL: base, apiKey: key, maxRetries: 0 }).chat.completions.create({ model, messages: hello }),
  baseWithV1Twice: () => new OpenAI({ baseURL: `${base}/v1/v1`, apiKey: key, maxRetries: 0 }).models.list(),
})

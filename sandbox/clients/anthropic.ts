import Anthropic from '@anthropic-ai/sdk'
import { given, runCases, weather } from './cases.ts'

/** The official `@anthropic-ai/sdk` against a base URL: anthropic.ts http://HOST:PORT MODEL THINKING-MODEL */
const { base, model, thinker, key } = given()
const options = { authToken: key, apiKey: null, maxRetries: 0, timeout: 60_000 }
const client = new Anthropic({ baseURL: base, ...options })
const messages: Anthropic.MessageParam[] = [{ role: 'user', content: 'Hello there' }]
const plain = { model, max_tokens: 64, messages }
const tools = [{ name: weather.name, description: weather.description, input_schema: weather.schema }]

const texts = (content: Anthropic.ContentBlock[]) =>
  content.map((block) => (block.type === 'text' ? block.text : '')).join('')

async function stream() {
  const types: string[] = []
  let text = ''
  for await (const event of await client.messages.create({ ...plain, stream: true })) {
    if (types.at(-1) !== event.type) types.push(event.type)
    if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') text += event.delta.text
  }
  return { types, text }
}

async function twoTurns() {
  const first = await client.messages.create({ ...plain, tools })
  const use = first.content.find((block) => block.type === 'tool_use')
  if (!use) throw new Error('no tool was called')
  const second = await client.messages.create({
    ...plain,
    tools,
    messages: [
      ...messages,
      { role: 'assistant', content: [{ type: 'tool_use', id: use.id, name: use.name, input: use.input }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: '{"degrees":21}' }] },
    ],
  })
  return {
    why: first.stop_reason,
    asked: use.name,
    input: use.input,
    end: second.stop_reason,
    text: texts(second.content),
  }
}

async function thinking() {
  const answer = await client.messages.create({
    model: thinker,
    max_tokens: 256,
    thinking: { type: 'enabled', budget_tokens: 128 },
    messages,
  })
  const thought = answer.content.find((block) => block.type === 'thinking')
  return { types: answer.content.map(({ type }) => type), thought: thought?.thinking, text: texts(answer.content) }
}

await runCases({
  message: async () => {
    const {
      role,
      type,
      stop_reason: why,
      content,
      usage,
    } = await client.messages.create({ ...plain, system: 'Be brief.' })
    return { role, type, why, text: texts(content), output: usage.output_tokens }
  },
  stream,
  helper: async () => texts((await client.messages.stream(plain).finalMessage()).content),
  tools: twoTurns,
  thinking,
  list: async () => (await client.models.list()).data.map(({ id }) => id),
  unknownModel: () => client.messages.create({ ...plain, model: 'no-such-model' }),
  deniedRow: () => client.messages.countTokens({ model, messages }),
  baseWithV1: () => new Anthropic({ baseURL: `${base}/v1`, ...options }).messages.create(plain),
})

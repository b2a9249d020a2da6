import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { given } from './cases.ts'

/** What a second person sees in the official SDKs: shared.ts http://HOST:PORT MODEL OTHER-MODEL, with the key in CLIENT_KEY. */
const { base, model, thinker: other, key } = given()
const calm = { maxRetries: 0, timeout: 60_000 }
const openai = new OpenAI({ baseURL: `${base}/v1`, apiKey: key, ...calm })
const anthropic = new Anthropic({ baseURL: base, authToken: key, apiKey: null, ...calm })
const messages = [{ role: 'user' as const, content: 'Hello there' }]

const chat = async (name: string, max_tokens = 16): Promise<string> => {
  const { choices } = await openai.chat.completions.create({ model: name, messages, max_tokens })
  return choices[0]?.message.content ?? ''
}
const message = async (name: string): Promise<string> => {
  const { content } = await anthropic.messages.create({ model: name, messages, max_tokens: 16 })
  return content.map((block) => (block.type === 'text' ? block.text : '')).join('')
}
const list = async (): Promise<string> => (await openai.models.list()).data.map(({ id }) => id).join(', ')

async function tell(what: string, work: () => Promise<string>): Promise<void> {
  const said = await work().catch((error: Error) => `${error.constructor.name}: ${error.message}`)
  process.stdout.write(`${what.padEnd(34)} ${said.replaceAll('\n', ' ').slice(0, 200)}\n`)
}

await tell('openai    models.list', list)
await tell(`openai    chat with ${model}`, () => chat(model))
await tell(`anthropic message with ${model}`, () => message(model))
await tell(`openai    chat with ${other}`, () => chat(other))
await tell(`anthropic message with ${other}`, () => message(other))
await tell('openai    three chats at once', async () => {
  const ends = await Promise.allSettled([1, 2, 3].map(() => chat(model, 64)))
  const refused = ends.flatMap((end) => (end.status === 'rejected' ? [`${end.reason}`] : []))
  return `${ends.length - refused.length} answered; ${refused.join('; ')}`
})

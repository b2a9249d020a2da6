import { Ollama } from 'ollama'
import { given, runCases } from './cases.ts'

/** The official `ollama` package against a base URL: ollama.ts http://HOST:PORT MODEL */
const { base, model } = given()
const client = new Ollama({ host: base })
const messages = [{ role: 'user', content: 'Hello there' }]

await runCases({
  version: async () => (await client.version()).version,
  list: async () => (await client.list()).models.map(({ name }) => name),
  show: async () => (await client.show({ model })).capabilities,
  chat: async () => {
    const { message, done_reason: why } = await client.chat({ model, messages })
    return { text: message.content, why }
  },
  stream: async () => {
    const texts: string[] = []
    for await (const part of await client.chat({ model, messages, stream: true })) texts.push(part.message.content)
    return { pieces: texts.length, text: texts.join('') }
  },
  generate: async () => (await client.generate({ model, prompt: 'Hello there' })).response,
  unknownModel: () => client.show({ model: 'no-such-model' }),
  ps: () => client.ps(),
  pull: () => client.pull({ model: 'llama3.2:1b' }),
  delete: () => client.delete({ model }),
})

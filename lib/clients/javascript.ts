import { type Client, keyOf } from './client.ts'
import { libraryIn } from './library.ts'

const hello = "[{ role: 'user', content: 'Say hello' }]"

/** All of them wait 300 s for a first word, which is Node's own limit. */
const library = libraryIn('JavaScript')

/** The AI SDK asks in one way, whatever provider it is given. */
const generated = (model: string): string =>
  `const { text } = await generateText({ model: ${model}, prompt: 'Say hello' })\nconsole.log(text)`

const invoked = "const { content } = await chat.invoke('Say hello')\nconsole.log(content)"

/** Packages of npm. */
export const javascript: Client[] = [
  library(
    'openai',
    'openai (npm)',
    '7.55.0',
    ['openai', 'responses'],
    (to) => `import OpenAI from 'openai'
const client = new OpenAI({ baseURL: '${to.base}/v1', apiKey: '${keyOf(to)}' })
const { choices } = await client.chat.completions.create({ model: '${to.model}', messages: ${hello} })
console.log(choices[0].message.content)`,
  ),
  library(
    'anthropic',
    '@anthropic-ai/sdk (npm)',
    '1.11.0',
    ['anthropic'],
    (to) => `import Anthropic from '@anthropic-ai/sdk'
const client = new Anthropic({ baseURL: '${to.base}', authToken: '${keyOf(to)}', apiKey: null })
const { content } = await client.messages.create({ model: '${to.model}', max_tokens: 1024, messages: ${hello} })
console.log(content.find((block) => block.type === 'text').text)`,
    'Its base URL has no /v1.',
  ),
  library(
    'ollama-js',
    'ollama (npm)',
    '0.6.4',
    ['native'],
    (to) => `import { Ollama } from 'ollama'
const client = new Ollama({ host: '${to.base}', headers: { Authorization: 'Bearer ${keyOf(to)}' } })
const { message } = await client.chat({ model: '${to.model}', messages: ${hello} })
console.log(message.content)`,
    'It tries nothing twice.',
  ),
  library(
    'ai-sdk',
    'AI SDK, @ai-sdk/openai-compatible (npm)',
    '3.0.92',
    ['openai'],
    (to) => `import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText } from 'ai'
const mac = createOpenAICompatible({ name: 'mac', baseURL: '${to.base}/v1', apiKey: '${keyOf(to)}' })
${generated(`mac('${to.model}')`)}`,
  ),
  library(
    'ai-sdk-openai',
    'AI SDK, @ai-sdk/openai (npm)',
    '4.0.118',
    ['responses'],
    (to) => `import { createOpenAI } from '@ai-sdk/openai'
import { generateText } from 'ai'
const mac = createOpenAI({ baseURL: '${to.base}/v1', apiKey: '${keyOf(to)}' })
${generated(`mac('${to.model}')`)}`,
    'It asks /v1/responses; mac.chat(MODEL) asks /v1/chat/completions.',
  ),
  library(
    'ai-sdk-anthropic',
    'AI SDK, @ai-sdk/anthropic (npm)',
    '4.0.105',
    ['anthropic'],
    (to) => `import { createAnthropic } from '@ai-sdk/anthropic'
import { generateText } from 'ai'
const mac = createAnthropic({ baseURL: '${to.base}/v1', apiKey: '${keyOf(to)}' })
${generated(`mac('${to.model}')`)}`,
    'Its base URL ends in /v1, unlike that of Anthropic’s own package.',
  ),
  library(
    'ai-sdk-ollama',
    'AI SDK, ai-sdk-ollama (npm)',
    '4.3.0',
    ['native'],
    (to) => `import { createOllama } from 'ai-sdk-ollama'
import { generateText } from 'ai'
const mac = createOllama({ baseURL: '${to.base}', headers: { Authorization: 'Bearer ${keyOf(to)}' } })
${generated(`mac('${to.model}')`)}`,
    'The provider ollama-ai-provider-v2 wants the same with /api at the end of its base URL.',
  ),
  library(
    'langchain-openai',
    'LangChain, @langchain/openai (npm)',
    '1.6.0',
    ['openai'],
    (to) => `import { ChatOpenAI } from '@langchain/openai'
const chat = new ChatOpenAI({ model: '${to.model}', apiKey: '${keyOf(to)}', configuration: { baseURL: '${to.base}/v1' } })
${invoked}`,
  ),
  library(
    'langchain-anthropic',
    'LangChain, @langchain/anthropic (npm)',
    '1.5.11',
    ['anthropic'],
    (to) => `import { ChatAnthropic } from '@langchain/anthropic'
const chat = new ChatAnthropic({ model: '${to.model}', apiKey: '${keyOf(to)}', anthropicApiUrl: '${to.base}' })
${invoked}`,
  ),
  library(
    'langchain-ollama',
    'LangChain, @langchain/ollama (npm)',
    '1.3.0',
    ['native'],
    (to) => `import { ChatOllama } from '@langchain/ollama'
const chat = new ChatOllama({ model: '${to.model}', baseUrl: '${to.base}', headers: { Authorization: 'Bearer ${keyOf(to)}' } })
${invoked}`,
    'Its class for embeddings tries for more than 40 seconds what is refused.',
  ),
]

import { type Client, keyOf } from './client.ts'
import { libraryIn } from './library.ts'

const hello = '[{"role": "user", "content": "Say hello"}]'

const library = libraryIn('Python')

/** Packages of PyPI, and what every system has. */
export const python: Client[] = [
  library(
    'openai-python',
    'openai (Python)',
    '3.52.0',
    ['openai', 'responses'],
    (to) => `from openai import OpenAI
client = OpenAI(base_url="${to.base}/v1", api_key="${keyOf(to)}")
answer = client.chat.completions.create(model="${to.model}", messages=${hello})
print(answer.choices[0].message.content)`,
  ),
  library(
    'anthropic-python',
    'anthropic (Python)',
    '2.11.0',
    ['anthropic'],
    (to) => `from anthropic import Anthropic
client = Anthropic(base_url="${to.base}", auth_token="${keyOf(to)}")
answer = client.messages.create(model="${to.model}", max_tokens=1024, messages=${hello})
print(next(block.text for block in answer.content if block.type == "text"))`,
    'Its base URL has no /v1.',
  ),
  library(
    'ollama-python',
    'ollama (Python)',
    '0.6.3',
    ['native'],
    (to) => `from ollama import Client
client = Client(host="${to.base}", headers={"Authorization": "Bearer ${keyOf(to)}"})
print(client.chat(model="${to.model}", messages=${hello}).message.content)`,
  ),
  library(
    'litellm',
    'LiteLLM (Python)',
    '1.83.0',
    ['openai'],
    (to) => `from litellm import completion
answer = completion(model="openai/${to.model}", api_base="${to.base}/v1", api_key="${keyOf(to)}", messages=${hello})
print(answer.choices[0].message.content)`,
    'With ollama_chat/MODEL it needs the group native, and asks /api/show where none is.',
  ),
  {
    name: 'curl',
    title: 'curl',
    kind: 'library',
    groups: ['openai'],
    snippets: (to) => [
      {
        where: 'shell',
        text: `curl ${to.base}/v1/chat/completions -H 'Authorization: Bearer ${keyOf(to)}' -H 'Content-Type: application/json' \\
  -d '{"model":"${to.model}","messages":[{"role":"user","content":"Say hello"}]}'`,
      },
    ],
    seen: { run: '7.88' },
  },
]

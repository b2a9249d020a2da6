import { type Client, keyOf } from './client.ts'

/** What people chat with, in a browser or a terminal. */
export const chats: Client[] = [
  {
    name: 'open-webui',
    title: 'Open WebUI',
    kind: 'chat',
    groups: ['openai'],
    snippets: (to) => [
      {
        where:
          'Open WebUI, as its administrator: Settings, Connections (below Admin), Manage OpenAI API Connections, +',
        text: `URL: ${to.base}/v1\nAPI Key: ${keyOf(to)}`,
      },
      {
        where: 'shell',
        instead: true,
        text: `export ENABLE_OLLAMA_API=false
export OPENAI_API_BASE_URL=${to.base}/v1 OPENAI_API_KEY=${keyOf(to)}
open-webui serve`,
      },
    ],
    notes: [
      'It reads the variables at its very first start only; later the page of settings counts.',
      'One question to it is about five requests: the answer, the time, a title, tags, what to ask next. A limit per minute counts each.',
      'The first account that is made in it is its administrator: make it before anybody else can reach it.',
    ],
    seen: { run: '0.12.4' },
  },
  {
    name: 'ollama',
    title: 'ollama (the command)',
    kind: 'chat',
    groups: ['native', 'metadata', 'probe', 'status'],
    snippets: (to) => [
      { where: 'shell', text: `export OLLAMA_HOST=${to.base.replace('http://', '')}\nollama run ${to.model}` },
    ],
    notes: [
      'It can send no key, and neither can `ollama launch`: it needs `access: tailnet` or your own login under people.',
    ],
    seen: { run: '0.24.0' },
  },
  {
    name: 'llm',
    title: 'llm',
    kind: 'chat',
    groups: ['openai'],
    snippets: (to) => [
      {
        where: 'extra-openai-models.yaml in the folder that `dirname "$(llm logs path)"` names',
        text: `- model_id: mac
  model_name: ${to.model}
  api_base: ${to.base}/v1
  api_key_name: mac`,
      },
      { where: 'shell', text: `llm keys set mac   # it asks for the key: ${keyOf(to)}\nllm -m mac 'Say hello'` },
    ],
    notes: ['Without api_key_name it sends no key, even with --key.'],
    seen: { run: '0.36' },
  },
]

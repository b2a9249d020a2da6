import { type Client, keyOf, pretty } from './client.ts'

/** Agents that are set up once. */
export const agents: Client[] = [
  {
    name: 'pi',
    title: 'pi',
    kind: 'agent',
    groups: ['openai'],
    snippets: (to) => [
      {
        where: '~/.pi/agent/models.json',
        text: pretty({
          providers: {
            mac: {
              baseUrl: `${to.base}/v1`,
              api: 'openai-completions',
              apiKey: 'MAC_API_KEY',
              models: [{ id: to.model, name: to.model, contextWindow: to.context, maxTokens: 8192 }],
            },
          },
        }),
      },
      { where: 'shell', text: `export MAC_API_KEY=${keyOf(to)}\npi --provider mac --model ${to.model}` },
    ],
    seen: { run: '0.73.1' },
  },
  {
    name: 'cline',
    title: 'Cline',
    kind: 'agent',
    groups: ['openai'],
    snippets: (to) => [
      {
        where: 'Cline’s settings, API Provider: OpenAI Compatible',
        text: `Base URL: ${to.base}/v1\nOpenAI Compatible API Key: ${keyOf(to)}\nModel ID: ${to.model}\nContext Window Size: ${to.context}`,
      },
    ],
    notes: [
      'In a terminal `cline auth` asks for the same.',
      'Its Ollama provider works, too, once settings.yaml opens the group native.',
    ],
    seen: { run: '3.0.65' },
  },
  {
    name: 'gemini',
    title: 'Gemini CLI',
    kind: 'agent',
    groups: [],
    snippets: () => [],
    never: 'It speaks only Google’s own API (/v1beta/…), which Ollama does not answer.',
    seen: { run: '0.61.0' },
  },
]

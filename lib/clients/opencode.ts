import { type Client, type Connection, keyOf, keyVariable, pretty } from './client.ts'

const config = ({ base, model, context }: Connection, apiKey: string) => ({
  model: `mac/${model}`,
  small_model: `mac/${model}`,
  provider: {
    mac: {
      npm: '@ai-sdk/openai-compatible',
      name: 'Mac',
      options: { baseURL: `${base}/v1`, apiKey },
      models: { [model]: { name: model, limit: { context, output: 8192 } } },
    },
  },
})

/** The open agent for the terminal. */
export const opencode: Client = {
  name: 'opencode',
  title: 'opencode',
  kind: 'agent',
  groups: ['openai'],
  snippets: (to) => [{ where: '~/.config/opencode/opencode.json', text: pretty(config(to, keyOf(to))) }],
  launch: {
    program: 'opencode',
    get: 'npm install -g opencode-ai',
    env: (to) => ({
      OPENCODE_CONFIG_CONTENT: JSON.stringify({ ...config(to, `{env:${keyVariable}}`), autoupdate: false }),
    }),
    args: () => [],
  },
  seen: { run: '1.18.33' },
}

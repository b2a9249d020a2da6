import { type Client, type Connection, keyVariable } from './client.ts'

/** Its retries are its own; what it waits for is a model that may have to be loaded first. */
const patience = { request_max_retries: 1, stream_max_retries: 2, stream_idle_timeout_ms: 900_000 }
const lines = Object.entries(patience).map(([name, value]) => `${name} = ${value}`)

const provider = ({ base }: Connection, variable: string): string =>
  [
    ...['name = "Mac"', `base_url = "${base}/v1"`, 'wire_api = "responses"'],
    ...[`env_key = "${variable}"`, ...lines],
  ].join(', ')

/** OpenAI's agent for the terminal. */
export const codex: Client = {
  name: 'codex',
  title: 'Codex',
  kind: 'agent',
  groups: ['responses', 'openai'],
  snippets: (to) => [
    {
      where: '~/.codex/config.toml',
      text: `model = "${to.model}"
model_provider = "mac"
model_context_window = ${to.context}
web_search = "disabled"
[model_providers.mac]
name = "Mac"
base_url = "${to.base}/v1"
wire_api = "responses"
${to.key ? 'env_key = "MAC_API_KEY"\n' : ''}${lines.join('\n')}`,
    },
    ...(to.key ? [{ where: 'shell', text: `export MAC_API_KEY=${to.key}` }] : []),
  ],
  notes: [
    'Put it at the top of the file: what stands below a [table] there belongs to that.',
    'Do not use --oss: it wants to download models, which is not open here, and it can send no key.',
  ],
  launch: {
    program: 'codex',
    get: 'npm install -g @openai/codex',
    env: () => ({}),
    args: (to) => [
      ...['-c', `model="${to.model}"`, '-c', 'model_provider="rop"'],
      ...['-c', `model_context_window=${to.context}`, '-c', 'web_search="disabled"'],
      ...['-c', `model_providers.rop={${provider(to, keyVariable)}}`],
    ],
  },
  seen: { run: '0.171.0' },
}

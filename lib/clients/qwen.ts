import { type Client, keyOf, pretty } from './client.ts'

/** With tool search it offers a tool called tool_call, which Ollama takes every call of a Qwen model for. */
const settings = { security: { auth: { selectedType: 'openai' } }, tools: { toolSearch: { enabled: false } } }

/** Alibaba's agent for the terminal. */
export const qwen: Client = {
  name: 'qwen',
  title: 'Qwen Code',
  kind: 'agent',
  groups: ['openai'],
  snippets: (to) => [
    { where: '~/.qwen/settings.json', text: pretty(settings) },
    {
      where: 'shell',
      text: `export OPENAI_BASE_URL=${to.base}/v1 OPENAI_API_KEY=${keyOf(to)} OPENAI_MODEL=${to.model}`,
    },
  ],
  notes: ['It waits 120 seconds for a first word: load the model before a first question.'],
  launch: {
    program: 'qwen',
    get: 'npm install -g @qwen-code/qwen-code',
    env: (to, files) => ({
      QWEN_CODE_SYSTEM_SETTINGS_PATH: files['qwen.json'],
      OPENAI_BASE_URL: `${to.base}/v1`,
      OPENAI_API_KEY: keyOf(to),
      OPENAI_MODEL: to.model,
    }),
    args: (to) => ['--auth-type', 'openai', '--openai-base-url', `${to.base}/v1`, '--model', to.model],
    files: () => ({ 'qwen.json': pretty(settings) }),
  },
  seen: { run: '0.24.4' },
}

import { type Client, keyOf } from './client.ts'

/** The pair programmer for the terminal. */
export const aider: Client = {
  name: 'aider',
  title: 'Aider',
  kind: 'agent',
  groups: ['openai'],
  snippets: (to) => [
    {
      where: 'shell',
      text: `export OPENAI_API_BASE=${to.base}/v1 OPENAI_API_KEY=${keyOf(to)}
aider --model openai/${to.model}`,
    },
  ],
  notes: ['It tries nine times what is refused for good, so a wrong model takes a minute to be told.'],
  launch: {
    program: 'aider',
    get: 'uv tool install aider-chat',
    // In its own order these come before its settings files.
    env: (to) => ({ AIDER_OPENAI_API_BASE: `${to.base}/v1`, AIDER_OPENAI_API_KEY: keyOf(to) }),
    args: (to) => ['--model', `openai/${to.model}`, '--no-show-model-warnings'],
  },
  seen: { run: '0.86.2' },
}

import { type Client, type Connection, keyOf, keyVariable } from './client.ts'

/** Every tier of its models is this one: an unknown name in any of them would be asked for. The window would be taken for a million tokens. */
const variables = ({ base, model, context }: Connection): Record<string, string> => ({
  ANTHROPIC_BASE_URL: base,
  ANTHROPIC_MODEL: model,
  ANTHROPIC_DEFAULT_OPUS_MODEL: model,
  ANTHROPIC_DEFAULT_SONNET_MODEL: model,
  ANTHROPIC_DEFAULT_HAIKU_MODEL: model,
  CLAUDE_CODE_MAX_CONTEXT_TOKENS: `${context}`,
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
})

/** Anthropic's agent for the terminal. */
export const claude: Client = {
  name: 'claude',
  title: 'Claude Code',
  kind: 'agent',
  groups: ['anthropic', 'count-tokens', 'probe'],
  snippets: (to) => [
    {
      where: 'shell',
      text: `export ANTHROPIC_BASE_URL=${to.base}
export ANTHROPIC_AUTH_TOKEN=${keyOf(to)}
export ANTHROPIC_MODEL=${to.model} ANTHROPIC_DEFAULT_OPUS_MODEL=${to.model} ANTHROPIC_DEFAULT_SONNET_MODEL=${to.model} ANTHROPIC_DEFAULT_HAIKU_MODEL=${to.model}
export CLAUDE_CODE_MAX_CONTEXT_TOKENS=${to.context} CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1`,
    },
  ],
  notes: [
    'Leave ANTHROPIC_API_KEY unset: with both it sends both.',
    'An env block in ~/.claude/settings.json wins over these variables.',
  ],
  launch: {
    program: 'claude',
    get: 'npm install -g @anthropic-ai/claude-code',
    // Its own settings files win over the environment, and --settings over them; the key comes by a command, so that it stands in no file and no list of processes.
    env: (to) => ({ ANTHROPIC_API_KEY: undefined, ANTHROPIC_AUTH_TOKEN: undefined, ...variables(to) }),
    args: (to) => [
      '--settings',
      JSON.stringify({
        env: { ...variables(to), ANTHROPIC_API_KEY: '', ANTHROPIC_AUTH_TOKEN: '' },
        apiKeyHelper: `printenv ${keyVariable}`,
      }),
    ],
  },
  seen: { run: '2.1.332' },
}

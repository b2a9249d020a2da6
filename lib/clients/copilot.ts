import { type Client, type Connection, keyOf } from './client.ts'

const variables = (to: Connection): Record<string, string> => ({
  COPILOT_PROVIDER_BASE_URL: `${to.base}/v1`,
  COPILOT_PROVIDER_API_KEY: keyOf(to),
  COPILOT_PROVIDER_WIRE_API: 'responses',
  COPILOT_MODEL: to.model,
  COPILOT_OFFLINE: 'true',
})

/** GitHub's agent for the terminal. */
export const copilot: Client = {
  name: 'copilot',
  title: 'GitHub Copilot CLI',
  kind: 'agent',
  groups: ['responses', 'openai'],
  snippets: (to) => [
    {
      where: 'shell',
      text: Object.entries(variables(to))
        .map(([name, value]) => `export ${name}=${value}`)
        .join('\n'),
    },
  ],
  notes: ['It shows a refusal as "Authentication failed", whatever was refused.'],
  launch: {
    program: 'copilot',
    get: 'npm install -g @github/copilot',
    env: variables,
    args: () => [],
  },
  seen: { run: '1.0.102' },
}

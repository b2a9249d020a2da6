/** A real client from its registry, and how it is asked one question without a person. */
export interface Real {
  /** packages of npm with their versions; the first one is the client */
  npm?: string[]
  /** packages of PyPI with their versions */
  pip?: string[]
  /** what stands behind the last line of the shell snippet, or is a line of its own; BASE, MODEL and KEY are what a person types into fields */
  ask?: string
  /** what it reads, such as a key that is asked for */
  input?: 'key'
  /** variables that keep it from calling its maker */
  env?: Record<string, string>
  /** words after `rop launch NAME --` */
  launch?: string[]
}

const hello = "'Say hello'"
const ai = 'ai@7.0.173'

/** By the name of the record whose snippets it is told. Versions are pinned: these are the ones that the records name. */
export const reals: Record<string, Real> = {
  claude: {
    npm: ['@anthropic-ai/claude-code@2.1.332'],
    ask: `\nclaude -p ${hello}`,
    env: { DISABLE_AUTOUPDATER: '1' },
    launch: ['-p', 'Say hello'],
  },
  codex: {
    npm: ['@openai/codex@0.171.0'],
    ask: `\ncodex exec --skip-git-repo-check ${hello}`,
    launch: ['exec', '--skip-git-repo-check', 'Say hello'],
  },
  opencode: { npm: ['opencode-ai@1.18.33'], ask: `\nopencode run ${hello}`, launch: ['run', 'Say hello'] },
  qwen: { npm: ['@qwen-code/qwen-code@0.24.4'], ask: `\nqwen -p ${hello}`, launch: ['-p', 'Say hello'] },
  copilot: { npm: ['@github/copilot@1.0.102'], ask: `\ncopilot -p ${hello}`, launch: ['-p', 'Say hello'] },
  aider: {
    pip: ['aider-chat==0.86.2'],
    ask: ` --message ${hello} --yes-always --no-git --no-check-update --no-analytics`,
    launch: ['--message', 'Say hello', '--yes-always', '--no-git', '--no-check-update', '--no-analytics'],
  },
  continue: { npm: ['@continuedev/cli@1.5.47'], ask: `\ncn -p ${hello}` },
  pi: { npm: ['@mariozechner/pi-coding-agent@0.73.1'], ask: ` -p ${hello}`, env: { PI_OFFLINE: '1' } },
  cline: {
    npm: ['cline@3.0.65'],
    ask: `cline auth -p openai -k "$KEY" -m "$MODEL" -b "$BASE/v1"\ncline ${hello}`,
  },
  llm: { pip: ['llm==0.36'], input: 'key' },
  openai: { npm: ['openai@7.55.0'] },
  anthropic: { npm: ['@anthropic-ai/sdk@1.11.0'] },
  'ollama-js': { npm: ['ollama@0.6.4'] },
  'ai-sdk': { npm: ['@ai-sdk/openai-compatible@3.0.92', ai] },
  'ai-sdk-openai': { npm: ['@ai-sdk/openai@4.0.118', ai] },
  'ai-sdk-anthropic': { npm: ['@ai-sdk/anthropic@4.0.105', ai] },
  'ai-sdk-ollama': { npm: ['ai-sdk-ollama@4.3.0', ai] },
  'langchain-openai': { npm: ['@langchain/openai@1.6.0', '@langchain/core@1.4.0'] },
  'langchain-anthropic': { npm: ['@langchain/anthropic@1.5.11', '@langchain/core@1.4.0'] },
  'langchain-ollama': { npm: ['@langchain/ollama@1.3.0', '@langchain/core@1.4.0'] },
  'openai-python': { pip: ['openai==3.52.0'] },
  'anthropic-python': { pip: ['anthropic==2.11.0'] },
  'ollama-python': { pip: ['ollama==0.6.3'] },
  litellm: { pip: ['litellm==1.83.0'] },
  curl: {},
}

/** Why the others are not asked here. */
export const not: Record<string, string> = {
  gemini: 'it cannot be connected',
  zed: 'an editor, which is no package of npm or PyPI',
  vscode: 'an editor, which is no package of npm or PyPI',
  cursor: 'it cannot be connected',
  'open-webui': 'a service of its own, which is set up in a browser',
  ollama: 'no package of npm or PyPI; sandbox/stories/clients.test.ts asks with the program in the box',
  n8n: 'a service of its own, which is set up in a browser',
  'home-assistant': 'a service of its own, which is set up in a browser',
  ios: 'it cannot be connected',
}

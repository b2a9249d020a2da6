/** One row of what clients may ask: the gateway's rules, the probes, the refusals and the table of docs/endpoints.md come from here. */
export interface Endpoint {
  method: string
  /** `{model}` and `{digest}` stand for one variable part */
  path: string
  group: Group
  family: 'v1' | 'api' | 'other'
  answer: 'forward' | 'gateway' | 'refuse'
  backend?: 'inference' | 'metadata' | 'metrics' | 'connect'
}

/** Why a group is where it is: `open` in the default preset, `optional` by settings, `admin` by a key that was made for it, `never` in this version. */
export const groups = {
  openai: { access: 'open', what: 'OpenAI-compatible chat and model list' },
  responses: { access: 'open', what: 'OpenAI-compatible responses (Codex)' },
  anthropic: { access: 'open', what: 'Anthropic-compatible messages (Claude Code)' },
  metadata: { access: 'open', what: 'version, model names and details (`show` tells prompts and a path in your home)' },
  probe: { access: 'open', what: 'is anybody there; answered by the gateway itself' },
  'count-tokens': { access: 'open', what: 'a quiet refusal: Ollama has no such route, clients then estimate' },
  embeddings: { access: 'optional', what: 'embeddings; can push the chat model out of memory' },
  native: { access: 'optional', what: "Ollama's own chat and generate; `options` and `keep_alive` can exhaust memory" },
  completions: { access: 'optional', what: 'plain completions for editors' },
  audio: { access: 'optional', what: 'speech to text; large uploads' },
  status: { access: 'optional', what: 'which models are loaded' },
  launch: { access: 'optional', what: 'what `ollama launch` asks' },
  web: { access: 'never', what: "needs Ollama's cloud, which is switched off" },
  images: { access: 'never', what: 'image generation, gone from newer Ollama' },
  manage: { access: 'admin', what: 'download, delete, create, copy and upload models' },
  account: { access: 'never', what: "the owner's Ollama account" },
  // The place in this table is a bit in the keys' records, so what is new comes last.
  metrics: { access: 'optional', what: 'who used what, for Prometheus; never without a key that names this group' },
  connect: { access: 'open', what: 'a page for a browser: how to connect, with the models of whoever opens it' },
} as const satisfies Record<string, { access: 'open' | 'optional' | 'admin' | 'never'; what: string }>

export type Group = keyof typeof groups

/** Whether settings and keys' groups can open it. */
export const openable = (group: Group): boolean => ['open', 'optional'].includes(groups[group].access)

/** Names that stand for several groups. */
export const presets: Record<string, Group[]> = {
  agents: ['openai', 'responses', 'anthropic', 'metadata', 'probe', 'count-tokens', 'connect'],
  'ollama-cli': [
    'openai',
    'responses',
    'anthropic',
    'metadata',
    'probe',
    'count-tokens',
    'connect',
    'native',
    'status',
    'launch',
  ],
  rag: ['openai', 'responses', 'anthropic', 'metadata', 'probe', 'count-tokens', 'connect', 'embeddings'],
}

type Shape = Pick<Endpoint, 'answer' | 'backend'>
const inference: Shape = { answer: 'forward', backend: 'inference' }
const metadata: Shape = { answer: 'forward', backend: 'metadata' }
const metrics: Shape = { answer: 'forward', backend: 'metrics' }
const gateway: Shape = { answer: 'gateway' }
const page: Shape = { answer: 'gateway', backend: 'connect' }
const refuse: Shape = { answer: 'refuse' }

function row(method: string, path: string, group: Group, shape: Shape): Endpoint {
  const family = path.startsWith('/v1/') ? 'v1' : path.startsWith('/api/') ? 'api' : 'other'
  return { method, path, group, family, ...shape }
}

/** Every route of a known Ollama, and what the gateway does with it (facts: Ollama v0.24.0 to v0.33.0-rc2 `server/routes.go`). */
export const endpoints: Endpoint[] = [
  row('POST', '/v1/chat/completions', 'openai', inference),
  row('GET', '/v1/models', 'openai', metadata),
  row('GET', '/v1/models/{model}', 'openai', metadata),
  row('POST', '/v1/responses', 'responses', inference),
  row('POST', '/v1/messages', 'anthropic', inference),
  row('GET', '/api/version', 'metadata', metadata),
  row('HEAD', '/api/version', 'metadata', metadata),
  row('GET', '/api/tags', 'metadata', metadata),
  row('HEAD', '/api/tags', 'metadata', metadata),
  row('POST', '/api/show', 'metadata', metadata),
  row('GET', '/', 'probe', gateway),
  row('HEAD', '/', 'probe', gateway),
  row('HEAD', '/api/hello', 'probe', gateway),
  row('GET', '/healthz', 'probe', gateway),
  row('HEAD', '/healthz', 'probe', gateway),
  row('POST', '/v1/messages/count_tokens', 'count-tokens', refuse),
  row('GET', '/api/ps', 'status', metadata),
  row('POST', '/v1/embeddings', 'embeddings', inference),
  row('POST', '/api/embed', 'embeddings', inference),
  row('POST', '/api/embeddings', 'embeddings', inference),
  row('POST', '/api/chat', 'native', inference),
  row('POST', '/api/generate', 'native', inference),
  row('POST', '/v1/completions', 'completions', inference),
  row('POST', '/v1/audio/transcriptions', 'audio', inference),
  row('GET', '/api/status', 'launch', metadata),
  row('GET', '/api/experimental/model-recommendations', 'launch', metadata),
  row('POST', '/api/experimental/web_search', 'web', refuse),
  row('POST', '/api/experimental/web_fetch', 'web', refuse),
  row('POST', '/api/pull', 'manage', refuse),
  row('POST', '/api/push', 'manage', refuse),
  row('POST', '/api/create', 'manage', refuse),
  row('POST', '/api/copy', 'manage', refuse),
  row('DELETE', '/api/delete', 'manage', refuse),
  row('HEAD', '/api/blobs/{digest}', 'manage', refuse),
  row('POST', '/api/blobs/{digest}', 'manage', refuse),
  row('POST', '/v1/images/generations', 'images', refuse),
  row('POST', '/v1/images/edits', 'images', refuse),
  row('POST', '/api/me', 'account', refuse),
  row('POST', '/api/signout', 'account', refuse),
  row('DELETE', '/api/user/keys/{digest}', 'account', refuse),
  row('GET', '/metrics', 'metrics', metrics),
  row('GET', '/connect', 'connect', page),
  row('HEAD', '/connect', 'connect', page),
]

/** A letter of a model's name, a dot and a slash, each plain or escaped: some clients escape the colon, and Ollama takes off whatever is escaped. */
const letter = '([A-Za-z0-9_:-]|%(3[0-9Aa]|4[1-9A-Fa-f]|5[0-9AaFf]|6[1-9A-Fa-f]|7[0-9Aa]|2[Dd]))'
const dot = '([.]|%2[Ee])'
const segment = `${letter}(${dot}?${letter})*${dot}?`

/** `{model}`: segments of letters joined by slashes, none beginning with a dot or holding two in a row. */
export const modelPath = `^/v1/models/${segment}((/|%2[Ff])${segment})*$`

/** The groups that presets and names stand for, each once, in the table's order. */
export function expandGroups(names: string[]): Group[] {
  const wanted = new Set(names.flatMap((name) => presets[name] ?? [name as Group]))
  return (Object.keys(groups) as Group[]).filter((group) => wanted.has(group))
}

/** The rows that pass to Ollama under these groups. */
export const openRows = (open: Group[]): Endpoint[] =>
  endpoints.filter((endpoint) => endpoint.answer === 'forward' && open.includes(endpoint.group))

/** The rows that the gateway answers itself, or its observer does. */
export const gatewayRows = (open: Group[]): Endpoint[] =>
  endpoints.filter((endpoint) => endpoint.answer === 'gateway' && open.includes(endpoint.group))

/** Known routes that must be refused under these groups. */
export const closedRows = (open: Group[]): Endpoint[] =>
  endpoints.filter((endpoint) => endpoint.answer === 'refuse' || !open.includes(endpoint.group))

/** What a key made with --admin may ask beside the open rows; refused to everybody else, whatever the settings open. */
export const adminRows = (): Endpoint[] => endpoints.filter(({ group }) => groups[group].access === 'admin')

/** No blob can be called that: Ollama asks for 64 hexadecimal digits before it reads a body, and keeps a body whose digest is another. */
export const noDigest = `sha256:${'0'.repeat(63)}g`

/** A request target for a row: `{model}` and `{digest}` filled in. */
export const target = (endpoint: Endpoint, model = 'no-such-model'): string =>
  endpoint.path.replace('{model}', model.replaceAll('/', '%2F')).replace('{digest}', noDigest)

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']

/** Every other method on a path that is open, as refusals to probe. */
export function otherMethods(open: Group[]): { method: string; path: string }[] {
  const rows = [...openRows(open), ...gatewayRows(open)]
  const paths = [...new Set(rows.map((endpoint) => endpoint.path))]
  return paths.flatMap((path) =>
    methods
      .filter((method) => !rows.some((endpoint) => endpoint.path === path && endpoint.method === method))
      .map((method) => ({ method, path })),
  )
}

/** The table of docs/endpoints.md, in Markdown. */
export function endpointTable(): string {
  const lines = Object.entries(groups).map(([name, group]) => {
    const rows = endpoints.filter((endpoint) => endpoint.group === name)
    const list = rows.map((endpoint) => `\`${endpoint.method} ${endpoint.path}\``).join('<br>')
    return `| \`${name}\` | ${list} | ${words[group.access]} | ${group.what} |`
  })
  return ['| group | rows | access | what |', '| --- | --- | --- | --- |', ...lines].join('\n')
}

const words = { open: 'open', optional: 'by settings', admin: 'only by a key made with `--admin`', never: 'never' }

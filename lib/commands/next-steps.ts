import { jobsOf, labels, places, platformOf } from '../platform/here.ts'
import { reachableAs } from '../platform/tailscale.ts'
import type { Machine } from '../site/machine.ts'
import { contextLength } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'

/** What to type next: addresses, one curl, settings for clients, who may come, how to run the jobs. */
export function nextSteps(machine: Machine, setup: Setup, model?: string): string {
  if (setup.mode === 'local')
    return `Next steps\n  Ollama answers on this Mac only: http://127.0.0.1:${setup.settings.engine.port}\n  Run install.ts again to add the proxy and remote access.`
  const port = portOf(setup)
  const base = baseUrl(machine, setup)
  const key = setup.mode === 'proxy' && setup.settings.access !== 'tailnet' ? 'KEY' : undefined
  const name = model ?? 'MODEL'
  return [
    'Next steps',
    `  OpenAI-compatible base URL:    ${base}/v1`,
    `  Anthropic-compatible base URL: ${base}`,
    '',
    '  From another device of your tailnet:',
    `    curl ${key ? `-H 'Authorization: Bearer ${key}' ` : ''}${base}/api/version`,
    '    {"version":"…"}',
    '',
    indent(clients(base, name, contextLength(setup.settings, machine.memory), key)),
    '',
    indent(policy(machine, port)),
    '',
    indent(services(machine)),
    '',
    '  Upgrades (install.ts upgrades nothing that is new enough; afterwards it reloads HAProxy without dropping a stream):',
    `    ${platformOf(machine).packages.typed(machine.packager, 'upgrade', 'ollama', 'haproxy')} && npx tsx install.ts`,
  ].join('\n')
}

const portOf = (setup: Setup): number => (setup.mode === 'proxy' ? setup.settings.port : setup.settings.engine.port)

/** The address to give to clients, without a path. */
export const baseUrl = (machine: Machine, setup: Setup): string =>
  `http://${reachableAs(machine.tailscale) ?? 'HOST'}:${portOf(setup)}`

const indent = (text: string): string =>
  text
    .split('\n')
    .map((line) => (line ? `  ${line}` : line))
    .join('\n')

/** Settings as the clients took them when they were tried (facts: clients.md §9, §12.5). Where no key is asked for, clients still want some word. */
export function clients(base: string, model: string, context: number, key = 'ollama'): string {
  return `Claude Code (leave ANTHROPIC_API_KEY unset):
  export ANTHROPIC_BASE_URL=${base}
  export ANTHROPIC_AUTH_TOKEN=${key}
  export ANTHROPIC_MODEL=${model} ANTHROPIC_DEFAULT_OPUS_MODEL=${model} ANTHROPIC_DEFAULT_SONNET_MODEL=${model} ANTHROPIC_DEFAULT_HAIKU_MODEL=${model}
  export CLAUDE_CODE_MAX_CONTEXT_TOKENS=${context} CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1

Codex (~/.codex/config.toml):
  model = "${model}"
  model_provider = "mac"
  model_context_window = ${context}
  web_search = "disabled"
  [model_providers.mac]
  name = "Mac"
  base_url = "${base}/v1"
  wire_api = "responses"
${key === 'ollama' ? '' : `  env_key = "MAC_API_KEY"   # export MAC_API_KEY=${key}\n`}  request_max_retries = 1
  stream_max_retries = 2
  stream_idle_timeout_ms = 900000

opencode (opencode.json):
  {"model":"mac/${model}","small_model":"mac/${model}","provider":{"mac":{"npm":"@ai-sdk/openai-compatible","name":"Mac","options":{"baseURL":"${base}/v1","apiKey":"${key}"},"models":{"${model}":{"name":"${model}","limit":{"context":${context},"output":8192}}}}}}

Continue (~/.continue/config.yaml):
  name: mac
  version: 0.0.1
  schema: v1
  models:
    - name: ${model}
      provider: openai
      model: ${model}
      apiBase: ${base}/v1
      apiKey: ${key}
      roles: [chat, edit, apply]

Aider:
  export OPENAI_API_BASE=${base}/v1 OPENAI_API_KEY=${key}
  aider --model openai/${model}

Qwen Code (settings: security.auth.selectedType "openai", tools.toolSearch.enabled false):
  export OPENAI_BASE_URL=${base}/v1 OPENAI_API_KEY=${key} OPENAI_MODEL=${model}

SDKs:
  new OpenAI({ baseURL: '${base}/v1', apiKey: '${key}' })
  new Anthropic({ baseURL: '${base}', authToken: '${key}', apiKey: null })`
}

/** Grants add up, and the default policy allows everything (tailscale.com/kb/1542). They name this machine by its addresses: a tag that nobody has set would let nobody in. */
function policy({ tailscale }: Pick<Machine, 'tailscale'>, port: number): string {
  const own = [tailscale.ipv4, tailscale.ipv6].flatMap((address) => address ?? [])
  return `Who may come in (https://login.tailscale.com/admin/acls). Grants add up, so this one restricts nobody while the default allow-all
rule stands; without that rule your devices reach only what your own grants name, so write those down first:
  "grants": [ { "src": ["autogroup:member"], "dst": ${JSON.stringify(own.length > 0 ? own : ['100.x.y.z'])}, "ip": ["tcp:${port}"] } ]`
}

function services(machine: Machine): string {
  const at = places(machine)
  const { typed } = jobsOf(machine)
  const block = (label: string, log: string) =>
    [
      `${label}:`,
      ...Object.entries(typed.all(label, log)).map(([verb, command]) => `  ${verb.padEnd(8)} ${command}`),
    ].join('\n')
  return `${block(labels.engine, `${at.logs}/ollama.log`)}\n${block(labels.gateway, at.requestLog)}
(${typed.note})`
}

import { clients as known } from '../clients/index.ts'
import { snippetText } from '../clients/text.ts'
import { called, typed } from '../host/typed.ts'
import { jobsOf, labels, places, platformOf } from '../platform/here.ts'
import { reachableAs } from '../platform/tailscale.ts'
import type { Machine } from '../site/machine.ts'
import { contextLength } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'

/** What to type next: addresses, one curl, settings for clients, who may come, how to run the jobs. */
export function nextSteps(machine: Machine, setup: Setup, model?: string): string {
  if (setup.mode === 'local')
    return `Next steps\n  Ollama answers on ${platformOf(machine).words.here} only: http://127.0.0.1:${setup.settings.engine.port}\n  Run ${called('install')} again to add the proxy and remote access.`
  const port = portOf(setup)
  const base = baseUrl(machine, setup)
  const key = setup.mode === 'proxy' && setup.settings.access !== 'tailnet' ? 'KEY' : undefined
  const name = model ?? 'MODEL'
  return [
    'Next steps',
    `  OpenAI-compatible base URL:    ${base}/v1`,
    `  Anthropic-compatible base URL: ${base}`,
    '',
    `  From ${devices(machine)}:`,
    `    curl ${key ? `-H 'Authorization: Bearer ${key}' ` : ''}${base}/api/version`,
    '    {"version":"…"}',
    '',
    indent(clients(base, name, contextLength(setup.settings, machine.memory), key)),
    '',
    indent(policy(machine, port)),
    '',
    indent(services(machine)),
    '',
    `  Upgrades (${called('install')} upgrades nothing that is new enough; afterwards it reloads HAProxy without dropping a stream):`,
    `    ${platformOf(machine).packages.typed(machine.packager, 'upgrade', 'ollama', 'haproxy')} && ${typed('install')}`,
  ].join('\n')
}

const portOf = (setup: Setup): number => (setup.mode === 'proxy' ? setup.settings.port : setup.settings.engine.port)

/** Where clients find a machine whose own address nobody else knows: by the first of the names that its owner gave. */
function named(machine: Machine, { settings: { hosts, port } }: Setup): string | undefined {
  const [first] = platformOf(machine).door ? hosts : []
  return first === undefined || /:\d+$/.test(first) ? first : `${first}:${port}`
}

/** The address to give to clients, without a path. */
export const baseUrl = (machine: Machine, setup: Setup): string =>
  `http://${named(machine, setup) ?? `${reachableAs(machine.tailscale) ?? 'HOST'}:${portOf(setup)}`}`

/** From where one may ask: a machine that no tailnet leads to is asked by whoever has a key. */
export const devices = (machine: Machine): string =>
  platformOf(machine).door ? 'another device' : 'another device of your tailnet'

const indent = (text: string): string =>
  text
    .split('\n')
    .map((line) => (line ? `  ${line}` : line))
    .join('\n')

/** What the best known clients are told, and where the rest is. */
export function clients(base: string, model: string, context: number, key?: string): string {
  const to = { base, model, context, ...(key === undefined ? {} : { key }) }
  const texts = shown.map((client) => `${client.title}\n${indent(snippetText(client, to))}`)
  return [...texts, `Others (${known.length} are known): ${typed('connect')}`].join('\n\n')
}

const shown = ['claude', 'codex', 'opencode', 'continue', 'aider', 'qwen', 'openai', 'anthropic'].flatMap(
  (name) => known.find((client) => client.name === name) ?? [],
)

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
  return `${block(labels(machine).engine, `${at.logs}/ollama.log`)}\n${block(labels(machine).gateway, at.requestLog)}
(${typed.note})`
}

import { type Client, type Connection, keyOf } from './client.ts'
import { clients } from './index.ts'
import { kinds, languageOf, missingGroups, placeOf } from './text.ts'

const example: Connection = {
  base: 'http://studio.tail1234.ts.net:11434',
  model: 'qwen3-coder:30b',
  context: 65_536,
  key: 'KEY',
}

/** docs/clients.md: every client with what it is told. */
export function clientsDoc(): string {
  const sections = Object.entries(kinds).map(([kind, words]) => {
    const ones = clients.filter((client) => client.kind === kind)
    return `## ${capital(words)}\n\n${ones.map(section).join('\n\n')}`
  })
  return `# Clients

<!-- Written from lib/clients by \`npm run clients:doc\`. -->

What each client is told. \`rop connect NAME\` prints the same with your own address, a model that is installed and your
key; here it is ${example.base}, ${example.model} and ${keyOf(example)}. Where \`access: tailnet\` asks for no key, clients that want
some word are given \`ollama\`. "Run" names the version that was run against such a server, "read" where it was read.

The gateway is HAProxy as this project sets it up, your tailnet your private network of Tailscale's, and a group some requests that
settings.yaml has [opened together](endpoints.md).

${table()}

${sections.join('\n\n')}
`
}

function table(): string {
  const rows = clients.map(({ name, title, groups, never, launch, seen }) => {
    const needs = never ? 'cannot be connected' : groups.map((group) => `\`${group}\``).join(', ')
    return `| \`${name}\` | ${title} | ${needs} | ${launch ? `\`rop launch ${name}\`` : ''} | ${how(seen)} |`
  })
  return ['| name | client | asks | starts by | known by |', '| --- | --- | --- | --- | --- |', ...rows].join('\n')
}

const how = (seen: Client['seen']): string => ('run' in seen ? `run, ${seen.run}` : `read, ${seen.read}`)

function section(client: Client): string {
  const closed = client.never ? [] : missingGroups(client, ['agents'])
  const needs = closed.map((group) => `\`${group}\``).join(', ')
  const texts = [
    `### ${client.title}`,
    ...(client.never ? [client.never] : []),
    ...(closed.length > 0
      ? [`Needs what settings.yaml opens with \`groups: [agents, ${closed.join(', ')}]\`: ${needs}.`]
      : []),
    ...client
      .snippets(example)
      .map(
        ({ where, text, instead }) =>
          `${placeOf({ where, text, instead })}:\n\n\`\`\`${languageOf({ where })}\n${text}\n\`\`\``,
      ),
    ...(client.notes && client.notes.length > 0 ? [client.notes.map((note) => `- ${note}`).join('\n')] : []),
  ]
  return texts.join('\n\n')
}

const capital = (word: string): string => `${word.charAt(0).toUpperCase()}${word.slice(1)}`

import { expandGroups, type Group } from '../site/endpoints.ts'
import type { Client, Connection, Snippet } from './client.ts'

/** The kinds in the order in which they are shown, in words. */
export const kinds: Record<Client['kind'], string> = {
  agent: 'agents',
  editor: 'editors',
  chat: 'chats',
  library: 'libraries',
  automation: 'automation',
  phone: 'phones',
}

const languages: [ending: RegExp, language: string][] = [
  [/\.toml$/, 'toml'],
  [/\.json$/, 'json'],
  [/\.yaml\b/, 'yaml'],
  [/^shell$/, 'sh'],
  [/^JavaScript$/, 'js'],
  [/^Python$/, 'python'],
]

/** The language that a snippet is written in, as Markdown names it; `text` for fields of a page of settings. */
export const languageOf = ({ where }: Pick<Snippet, 'where'>): string =>
  languages.find(([ending]) => ending.test(where))?.[1] ?? 'text'

/** Where a snippet goes, with `or` where it takes the place of the one before. */
export const placeOf = ({ where, instead }: Snippet): string => (instead ? `or, instead, ${where}` : where)

const place = ({ where, instead }: Snippet): string =>
  `${instead ? 'Or, instead, in' : 'In'} ${where === 'shell' ? 'your shell' : where}:`

/** What to paste, each part under the place where it goes; why there is nothing, where it cannot be connected. */
export function snippetText(client: Client, to: Connection): string {
  if (client.never) return `${client.title} cannot be connected: ${client.never}`
  return client
    .snippets(to)
    .map((snippet) => `${place(snippet)}\n\n${snippet.text}`)
    .join('\n\n')
}

/** The groups that a client asks and these settings do not open; `probe` and `count-tokens` it can do without. */
export function missingGroups({ groups }: Client, open: string[]): Group[] {
  const opened = expandGroups(open)
  return groups.filter((group) => !opened.includes(group) && group !== 'probe' && group !== 'count-tokens')
}

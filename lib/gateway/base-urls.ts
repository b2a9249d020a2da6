import { type Endpoint, endpoints, type Group, openable } from '../site/endpoints.ts'

/** The names that Ollama's own clients put behind their base URL, and those that OpenAI's and Anthropic's put behind theirs. */
const native = [
  'chat',
  'generate',
  'embed',
  'tags',
  'show',
  'ps',
  'version',
  'pull',
  'push',
  'create',
  'copy',
  'delete',
]
const compatible = ['chat/completions', 'completions', 'responses', 'messages', 'models', 'embeddings']

/**
 * Beginnings of paths -> whose client asks: Ollama's own, which prints an error that is a text, or another one, which prints
 * an object's message. The longest that fits counts (HAProxy's map_beg), so a client with a wrong base URL reads why, too;
 * where none fits it is another one.
 */
export const families: [beginning: string, family: 'api' | 'v1'][] = [
  ...['/api/', '//api/', '/v1/api/', '/ollama/api/'].map((path): [string, 'api'] => [path, 'api']),
  ...native.flatMap((name): [string, 'api'][] => [
    [`/${name}`, 'api'],
    [`/v1/${name}`, 'api'],
  ]),
  ...['/chat/completions', '/v1/chat/completions', '/embeddings', '/v1/embeddings', '/api/v1/'].map(
    (path): [string, 'v1'] => [path, 'v1'],
  ),
  ...compatible.filter((name) => name !== 'embeddings').map((name): [string, 'v1'] => [`/api/${name}`, 'v1']),
]

/** In whose shape a path is refused. */
export const familyOf = (path: string): 'api' | 'v1' =>
  families
    .filter(([beginning]) => path.startsWith(beginning))
    .sort(([one], [two]) => two.length - one.length)[0]?.[1] ?? 'v1'

const any = (names: string[]): string => `(${names.join('|')})`
const other = any(compatible.filter((name) => name !== 'embeddings'))

/** Usual mistakes in a client's base URL, by the path they come to (extended regular expressions; the first that fits counts), and what to write instead. */
const mistakes: [path: string, words: string][] = [
  ['(/.*)?//.*', 'has two slashes in a row; give this client a base URL without a slash at its end.'],
  ['/v1/v1(/.*)?', 'has /v1 twice; give this client a base URL without /v1.'],
  ['/api/api(/.*)?', 'has /api twice; give this client a base URL without /api.'],
  ['/v1/api(/.*)?', 'has /v1 before /api; give this client the base URL http://HOST:PORT, without /v1.'],
  [`/api/v1(/.*)?|/api/${other}`, 'mixes two APIs; the base URL is http://HOST:PORT/v1, without /api.'],
  [`/v1/${any(native)}`, 'mixes two APIs; give this client the base URL http://HOST:PORT, without /v1.'],
  ['/(v1|api)/?', 'is no more than a base URL; clients put the rest behind it, such as /v1/models or /api/tags.'],
  ['/v1beta/.*', 'is the API of Gemini, which Ollama does not speak.'],
  [`/${any(compatible)}(/.*)?`, 'lacks /v1; give this client a base URL that ends in /v1.'],
  [
    `/${any(native)}`,
    'lacks /api; give this client a base URL that ends in /api, or with none if it adds /api itself.',
  ],
  ['/[^/]+/v1/.*', 'has something before /v1; give this client the base URL http://HOST:PORT/v1.'],
  ['/[^/]+/api/.*', 'has something before /api; give this client the base URL http://HOST:PORT, without a path.'],
]

/** A path as a regular expression takes it. */
const literally = (path: string): string => path.replaceAll('.', '\\.').replace('{model}', '[^/]+')

/** Paths that are asked with another method, also those whose group is not open. */
function methods(open: Group[]): [string, string][] {
  const rows = endpoints.filter((row) => row.answer !== 'refuse' && openable(row.group))
  return [...new Set(rows.map(({ path }) => path))].map((path) => {
    const here = rows.filter((row) => row.path === path)
    const closed = here.find(({ group }) => !open.includes(group))
    const taken = here.map(({ method }) => method).join(' and ')
    return [literally(path), `takes ${taken} only${closed ? ` (and its group ${closed.group} is not enabled)` : ''}.`]
  })
}

const known = ({ group }: Endpoint): boolean => openable(group)
const ended: [string, string][] = [
  [
    `${any([...new Set(endpoints.filter(known).map(({ path }) => path))].filter((path) => path !== '/').map(literally))}/`,
    'ends in a slash, and this server knows it without.',
  ],
]

/** A GET of a model that gets here is not wrong by its method: its group is not open, or its name is none. */
const named = (open: Group[]): string =>
  open.includes('openai')
    ? 'names no model; such a name has up to 200 letters, digits and . _ - : / alone.'
    : 'is not enabled on this server (group: openai).'

/** `METHOD:path` as a regular expression -> what was probably meant, in the words after the path. */
export const hints = (open: Group[]): string =>
  [...[...ended, ...mistakes].map(hint), `^GET:/v1/models/.+$ ${named(open)}\n`, ...methods(open).map(hint)].join('')

const hint = ([path, words]: [string, string]): string => `^[^:]*:(${path})$ ${words}\n`

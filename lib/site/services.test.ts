import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { type Kinds, parseKind, readKinds } from './service-kinds.ts'
import { servicesOf } from './services.ts'
import { parseSettings } from './settings.ts'

const folder = new URL('../../templates/services/', import.meta.url)
const kinds: Kinds = Object.fromEntries(
  readdirSync(folder).map((file) => [
    file.replace('.yaml', ''),
    parseKind(readFileSync(new URL(file, folder), 'utf8')),
  ]),
)
const common = {
  tls: { 'ai.example.net': 'own-ca', '*.example.net': 'own-ca' },
  listeners: {
    tailnet: { tls_port: 11443 },
    lan: { addresses: ['192.168.78.1'], sources: ['192.168.78.0/24'], port: 11444 },
    public: { addresses: ['203.0.113.7'], port: 443 },
  },
}
const chat = { kind: 'open-webui', name: 'chat.example.net', backend: 'ui.example.net:8080', listeners: ['public'] }
const parse = (services: object, more: object = {}) =>
  parseSettings(stringify({ ...common, ...more, services }), 'settings.yaml', kinds)

test('every recipe is one that the schema knows, and the six that are promised are there', () => {
  expect(Object.keys(kinds).sort()).toEqual(['litellm', 'oauth2-proxy', 'open-webui', 'page', 'qdrant', 'vllm'])
})

test('no row that a recipe opens is among those that it says are closed, and none is twice', () => {
  for (const [name, kind] of Object.entries(kinds)) {
    if (kind.is !== 'api') continue
    const rows = Object.values(kind.rows).flatMap(({ inference, metadata }) => [...inference, ...metadata])
    expect(
      rows.filter((row) => kind.closed.includes(row)),
      name,
    ).toEqual([])
    expect(new Set(rows).size, name).toBe(rows.length)
    expect(rows, name).toContain(kind.proof)
  }
})

test('a folder with something else than a recipe is refused by name', async () => {
  const look = { list: async () => ['a.yaml', 'notes.txt'], read: async () => 'is: page\nwhat: x\nopen: everything\n' }
  await expect(readKinds(look, '/r')).rejects.toThrow('/r/a.yaml is no recipe of a service')
})

test('a service has the port of its listener unless it has its own', () => {
  const settings = parse({ chat, own: { ...chat, port: 12_000 } })
  expect(servicesOf(settings, kinds).map(({ id, port }) => [id, port])).toEqual([
    ['chat', undefined],
    ['own', 12_000],
  ])
})

test('who signs in on a page is sent there by its name, its port and the way of its kind', () => {
  const openai = { kind: 'litellm', name: 'openai.example.net', backend: '127.0.0.1:4000', sign_in: 'chat' }
  const of = (one: object) => servicesOf(parse({ chat: one, openai }), kinds)[1]?.signIn
  expect(of(chat)).toBe('https://chat.example.net/oauth/oidc/login')
  expect(of({ ...chat, port: 12_000 })).toBe('https://chat.example.net:12000/oauth/oidc/login')
  expect(of({ ...chat, kind: 'oauth2-proxy', listeners: ['lan'] })).toBe('https://chat.example.net:11444/oauth2/start')
})

const refused: [string, Record<string, object>, RegExp, object?][] = [
  [
    'a kind that is not known',
    { chat: { ...chat, kind: 'open-webiu' } },
    /services\.chat\.kind: one of .*; did you mean open-webui/,
  ],
  [
    'the name of a thing that every object has',
    { chat: { ...chat, kind: 'constructor' } },
    /services\.chat\.kind: one of/,
  ],
  [
    'a name without certificate',
    { chat: { ...chat, name: 'chat.example.org' } },
    /services\.chat\.name: a certificate is needed/,
  ],
  ['a wildcard', { chat: { ...chat, name: '*.example.net' } }, /services\.chat\.name: one name/],
  [
    'a name twice',
    { chat, other: { ...chat, port: 443 } },
    /services\.other\.name: another name or port than chat: both would be chat\.example\.net:443/,
  ],
  [
    'the gateway’s own name',
    { chat },
    /services\.chat\.name: another name or port: chat\.example\.net:443 is the gateway itself/,
    { hosts: ['chat.example.net'] },
  ],
  [
    'a node’s name',
    { chat: { ...chat, name: 'gpu-api.example.net' } },
    /is the gateway itself \(hosts, nodes\)/,
    { hosts: ['ai.example.net'], nodes: { gpu: { address: '10.0.0.7' } } },
  ],
  ['vLLM in public', { gpu: { ...chat, kind: 'vllm' } }, /services\.gpu\.listeners: vllm is never on public/],
  ['Qdrant in public', { vectors: { ...chat, kind: 'qdrant' } }, /qdrant is never on public/],
  [
    'a listener that is not there',
    { chat: { ...chat, listeners: ['lan'] } },
    /there is no listeners\.lan in settings\.yaml/,
    { listeners: {} },
  ],
  [
    'no port where there is none',
    { chat: { ...chat, listeners: ['tailnet'] } },
    /services\.chat\.port: a port is needed/,
    { listeners: {} },
  ],
  [
    'the port of plain http',
    { chat: { ...chat, listeners: ['tailnet'], port: 11434 } },
    /another port than 11434: it speaks plain http there/,
  ],
  ['the port of authorities', { chat: { ...chat, port: 80 } }, /authorities ask there/],
  [
    'a backend without port',
    { chat: { ...chat, backend: 'ui.example.net' } },
    /services\.chat\.backend: a name or an address with its port/,
  ],
  ['a backend that is a wildcard', { chat: { ...chat, backend: '0.0.0.0:80' } }, /a name or an address with its port/],
  [
    'a backend that would break out of a line',
    { chat: { ...chat, backend: 'a:80 check\nserver x' } },
    /a name or an address with its port/,
  ],
  ['a key for a page', { chat: { ...chat, key: 'file:~/k' } }, /services\.chat\.key: none/],
  [
    'a page that is none',
    { chat, api: { ...chat, kind: 'litellm', name: 'api.example.net', sign_in: 'chta' } },
    /services\.api\.sign_in: the name of a service that is a page; did you mean chat/,
  ],
  [
    'to sign in at an API',
    { api: { ...chat, kind: 'litellm', name: 'api.example.net', sign_in: 'api' } },
    /a service that is a page; api is LiteLLM/,
  ],
]

test.each(refused)('%s is refused, in words', (_what, services, words, more) => {
  expect(() => parse(services, more)).toThrow(words)
})

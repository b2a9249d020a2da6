import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { describe, expect, test } from 'vitest'
import { gateway } from '../../test/gateway.ts'
import { type Group, groups, openable } from '../site/endpoints.ts'
import { parseKind } from '../site/service-kinds.ts'
import { servicesOf } from '../site/services.ts'
import { parseSettings } from '../site/settings.ts'
import { render } from './config.ts'

const read = (name: string) => readFileSync(new URL(`../../templates/${name}`, import.meta.url), 'utf8')
const templates = { config: read('haproxy.cfg'), frontend: read('frontend.cfg') }

const everything = (Object.keys(groups) as Group[]).filter(openable).join()
const limits =
  '{ per_minute: 9, burst: 9, per_day: 1h, per_second: 1KB, all: { concurrent: 8 }, groups: { openai: { per_second: 1KB } }, rows: { "POST /v1/messages": { burst: 50 } } }'
const timeouts = '{ first_byte: 5m, silence: 60s, whole: 30m, queue: 9s, groups: { openai: { whole: 30s } } }'

/** Settings that each bring lines of their own, with names wherever a setting takes one. */
const settings = ['tailnet', 'keys', 'either'].flatMap((access) =>
  ['on', 'off'].flatMap((observer) =>
    ['off', 'errors', 'requests'].map((log) =>
      [
        ...[`access: ${access}`, `observer: ${observer}`, `log: ${log}`, `limits: ${limits}`, `timeouts: ${timeouts}`],
        `groups: [${everything.split(',').filter((name) => name !== 'metrics' || (access !== 'tailnet' && observer === 'on'))}]`,
        'hosts: [studio.example.net, localhost]',
        "origins: ['https://pages.example.net']",
        'people: { ann@example.com: { groups: [agents] }, device:tablet: { groups: [openai] } }',
        'alerts: { webhook: "https://hooks.example.net/hook" }',
      ].join('\n'),
    ),
  ),
)

const rendered = (yaml: string, home = '/Users/ada') =>
  render(
    {
      settings: parseSettings(yaml, 'settings.yaml'),
      listeners: [
        { name: 'tailnet', addresses: ['100.64.0.7', 'fd7a:115c:a1e0::7'], port: 11434, sources: ['100.64.0.0/10'] },
      ],
      hosts: ['studio.tail0lab.ts.net', 'studio'],
      home,
      system: 'mac',
    },
    templates,
  ).text

/** Where HAProxy's lines name somebody to talk to or to listen for: the word after the keyword, or after the name that follows it. */
const places: [RegExp, number][] = [
  [/^(bind|log|source|usesrc)$/, 1],
  [/^(server|peer|nameserver|mailer|server-template)$/, 2],
]

/** The words of a line, quoted ones whole. */
const wordsOf = (line: string): string[] => (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ''))

/** The addresses that HAProxy itself would have to look up, were they names. */
function placesIn(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const words = wordsOf(line.trim())
    const [first = '', second = ''] = words
    if (`${first} ${second}` === 'stats socket') return [words[2] ?? '']
    const at = places.find(([keyword]) => keyword.test(first))?.[1]
    return at === undefined || line.trim() === 'log global' ? [] : [words[at] ?? '']
  })
}

/** A number with a port, a path, or a file descriptor that is open already. */
const isPlain = (place: string): boolean => {
  const [, address = ''] = /^\[?([0-9a-f:.]+?)\]?:\d+$/i.exec(place) ?? []
  return isIP(address) !== 0 || place.startsWith('/') || place.startsWith('unix@/') || place === 'stdout'
}

/** What looks names up while requests are served, and in whose worker. */
const lookups =
  /do-resolve|set-dst(?!-port)|\bresolvers\b|init-addr|httpclient|http-check connect|tcp-check connect|\baddr\b/

// A worker that asks the system's resolver after the fork crashes on macOS 26 (getaddrinfo; haproxy/haproxy#3035 before that).
describe('HAProxy looks no name up', () => {
  test.each(settings)('with %s', (yaml) => {
    const text = rendered(yaml)
    const found = placesIn(text)
    expect(found).toEqual(expect.arrayContaining(['100.64.0.7:11434', '127.0.0.1:11434', '127.0.0.1:11436']))
    expect(found.filter((place) => !isPlain(place))).toEqual([])
    expect(text).not.toMatch(lookups)
  })

  test.each(['server engine ollama.local:11434', 'peer gateway localhost:11436', 'log logs.example.net:514 local0'])(
    'and a line such as %j would be seen',
    (line) => {
      expect(placesIn(line).filter((place) => !isPlain(place))).toHaveLength(1)
    },
  )

  test('and a home folder with a blank is no name either', () => {
    expect(placesIn(rendered('', '/Users/Ada Lovelace')).filter((place) => !isPlain(place))).toEqual([])
  })
})

test('localhost is 127.0.0.1, where engines listen, and not what a file of the machine has first', () => {
  const wanted = gateway(`
tls: { ai.example.net: own-ca }
nodes: { gpu: { address: localhost, port: 12500 } }
services: { page: { kind: page, name: ai.example.net, port: 14443, backend: 'localhost:18080' } }
`)
  const recipe = readFileSync(new URL('../../templates/services/page.yaml', import.meta.url), 'utf8')
  const services = servicesOf(wanted.settings, { page: parseKind(recipe) })
  const { text } = render({ ...wanted, services }, templates)
  const places = text.split('\n').flatMap((line) => /^\s*server (?:gpu\S*|page) (\S+)/.exec(line)?.[1] ?? [])
  expect(new Set(places)).toEqual(new Set(['127.0.0.1:12500', '127.0.0.1:18080']))
})

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Stop } from '../host/command.ts'
import { modelName } from './model-name.ts'
import { contextLength, openGroups, parseSettings, readSettings, settingsFile, spell } from './settings.ts'

const parse = (text: string) => parseSettings(text, '~/settings.yaml')

/** The faults of settings, as the person reads them. */
function faults(text: string): string {
  try {
    parse(text)
  } catch (error) {
    if (error instanceof Stop && error.code === 2) return error.message
    throw error
  }
  throw new Error('no fault was found')
}

describe('settings', () => {
  test('none at all are the defaults', () => {
    expect(parse('')).toEqual({
      ...{
        listen: 'tailnet',
        role: 'server',
        services: {},
        nodes: {},
        spread: 'when_full',
        affinity: 'on',
        firewall: 'off',
        listeners: {},
        tls: {},
        acme: {
          credentials: '~/.config/remote-ollama-proxy/acme.env',
          directory: 'https://acme-v02.api.letsencrypt.org/directory',
          resolvers: [],
          check_dns: true,
          port: 11437,
        },
        port: 11434,
        engine: { port: 11434 },
        peers: { port: 11436 },
        groups: ['agents'],
        access: 'tailnet',
        people: {},
        keyless: [],
        ban_after: 60,
        limits: {},
        timeouts: {},
        judged_body: 1024 ** 2,
        hosts: [],
        origins: [],
        models: [],
      },
      ...{
        inference: { slots: 4, parallel: 1 },
        queue: { wait: 90_000, max: 64 },
        models_folder: '~/.ollama/models',
        keep_alive: 1_800_000,
        context: 'auto',
      },
      ...{ body_limit: 32 * 2 ** 20, chunked_body: 102_400, log: 'errors', observer: 'on', metrics: { port: 9411 } },
      ...{ alerts: { notification: true }, drain: 600_000 },
    })
  })

  test('the annotated template is valid and says nothing but the defaults', () => {
    expect(parse(readFileSync(new URL('../../templates/settings.yaml', import.meta.url), 'utf8'))).toEqual(parse(''))
  })

  test('times and sizes have units', () => {
    const { queue, keep_alive, body_limit } = parse('queue: { wait: 700ms }\nkeep_alive: 2h\nbody_limit: 512KB')
    expect([queue.wait, keep_alive, body_limit]).toEqual([700, 7_200_000, 524_288])
    expect(faults('drain: 90')).toContain('drain: ')
    expect(faults('body_limit: 32')).toContain('body_limit: ')
    expect(faults('queue: { wait: 90 s }')).toContain('queue.wait: a time such as 90s, 30m or 2h')
  })

  test('a line that looks right says which letters of it are not what they look like', () => {
    expect(faults('access:\u00a0keys')).toContain(
      'line 1: access:?keys\n    (each ? there is a letter that cannot be seen',
    )
    expect(faults('access: keys\u200b')).toContain('line 1: access: keys?\n    (each ?')
    expect(faults('port: 8080\nhosts: [“ai.example.net”]')).toContain('(curly quotes are letters like others')
    expect(faults('\uFEFFaccess: key # “all”  \t\r')).toMatch(/line 1: access: key # “all”$/)
  })

  test('what two rules find wrong with one value is one fault', () => {
    expect(faults('origins: [https://chat.example.net/]')).toContain('~/settings.yaml has 1 fault; nothing')
  })

  test('every fault is told at once, with its key’s path', () => {
    const message = faults('port: 80\nengin: {}\ninference: { slots: 0, slot: 1 }\nmodels: ["a;b"]\nlog: all')
    expect(message).toContain('~/settings.yaml has 6 faults; nothing was changed.')
    for (const path of ['port', 'engin', 'inference.slots', 'inference.slot', 'models.0', 'log'])
      expect(message).toContain(`\n  ${path}: `)
    expect(message).toContain('engin: there is no such setting')
  })

  test('a wildcard listener is refused by name', () => {
    expect(faults('listen: 0.0.0.0')).toMatch(/listen: only "tailnet".*wildcard/)
    expect(faults('listen: 192.168.1.2')).toMatch(/listen: only "tailnet".*another listener, which listeners are for/)
  })

  test('a group that is never opened, and one that is unknown, are refused with a reason', () => {
    expect(faults('groups: [agents, manage]')).toContain('group "manage" cannot be opened')
    expect(faults('groups: [agnets]')).toMatch(/unknown group "agnets"; known are .*agents.*embeddings/)
    expect(faults('groups: []')).toContain('at least one group')
    expect(openGroups(parse('groups: [rag]'))).toContain('embeddings')
  })

  test('shared limits name a group or a row that asks a model', () => {
    const shared =
      '{ all: { concurrent: 3 }, groups: { embeddings: { burst: 2 } }, rows: { "POST /api/chat": { per_minute: 1 } } }'
    expect(parse(`limits: ${shared}`).limits.rows).toEqual({ 'POST /api/chat': { per_minute: 1 } })
    expect(faults('limits: { groups: { metadata: { burst: 1 } } }')).toContain('limits.groups.metadata: there is no')
    expect(faults('limits: { rows: { "GET /v1/models": { burst: 1 } } }')).toContain(
      'limits.rows.GET /v1/models: there is no',
    )
    expect(faults('limits: { all: { waiting: 1 } }')).toContain('limits.all.waiting: there is no such setting')
    expect(parse('limits: { per_second: 200KB, groups: { openai: { per_second: 1MB } } }').limits).toEqual({
      per_second: 204_800,
      groups: { openai: { per_second: 1_048_576 } },
    })
    expect(faults('limits: { per_second: 0KB }')).toContain('limits.per_second: from 1KB to 1GB')
    expect(faults('limits: { all: { per_second: 1MB } }')).toContain('limits.all.per_second: there is no such setting')
    expect(faults('ban_after: 39')).toContain('ban_after: a number from 40')
  })

  test('a time that HAProxy cannot count, a queue without a time, and a body without a byte are refused', () => {
    for (const wrong of ['drain: 597h', 'keep_alive: 999h', 'queue: { wait: 999h }'])
      expect(faults(wrong)).toMatch(/(drain|keep_alive|queue\.wait): a time of 596h at most/)
    expect(parse('drain: 596h').drain).toBe(596 * 3_600_000)
    expect(faults('queue: { wait: 0s }')).toContain('queue.wait: longer than 0s; queue.max: 0 is no queue')
    expect(faults('body_limit: 0MB')).toContain('body_limit: from 1KB on')
  })

  test('metrics without the observer that serves them are refused', () => {
    expect(faults('{ access: keys, groups: [agents, metrics], observer: off }')).toContain(
      'groups: metrics are served by the observer',
    )
    expect(parse('{ access: keys, groups: [agents, metrics] }').observer).toBe('on')
  })

  test('times of answers end at half an hour of silence and a day', () => {
    expect(parse('timeouts: { first_byte: 35m, groups: { embeddings: { whole: 24h } } }').timeouts).toEqual({
      first_byte: 2_100_000,
      groups: { embeddings: { whole: 86_400_000 } },
    })
    for (const wrong of ['first_byte: 36m', 'silence: 500ms', 'whole: 25h', 'queue: 36m', 'wait: 1s'])
      expect(faults(`timeouts: { ${wrong} }`)).toContain(`timeouts.${wrong.split(':')[0]}: `)
    expect(faults('timeouts: { groups: { openai: { wait: 1s } } }')).toContain(
      'timeouts.groups.openai.wait: there is no',
    )
    expect(parse('limits: { per_day: "2h,1MB" }').limits.per_day).toEqual({ seconds: 7200, bytes: 1_048_576 })
    expect(faults('limits: { per_day: much }')).toContain('limits.per_day: a share of the day such as')
  })

  test('metrics, which tell about everybody, are not opened where no key is asked for', () => {
    expect(faults('groups: [agents, metrics]')).toContain('groups: metrics tells about everybody')
    expect(openGroups(parse('access: either\ngroups: [agents, metrics]'))).toContain('metrics')
  })

  test('two listeners on loopback cannot share a port', () => {
    expect(faults('engine: { port: 11436 }')).toContain('peers.port: another port than engine.port')
  })

  test('names of hosts are as clients write them, origins have a scheme', () => {
    expect(faults('hosts: ["a.example:70000"]')).toContain('hosts.0: a host name as clients write it')
    expect(faults('hosts: ["a b"]')).toContain('hosts.0')
    expect(faults('origins: ["chat.example.net"]')).toContain('origins.0: an origin such as')
    expect(faults('origins: ["*"]')).toContain('origins.0')
    expect(parse('origins: ["http://localhost:5173", "app://obsidian.md"]').origins).toHaveLength(2)
    for (const wrong of ['*.example.net', 'https://a', 'a/b', 'a..b', '[fd7a::1', 'a:b', '[1.2.3.4]', 'a:0'])
      expect(faults(`hosts: ["${wrong}"]`)).toContain('hosts.0: a host name as clients write it')
    for (const wrong of ['https://*.example.net', 'https://a/', 'https://a:99999', 'https://', 'null'])
      expect(faults(`origins: ["${wrong}"]`)).toContain('origins.0: an origin such as')
    expect(faults('origins: [null]')).toContain('origins.0: a page without an address (null) cannot be let in')
  })

  test('what is no YAML, no mapping or no UTF-8 is said as such', () => {
    expect(faults('port: [')).toContain('is not YAML')
    expect(faults('- a')).toContain('has 1 fault;')
    expect(faults('hosts: ["\uFFFD"]')).toContain('not UTF-8')
  })

  test('no setting can carry a line break or a quote into the gateway’s configuration', () => {
    for (const evil of ['a"b', "a'b", 'a\\nb', 'a b', 'a#b', 'a{b', 'a}b', 'a%b']) {
      expect(() => parse(`hosts: ["${evil}"]`)).toThrow(Stop)
      expect(() => parse(`origins: ["https://${evil}"]`)).toThrow(Stop)
    }
    expect(() => parse('hosts: ["a\\n"]')).toThrow(Stop)
    expect(() => parse('origins: ["https://a\\n"]')).toThrow(Stop)
  })

  test('are read from the home folder', async () => {
    const files: Record<string, string> = { '/h/.config/remote-ollama-proxy/settings.yaml': 'port: 12000' }
    const look = { home: '/h', system: 'mac' as const, read: async (file: string) => files[file] }
    expect(settingsFile({ home: '/h', system: 'mac' })).toBe('/h/.config/remote-ollama-proxy/settings.yaml')
    expect((await readSettings(look as Parameters<typeof readSettings>[0])).port).toBe(12_000)
  })
})

describe('context', () => {
  test.each([
    [8, 16_384],
    [16, 32_768],
    [24, 32_768],
    [32, 65_536],
    [64, 65_536],
    [96, 131_072],
    [512, 131_072],
  ])('%i GB of memory give %i tokens', (gigabytes, tokens) => {
    expect(contextLength(parse(''), gigabytes * 2 ** 30)).toBe(tokens)
  })

  test('a number of one’s own wins', () => {
    expect(contextLength(parse('context: 8192'), 64 * 2 ** 30)).toBe(8192)
  })
})

test.each(['qwen3:8b', 'hf.co/unsloth/Q:Q4_K_M', 'a', 'registry.example/ns/m'])('%s is a model’s name', (name) => {
  expect(modelName.safeParse(name).success).toBe(true)
})

test.each(['', '-x', '../x', 'a b', 'a;b', 'a:b:c', '/a', 'a/', 'a$b', 'a\n', 'x'.repeat(201)])(
  '%j is no model’s name',
  (name) => {
    expect(modelName.safeParse(name).success).toBe(false)
  },
)

test('times are written as HAProxy and Ollama read them', () => {
  expect([spell(90_000), spell(700), spell(1500)]).toEqual(['90s', '700ms', '1500ms'])
})

describe('a fault of the settings', () => {
  test.each([
    ['models:\n', 'models: nothing is written here; write [] for none', 1],
    ['port: 11435\nkeep_alive: -1\n', 'keep_alive: a time such as 90s, 30m or 2h; the most is 596h', 2],
    ['drain: 90\n', 'drain: a time such as 90s, 30m or 2h; write 90s, with its unit', 1],
    ['body_limit: 32\n', 'body_limit: a size such as 512KB or 32MB; write 32MB, with its unit', 1],
    ['port:11435\n', 'a blank has to follow the colon: port: 11435', 1],
    ['log: off\nport:11435\n', 'a blank has to follow the colon: port: 11435', 2],
    ['port:11435\nlog: off\n', 'a blank has to follow the colon: port: 11435', 1],
    ['engine:\n  port:11435\n', 'engine: a blank has to follow the colon: port: 11435', 2],
    ['engine: {port:11435}\n', 'a blank has to follow the colon: port: 11435', 1],
    [`${'#\n'.repeat(19)}groups: [agents\nlog: off\n\ndrain: 1s\n`, 'the [ is never closed by ]', 20],
    ['engine: { port: 11435\nlog: off\n', 'the { is never closed by }', 1],
    ['hosts: [a,\n  b\nlog: off\n', 'the [ is never closed by ]', 1],
    ['hosts: ["a]\nlog: off\n', 'the " is never closed', 1],
    ['log: off\n---\nport: 11435\n', 'the --- begins a second document', 2],
    ['log: off\nport: 11435\nlog: off\n', 'this setting stands twice', 3],
    ['log: off\n\tport: 11435\n', 'indented by a tab', 2],
    ['hosts: [*.example.net]\n', 'cannot begin with *; put it in quotes', 1],
    ['log: off }\n}\n', 'the } closes nothing', 2],
    ['groups: openai\n', 'groups: at least one group in brackets, such as [agents]', 1],
    ['models: qwen3\n', 'models: a list in brackets, such as [qwen3]', 1],
    ['groups: [agents, embedings]\n', 'did you mean embeddings?', 1],
    ['log: eror\n', 'log: one of off, errors, requests', 1],
    ['log: error\n', 'did you mean errors?', 1],
    ['acces: keys\n', 'acces: there is no such setting; did you mean access?', 1],
    ['queue:\n  waits: 1s\n', 'queue.waits: there is no such setting; did you mean queue.wait?', 2],
    ['log: off\nslots: 3\n', 'slots: there is no such setting; did you mean inference.slots?', 2],
    ['limits: { groups: { embedings: { burst: 2 } } }\n', 'did you mean limits.groups.embeddings?', 1],
    ['inference: 4\n', 'inference: settings of its own, as NAME: VALUE: slots, parallel', 1],
    ['port: "11434"\n', 'port: a port from 1024 to 65535, without quotes', 1],
    ['body_limit: 0MB\n', 'body_limit: from 1KB on', 1],
    ['peers: { port: 11434 }\n', 'peers.port: another port than engine.port', 1],
    ['metrics:\n  port: 11436\n', 'metrics.port: another port than engine.port and peers.port', 2],
  ])('of %j says what would be right, and shows the line', (text, words, line) => {
    const message = faults(text)
    expect(message).toContain(words)
    expect(message).toContain(`line ${line}: ${text.split('\n')[line - 1]?.replace('\t', '→')}`)
    expect(message).toContain('nothing was changed')
  })

  /** Words of zod and yaml, as far as their sources have them in sentences. */
  const theirs =
    /Invalid (input|option|key|string|value|union)|expected .*received|Too (big|small)|Unrecognized|Flow (map|sequence)|[Ii]mplicit|Nested mappings|Unresolved|Source contains|scalar|must be unique|Tabs are not|NaN|undefined|\[object/

  const values = [
    '~',
    '',
    '1',
    '-1',
    '0.5',
    'true',
    '"x"',
    '"1"',
    "''",
    '[]',
    '{}',
    '[[]]',
    '[~]',
    '{ a: 1 }',
    '[1]',
    '.nan',
    '1e99',
    '"ü"',
  ]
  const places = (template: string) =>
    [...template.matchAll(/^(\w+):/gm)].flatMap(([, name = '']) => [
      name,
      `${name}: { port`,
      `${name}: { groups: { openai`,
      `${name}: { ann@x.y: { models`,
    ])

  test('is never told in the words of a library', () => {
    const template = readFileSync(new URL('../../templates/settings.yaml', import.meta.url), 'utf8')
    let told = 0
    for (const place of places(template))
      for (const value of values) {
        const closing = ' }'.repeat(place.split('{').length - 1)
        try {
          parse(`${place}: ${value}${closing}`)
        } catch (error) {
          told += 1
          expect((error as Error).message, `${place}: ${value}`).not.toMatch(theirs)
        }
      }
    expect(told).toBeGreaterThan(1000)
  })

  test('in the YAML is never told in the words of a library either', () => {
    for (const sign of [
      '[',
      ']',
      '{',
      '}',
      '"',
      "'",
      '&',
      '*',
      '!',
      '|',
      '>',
      '%',
      '@',
      '`',
      '\t',
      ':',
      '-',
      '?',
      ',',
      '#',
      '---',
      '<<',
      '&a',
      '*a',
      '!!int',
    ])
      for (const text of [
        sign,
        `log: ${sign}`,
        `${sign}: x`,
        `log: off\n${sign}\nport: 1`,
        `log: [${sign}`,
        `log: { a${sign}b: 1 }\n${sign}x`,
      ])
        try {
          parse(text)
        } catch (error) {
          expect(error).toBeInstanceOf(Stop)
          expect((error as Error).message, JSON.stringify(text)).not.toMatch(theirs)
        }
  })
})

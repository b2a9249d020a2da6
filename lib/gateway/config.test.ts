import { describe, expect, test } from 'vitest'
import { gateway, tailnet, templates } from '../../test/gateway.ts'
import { spoken } from '../../test/spoken.ts'
import { fingerprintOf } from '../site/configuration.ts'
import { type Group, groups, openable } from '../site/endpoints.ts'
import { parseSettings } from '../site/settings.ts'
import { render } from './config.ts'
import { listenersOf } from './listeners.ts'
import { shared } from './policies/shared.ts'
import type { Listener } from './policy.ts'

const rendered = (yaml?: string, listeners?: Listener[], home?: string) =>
  render(gateway(yaml, listeners, home), templates)

/** The lines of one section, without blanks around them. */
function section(text: string, name: string): string[] {
  const lines = text.split('\n')
  const start = lines.indexOf(name)
  const end = lines.findIndex((line, index) => index > start && /^[a-z]/.test(line))
  return lines
    .slice(start + 1, end < 0 ? undefined : end)
    .map((line) => line.trim())
    .filter(Boolean)
}

const file = (made: ReturnType<typeof rendered>, name: string): string =>
  Object.entries(made.files).find(([path]) => path.endsWith(`/${name}`))?.[1] ?? ''

const everything = (Object.keys(groups) as Group[]).filter(openable)

describe('listeners', () => {
  const lan = 'listeners: { lan: { addresses: [192.168.7.1], sources: [192.168.7.0/24], port: 12000 } }'
  const withLan = (more = '') => {
    const yaml = `${lan}\ntls: { ai.example.net: own-ca, '*.example.net': acme }\n${more}`
    return rendered(yaml, listenersOf(parseSettings(yaml, 'settings.yaml'), tailnet))
  }

  test('each has the guard of its own sources in front of every other rule', () => {
    const made = withLan()
    const rules = section(made.text, 'frontend tailnet').filter((line) => /^(tcp|http)-/.test(line))
    expect(rules.slice(0, 2)).toEqual([
      'tcp-request connection reject if { so_name tailnet } !known_source !own_source',
      'tcp-request connection reject if { so_name lan } !known_to_lan !own_source',
    ])
    expect(made.text).toContain('acl known_source src 127.0.0.0/8 ::1 100.64.0.0/10 fd7a:115c:a1e0::/48\n')
    expect(made.text).toMatch(/acl known_to_lan src -f \S+\/sources-lan\.lst\n/)
    expect(file(made, 'sources-lan.lst')).toBe('127.0.0.0/8\n::1\n192.168.7.0/24\n')
  })

  test('are one frontend, and a LAN has https with a list of certificates', () => {
    const made = withLan()
    expect(made.text.match(/^frontend /gm)).toHaveLength(2)
    expect(section(made.text, 'frontend tailnet').filter((line) => line.startsWith('bind'))).toEqual([
      'bind 100.64.0.7:11434 name tailnet',
      'bind [fd7a:115c:a1e0::7]:11434 v6only name tailnet',
      expect.stringMatching(
        /^bind 192\.168\.7\.1:12000 name lan ssl crt-list \S+\/certificates\.lst strict-sni alpn http\/1\.1 ssl-min-ver TLSv1\.2$/,
      ),
    ])
    expect(section(made.text, 'global')).toContain('crt-base /Users/ada/.haproxy/certs')
    expect(file(made, 'certificates.lst')).toBe('ai.example.net.pem ai.example.net\n_.example.net.pem *.example.net\n')
    expect(file(made, 'hosts.lst')).toMatch(/^ai\.example\.net\nai\.example\.net:11434\nai\.example\.net:12000$/m)
    expect(file(made, 'hosts.lst')).not.toContain('*')
  })

  test('may say for each name whether it asks for a client certificate, which each request of it is then asked for', () => {
    const yaml = `tls: { a.b: acme, c.d: acme, '*.c.d': acme }\nlisteners:\n  lan: { addresses: [192.168.7.1], sources: [192.168.7.0/24], certificates: { c.d: optional, '*.c.d': required } }\n  public: { addresses: [192.168.7.2] }`
    const made = rendered(yaml, listenersOf(parseSettings(yaml, 'settings.yaml'), tailnet))
    const asked = (use: string) => `[ca-file clients.pem verify ${use}]`
    expect(section(made.text, 'global')).toContain('ca-base /Users/ada/.haproxy/certs')
    expect(file(made, 'certificates-lan.lst')).toBe(
      `a.b.pem a.b\nc.d.pem ${asked('optional')} c.d\n_.c.d.pem ${asked('required')} *.c.d\n`,
    )
    expect(file(made, 'certificates.lst')).toBe('a.b.pem a.b\nc.d.pem c.d\n_.c.d.pem *.c.d\n')
    expect(file(made, 'certificates-lan.map')).toBe('a.b none\nc.d optional\n*.c.d required\n')
    expect(made.text).toMatch(/bind \S+ name lan ssl crt-list \S+\/certificates-lan\.lst [^\n]*TLSv1\.2\n/)
    expect(made.text).toMatch(
      /deny status 401 .* if \{ var\(txn\.use\) -m str required \} !\{ var\(txn\.certified\) -m found \}/,
    )
  })

  test('beyond the tailnet that nobody asked for leave no trace', () => {
    for (const yaml of ['', 'access: keys', 'access: either', `groups: [${everything.join()}]\naccess: keys`])
      expect(JSON.stringify(rendered(yaml))).not.toMatch(/so_name| name tailnet|ssl|unasked|strict|outside|certificate/)
  })

  test('in public nothing that answers, counts or waits tells a key that has ended from one that never was', () => {
    for (const access of ['keys', 'either', 'tailnet']) {
      const yaml = `access: ${access}\ntls: { a.b: acme }\nlisteners: { public: { addresses: [10.0.0.2] } }`
      const made = rendered(yaml, listenersOf(parseSettings(yaml, 'settings.yaml'), tailnet))
      const rules = section(made.text, 'frontend tailnet').filter((line) => line.startsWith('http-request '))
      const refused = rules.findLastIndex((rule) => / deny status 401 .*outside !known/.test(rule))
      expect(refused).toBeGreaterThan(0)
      // What only remembers is the same work for both, and is read by no rule up to the refusal but by these names.
      const acting = rules.slice(0, refused + 1).filter((rule) => !/^http-request (un)?set-var/.test(rule))
      expect(acting.filter((rule) => /var\(txn\.(record|left|granted)\)/.test(rule))).toEqual([])
    }
  })

  test('take no line over 64 words, however much is listed', () => {
    const many = Array.from({ length: 200 }, (_, at) => `10.0.${at}.0/24`).join()
    const yaml = `tls: { a.b: acme }\nlisteners: { lan: { addresses: [10.0.0.1], sources: [${many}] }, public: { addresses: [10.0.0.2] } }`
    const made = rendered(yaml, listenersOf(parseSettings(yaml, 'settings.yaml'), tailnet))
    for (const line of made.text.split('\n'))
      expect(line.replaceAll(/'[^']*'/g, 'x').split(/\s+/).length).toBeLessThan(64)
  })

  test('bind exactly the addresses given', () => {
    const binds = rendered()
      .text.split('\n')
      .filter((line) => /^\s*bind /.test(line))
      .map((line) => line.trim())
    expect(binds).toEqual([
      'bind 100.64.0.7:11434',
      'bind [fd7a:115c:a1e0::7]:11434 v6only',
      expect.stringMatching(/^bind "unix@\S+\/metrics.sock" mode 600$/),
    ])
  })

  test('without IPv6 when the job says so: an address that is not there would end HAProxy', () => {
    expect(rendered().text).toContain(
      '\n    bind 100.64.0.7:11434\n.if strneq("$GATEWAY_IPV6",off)\n    bind [fd7a:115c:a1e0::7]:11434 v6only\n.endif\n',
    )
  })

  test.each([
    '0.0.0.0',
    '::',
    '0:0:0:0:0:0:0:0',
    '::ffff:0.0.0.0',
    '224.0.0.1',
    'ff02::1',
    '*',
    '',
    'localhost',
    '100.64.0.7:80',
    '100.64.0.7 transparent',
  ])('%j is no address to listen on', (address) => {
    expect(() => rendered('', [{ ...tailnet, addresses: [address] }])).toThrow('not an address to listen on')
  })

  test('names are known alone and with the port, and IPv6 in brackets', () => {
    expect(file(rendered(), 'hosts.lst').split('\n')).toEqual([
      '100.64.0.7',
      '100.64.0.7:11434',
      '[fd7a:115c:a1e0::7]',
      '[fd7a:115c:a1e0::7]:11434',
      'studio.tail0lab.ts.net',
      'studio.tail0lab.ts.net:11434',
      '',
    ])
  })
})

describe('the text', () => {
  test('leaves no slot unfilled and ends with one line break', () => {
    const { text, files } = rendered(`access: keys\ngroups: [${everything.join()}]\norigins: ['https://a.example']`)
    expect([text, ...Object.values(files)].join('')).not.toMatch(/\{\{|\}\}|undefined|\[object/)
    expect(text).toMatch(/[^\n]\n$/)
  })

  test('never says the name of the key header, in no file either: some agents hide a message that does', () => {
    for (const yaml of ['', `access: either\ngroups: [${everything.join()}]`, 'log: requests', 'access: keys']) {
      const { text, files } = rendered(yaml)
      const said = [...text.matchAll(/string '([^']*)'/g)].map(([, words]) => words)
      expect(said.length).toBeGreaterThan(15)
      expect([...said, ...Object.values(files)].join('\n').toLowerCase()).not.toContain('x-api-key')
    }
  })

  test('holds no HTML, and every error of HAProxy’s own has a text', () => {
    const { text, files } = rendered()
    expect([text, ...Object.values(files)].join('\n')).not.toMatch(/<html|content-type:? text\/html/i)
    const defaults = section(text, 'defaults').join('\n')
    for (const status of [400, 405, 408, 413, 414, 422, 431, 500, 501])
      expect(defaults).toMatch(new RegExp(`errorfile ${status} \\S+/${status}\\.http`))
    for (const status of [502, 503, 504])
      expect(defaults).toContain(`http-error status ${status} content-type application/json`)
    for (const [path, content] of Object.entries(files))
      if (path.endsWith('.http'))
        expect(JSON.parse(content.split('\r\n\r\n')[1] ?? '').error.message).toMatch(/^Gateway: /)
  })

  test('words of the refusals are quoted once, and every body that it writes is JSON, but for the one that a browser gets', () => {
    const { text, files } = rendered()
    const all = text.split('\n').filter((line) => / deny .*lf-string /.test(line))
    const plain = all.filter((line) => line.includes('content-type text/plain'))
    expect(plain).toEqual([expect.stringMatching(/ if !row .*accept\) -m sub text\/html }$/)])
    const rules = all.filter((line) => !plain.includes(line))
    expect(rules.length).toBeGreaterThan(15)
    for (const path of ['/', '/api/'])
      for (const rule of rules) {
        const body = spoken(rule, files, path).replaceAll(/%\[[^\]]*\]/g, 'x')
        expect(() => JSON.parse(body), `${path}: ${body}`).not.toThrow()
      }
  })

  test('waits 30 s for a header, 60 s for a small body, 35 minutes for a token', () => {
    const { text } = rendered()
    expect(section(text, 'defaults')).toEqual(
      expect.arrayContaining([
        'timeout http-request 30s',
        'timeout client 35m',
        'timeout server 35m',
        'option http-no-delay',
        'option abortonclose',
      ]),
    )
    expect(text).toContain('http-request wait-for-body time 60s at-least 102400 if')
  })

  test('keeps out what HAProxy must not do: normalising, h2 on the plain port, sharing the port', () => {
    const { text } = rendered()
    expect(text).not.toMatch(/normalize-uri|master-worker|transparent/)
    expect(section(text, 'defaults')).toContain('option disable-h2-upgrade')
    expect(section(text, 'global')).toContain('mworker-max-reloads 1000000')
    // After a lost hand-over a new worker must be able to listen beside the old one (on macOS: HAProxy 3.1 and newer never asks again).
    expect(section(text, 'global')).not.toContain('noreuseport')
  })

  test('words for newer versions stand between conditions', () => {
    const lines = rendered().text.split('\n')
    for (const [index, line] of lines.entries()) {
      if (/errorfile 4(14|31)|drop-request-trailers/.test(line))
        expect(lines.slice(Math.max(0, index - 2), index).join('\n')).toContain('.if version_atleast(3.2)')
    }
  })
})

describe('settings', () => {
  test('are where they act', () => {
    const made = rendered(
      'engine: { port: 12345 }\ninference: { slots: 3 }\nqueue: { wait: 700ms, max: 9 }\nbody_limit: 1MB',
    )
    expect(section(made.text, 'backend inference')).toEqual(
      expect.arrayContaining([
        'timeout queue 700ms',
        expect.stringMatching(/^server engine 127\.0\.0\.1:12345 maxconn 3 /),
      ]),
    )
    expect(section(made.text, 'backend metadata')).toContain('server engine 127.0.0.1:12345 track inference/engine')
    expect(made.text).toContain('queue(inference) ge 9')
    expect(made.text).toContain('req.body_size gt 1048576')
    expect(made.text).toContain('set-header host 127.0.0.1:12345')
  })

  test('of limits that all share give each kind a counter, and older HAProxies a sentence', () => {
    const made = rendered(
      'limits: { all: { concurrent: 8 }, groups: { embeddings: { per_minute: 600 } }, rows: { "POST /v1/embeddings": { burst: 50 } } }',
    )
    expect(file(made, 'together.map')).toBe('all 0|0|8\nembeddings 600|0|0\nPOST:/v1/embeddings 0|50|0\n')
    expect(section(made.text, 'frontend tailnet')).toEqual(
      expect.arrayContaining([
        'http-request track-sc3 str(all) table together if inference !unlimited',
        'http-request track-sc4 var(txn.group) table together if inference !unlimited',
        'http-request track-sc5 var(txn.mp) table together if inference !unlimited',
      ]),
    )
    expect(made.text).toContain(
      '.if version_atleast(2.8)\n    tune.stick-counters 6\n.else\n.alert "limits.all, limits.groups, limits.rows in settings.yaml need HAProxy 2.8 or newer"\n.endif\n',
    )
    expect(rendered('limits: { per_minute: 1 }').text).not.toMatch(/stick-counters|track-sc3|together/)
  })

  test('that all share are proven as far as they count requests', () => {
    const ids = (limits: string) =>
      shared(gateway(`limits: ${limits}`))
        .proof({ ...{ address: '', port: 0, host: '' }, engine: { address: '', port: 0 }, groups: ['openai'] })
        .map(({ id }) => id)
    expect(ids('{ all: { burst: 1 }, groups: { openai: { per_second: 1KB } } }')).toEqual(['limits.all'])
    expect(ids('{ groups: { openai: { burst: 1 } }, rows: { "POST /v1/messages": { burst: 1 } } }')).toEqual([
      'limits.groups',
    ])
  })

  test('of times are resolved for each open group', () => {
    const made = rendered('timeouts: { silence: 60s, groups: { anthropic: { whole: 90s, silence: 5s } } }')
    expect(file(made, 'timeouts.map')).toMatch(/^openai 0\|60000\|0\|0$/m)
    expect(file(made, 'timeouts.map')).toMatch(/^anthropic 0\|5000\|90\|0$/m)
    expect(rendered().text).not.toContain('set-timeout')
  })

  test('of the time in the queue are for HAProxy 3.4, and older ones get a sentence', () => {
    const made = rendered('timeouts: { queue: 90s, groups: { anthropic: { queue: 5s } } }')
    expect(file(made, 'timeouts.map')).toMatch(/^openai 0\|0\|0\|90000$/m)
    expect(file(made, 'timeouts.map')).toMatch(/^anthropic 0\|0\|0\|5000$/m)
    const [, gated] =
      /\n\.if version_atleast\(3\.4\)\n( {4}http-request set-timeout queue .*?)\.endif/s.exec(made.text) ?? []
    expect(gated).toContain(
      '.else\n.alert "timeouts.queue, timeouts.groups.anthropic.queue in settings.yaml need HAProxy 3.4 or newer"\n',
    )
    const keyed = rendered('access: keys').text
    expect(keyed).toContain('http-request set-timeout queue var(txn.queue)')
    expect(keyed).not.toContain('.alert')
  })

  test('of bytes a second are a filter for each number and each group, from HAProxy 3.0 on; without them there is none', () => {
    const yaml =
      "access: either\nlimits: { per_second: 200KB, groups: { openai: { per_second: 1MB } } }\npeople: { 'tag:ci': { per_second: 1KB } }"
    const made = render({ ...gateway(yaml), speeds: [4096, 1024] }, templates)
    const lines = section(made.text, 'backend inference')
    expect(lines.filter((line) => line.startsWith('filter'))).toEqual([
      'filter bwlim-out person-1024 limit 1024 key var(txn.who) table bandwidth',
      'filter bwlim-out person-4096 limit 4096 key var(txn.who) table bandwidth',
      'filter bwlim-out person-204800 limit 204800 key var(txn.who) table bandwidth',
      'filter bwlim-out group-openai limit 1048576 key var(txn.group) table group-bandwidth',
    ])
    expect(lines).toContain(
      'http-response set-bandwidth-limit person-4096 if { var(txn.record),field(13,|) -m str 4096 }',
    )
    expect(lines).toContain(
      '.alert "limits.per_second, limits.groups.openai.per_second, people.tag:ci.per_second in settings.yaml need HAProxy 3.0 or newer"',
    )
    expect(made.text).not.toMatch(/stick-counters|together/)
    const open = rendered('limits: { per_second: 1KB }').text
    expect(open).toContain('{ var(txn.record),field(13,|) -m str 1024 } or !{ var(txn.record) -m found }')
    expect(render({ ...gateway('access: keys'), speeds: [1024] }, templates).text).not.toContain('.alert')
    expect(rendered('access: keys\nlimits: { per_minute: 1 }').text).not.toContain('bandwidth')
  })

  test('open rows by group, exactly', () => {
    expect(file(rendered(), 'routes.map')).not.toMatch(/embed|\/api\/chat|pull/)
    expect(file(rendered('groups: [agents, embeddings]'), 'routes.map')).toContain(
      'POST:/v1/embeddings embeddings|inference',
    )
    const all = file(rendered(`access: keys\ngroups: [${everything.join()}]`), 'routes.map')
    for (const path of ['pull', 'push', 'create', 'copy', 'delete', 'blobs', 'me ', 'signout', 'images', 'web_'])
      expect(all).not.toContain(path)
  })

  test('log: off writes nothing, the others one bounded JSON object a line', () => {
    expect(section(rendered('log: off\nobserver: off').text, 'defaults')).toContain('no log')
    expect(rendered('log: off\nobserver: off').text).not.toContain('log stdout')
    for (const level of ['errors', 'requests']) {
      const { text } = rendered(`log: ${level}\nobserver: off`)
      expect(section(text, 'global')).toContainEqual(expect.stringMatching(/^log stdout len 8192 format raw/))
      expect(text).not.toMatch(/%HU|%HQ|%\{\+Q\}r|capture request|req\.hdrs,json/)
    }
  })

  test('log: the observer chooses by it, so HAProxy is not reloaded for it', () => {
    expect(rendered('log: off').text).toBe(rendered('log: requests').text)
  })

  test('every refusal names the policy that it comes from', () => {
    const refusals = rendered('access: keys')
      .text.split('\n')
      .filter((line) => / deny status .*lf-string/.test(line))
    expect(refusals.length).toBeGreaterThan(20)
    for (const line of refusals) expect(line).toMatch(/ hdr x-denied-by [a-z]+ /)
  })

  test('go through quoting where a path holds blanks', () => {
    const { text } = rendered('', [tailnet], '/Users/Ada Lovelace')
    expect(text).toContain('stats socket "/Users/Ada Lovelace/.haproxy/run/admin.sock" mode 600 level admin')
    expect(
      text
        .split('\n')
        .filter((line) => /-f |errorfile|map_str/.test(line) && /Ada [^\\]/.test(line.replaceAll('\\ ', '\\'))),
    ).toEqual([])
  })
})

describe('the fingerprint', () => {
  test('is in the text, names the folder of the files, and is the same for the same settings', () => {
    const made = rendered()
    expect(fingerprintOf(made.text)).toBe(made.fingerprint)
    expect(
      Object.keys(made.files).every((path) =>
        path.startsWith(`/Users/ada/.haproxy/maps/${made.fingerprint.slice(0, 12)}/`),
      ),
    ).toBe(true)
    expect(rendered()).toEqual(made)
  })

  test('changes with the text and with what only a file says', () => {
    const { fingerprint } = rendered()
    expect(rendered('queue: { max: 3 }').fingerprint).not.toBe(fingerprint)
    expect(rendered("origins: ['https://a.example']").fingerprint).not.toBe(fingerprint)
    const added = render({ ...gateway(), hosts: ['100.64.0.7'] }, templates)
    expect(added.fingerprint).not.toBe(fingerprint)
  })
})

import { describe, expect, it } from 'vitest'
import { nginxDirectives } from '../site/nginx-words.ts'
import { readImport } from './import.ts'
import { hashKey } from './key.ts'

const hashesOf = (text: string) =>
  Object.values(readImport(text, 'f').registry.keys).flatMap(({ hashes }) => hashes.map(({ sha256 }) => sha256))

/** A key that is let in stands in each text, so that what is told of the rest can be seen. */
const leftOf = (text: string) => readImport(text, 'f').left

describe('the .env of a stack', () => {
  const key = `sk-${'a1'.repeat(20)}`

  it.each([`LITELLM_MASTER_KEY=${key}`, `A=b\nexport LITELLM_MASTER_KEY="${key}"\r\nOAUTH_CLIENT_ID=x\n`])(
    'brings the key that its chat page sends, under the name of the page: %j',
    (text) => {
      const { registry, left } = readImport(text, '.env')
      expect([Object.keys(registry.keys), hashesOf(text), left]).toEqual([['open-webui'], [hashKey(key)], []])
    },
  )

  it('has another name where there is one of that name', () => {
    const { registry: known } = readImport(`LITELLM_MASTER_KEY=${key}`, '.env')
    expect(Object.keys(readImport(`LITELLM_MASTER_KEY=sk-${'b2'.repeat(20)}`, '.env', known).registry.keys)).toEqual([
      'imported-1',
    ])
  })

  it.each(['LITELLM_MASTER_KEY=', 'LITELLM_MASTER_KEY=short', '# LITELLM_MASTER_KEY=sk-0123456789'])(
    'brings nothing where the key is none: %j',
    (text) => expect(() => readImport(text, '.env')).toThrow('Nothing was changed.'),
  )
})

describe('the words of nginx', () => {
  it.each([
    ['a b;', [['a', 'b']]],
    ['"a b"\t\'c d\';', [['a b', 'c d']]],
    ['"a\\"b" \'c\\\'d\' e\\\\f g\\th;', [['a"b', "c'd", 'e\\f', 'g\th']]],
    ['"a\\d";', [['a\\d']]],
    [
      'a#b c; # d e;\n#f\ng h;',
      [
        ['a#b', 'c'],
        ['g', 'h'],
      ],
    ],
    ['a\r\nb\r\n;', [['a', 'b']]],
    ['a"b c;', [['a"b', 'c']]],
    ['a $\x7bb}c;', [['a', '$\x7bb}c']]],
    ['a "x;y{z}";', [['a', 'x;y{z}']]],
    ['\uFEFFa b;', [['a', 'b']]],
  ])('%j', (text, words) => {
    const found = nginxDirectives(text)
    expect(found.map((directive) => directive.words)).toEqual(words)
    expect(found.filter(({ fault }) => fault)).toEqual([])
  })

  it.each(['"a" 1', '"a"1;', '"a', ';', '{', 'a }'])('%j is nothing that nginx starts with', (text) => {
    expect(nginxDirectives(text).some(({ fault }) => fault)).toBe(true)
  })

  it('know the lines on which they stand', () => {
    expect(nginxDirectives('# x\na\n "b\nc";\nd {\n}').map(({ from, to, end }) => [from, to, end])).toEqual([
      [2, 4, ';'],
      [5, 5, '{'],
      [6, 6, '}'],
    ])
  })
})

describe('import', () => {
  it('takes the keys file of an nginx gateway and keeps hashes alone', () => {
    const text =
      '# keys\nmap $http_authorization $ok {\ndefault 0;\n"Bearer first-key"   1;\n"Bearer second" 1; # bob\n}\n'
    const { registry, left } = readImport(text, 'api_keys.conf')
    expect(Object.values(registry.keys).map(({ hashes }) => hashes[0]?.sha256)).toEqual([
      hashKey('first-key'),
      hashKey('second'),
    ])
    expect(JSON.stringify(registry)).not.toMatch(/first-key|second/)
    expect(left).toEqual([])
  })

  it.each([
    ['a second key on a line', '"Bearer a" 1; "Bearer b" 1;'],
    ['a map that begins on the line of a key', 'map $http_authorization $ok { "Bearer a" 1; "Bearer b" 1; }'],
    ['a default on the line of a key', 'default 0; "Bearer a" 1; default 0; "Bearer b" 1;'],
    ['a blank before the end', '"Bearer a" 1 ;\n"Bearer b" 1\n;'],
    ['escapes', '"Bearer \\a" 1; "Bearer a" 1; "Bearer b" 1;', ['\\a', 'a', 'b']],
    ['escaped quotes', '"Bearer a\\"x" 1;\n\'Bearer b\\\'x\' 1;', ['a"x', "b'x"]],
    ['CRLF', '"Bearer a" 1;\r\n# x\r\n"Bearer b" 1;\r\n'],
    ['tabs', '\t"Bearer a"\t\t1;\n"Bearer b"\t1\t;'],
    ['comments', '"Bearer a" 1;# "Bearer c" 1;\n#"Bearer d" 1;\n"Bearer b" 1; # x'],
    [
      'values in quotes, and other words that let in',
      '"Bearer a" "1"; "Bearer b" \'1\'; "Bearer c" on; "Bearer d" yes;',
      [...'abcd'],
    ],
    ['letters of either case before the key', '"bearer a" 1; "BEARER b" 1;'],
    ['a key that a backslash makes plain', '"\\\\Bearer a" 1; "Bearer b" 1;'],
    [
      'a whole nginx.conf',
      'http {\n map_hash_bucket_size 128;\n map $http_authorization $ok { volatile; default ""; "Bearer a" 1; "Bearer b" 1; }\n}',
    ],
    ['keys of the other header', 'map $http_x_api_key $ok { default 0; "" 0; a 1; "b" 1; }'],
  ] as [string, string, string[]?][])('loses nobody by %s', (_what, text, keys = ['a', 'b']) => {
    expect(hashesOf(text)).toEqual(keys.map(hashKey))
    expect(leftOf(text)).toEqual([])
  })

  it.each([
    [`"Bearer dave" '0';`, /refuses/, false],
    [`"Bearer dave" '';`, /refuses/, false],
    ['"Bearer dave" off;', /refuses/, false],
    ['"Bearer dave" No;', /refuses/, false],
    ['"Bearer dave" $var;', /variable/, true],
    ['"Bearer dave" "$\x7bvar}";', /variable/, true],
    ['"Bearer dave" maybe;', /none of 1, on, yes, true/, true],
    ['"Bearer dave"1;', /no blank/, true],
    ['"Bearer dave" 1 1;', /not a key and a value/, true],
    ['"Bearer dave";', /not a key and a value/, true],
    ['"~^Bearer dave" 1;', /pattern/, true],
    ['"Basic dave" 1;', /no "Bearer KEY"/, true],
    ['"Bearer  dave" 1;', /no "Bearer KEY"/, true],
    ['"Bearer dav\u00e9" 1;', /letters/, true],
    ['"Bearer " 1;', /empty/, true],
    ['"Bearer Ollama" 1;', /counts as no key/, true],
    ['dave 1;', /no "Bearer KEY"/, true],
    ['default 1;', /whoever has no key/, true],
    ['include more.conf;', /more\.conf" is not read/, true],
    ['"Bearer good" 1;', /above/, false],
    ['server { "Bearer dave" 1; }', /"server" is no map/, true],
    ['map $http_cookie $ok { "Bearer dave" 1; }', /holds no API key/, true],
    ['map $http_authorization $blocked { "Bearer dave" 1; }', /does not sound/, true],
    ['map $http_authorization $ok { default 1; "Bearer dave" 1; }', /whoever has no key/, true],
    ['map $http_authorization { "Bearer dave" 1; }', /no map/, true],
    ['"Bearer dave" 1', /not ended/, true],
    ['map $http_authorization $ok { "Bearer dave" 1;', /never closed/, true],
    ['"Bearer dave 1;\n"Bearer eve" 1;\n', /no blank|never closed/, true],
  ])('tells of the line %j, and lets nobody in by it', (line, why, lost) => {
    const text = `\n"Bearer good" 1;\n${line}`
    expect(hashesOf(text)).toEqual([hashKey('good')])
    const [first] = leftOf(text)
    expect(first?.line).toMatch(/^3/)
    expect(first?.why).toMatch(why)
    expect(first?.lost).toBe(lost)
    expect(JSON.stringify(leftOf(text))).not.toMatch(/dave|eve\b/)
  })

  it('lets nobody in whom another line does not let in, in whatever letters', () => {
    const refusals = ['"Bearer both" 0;', '"Bearer BOTH" off;', '"Bearer both" $x;', '"Bearer both"1;']
    for (const refusal of refusals)
      for (const text of [`"Bearer both" 1;\n${refusal}`, `${refusal}\n"Bearer both" 1;`])
        expect(hashesOf(`"Bearer good" 1;\n${text}`)).toEqual([hashKey('good')])
  })

  it('lets nobody in by two maps of one header, of which only one can be what lets in', () => {
    const maps = 'map $http_authorization $ok { "Bearer dave" 1; } map $http_authorization $fast { "Bearer eve" 1; }'
    expect(hashesOf(`"Bearer good" 1; ${maps}`)).toEqual([hashKey('good')])
    const beside = 'map $http_upgrade $connection { default upgrade; } map $http_authorization $ok { "Bearer a" 1; }'
    expect(hashesOf(beside)).toEqual([hashKey('a')])
  })

  it('names keys beside those that are known, and takes none of these again', () => {
    const first = readImport('"Bearer a" 1; "Bearer b" 1;', 'f').registry
    const { registry, left } = readImport('"Bearer b" 1;\n"Bearer c" 1;', 'f', first)
    expect(Object.keys(registry.keys)).toEqual(['imported-3'])
    expect(left).toEqual([{ line: '1', why: 'the same key stands above or is here already.', lost: false }])
  })

  it.each(['', 'hello', '"Bearer a" 0;', 'server { }\n', '{"version":2}'])('refuses %j', (text) => {
    expect(() => readImport(text, 'file')).toThrow(/othing was changed/)
  })
})

describe('import of what must not be', () => {
  it.each(['a yes; disable frontend tailnet', 'a\nb', 'a b', ''])(
    'refuses a model called %j: it would be a command',
    (model) => {
      const keys = { inj: { created: '2026-01-01T00:00:00Z', hashes: [], models: [model] } }
      expect(() => readImport(JSON.stringify({ version: 1, keys }), 'f')).toThrow(/othing was changed/)
    },
  )

  it('refuses a note that would speak to the terminal', () => {
    const keys = { inj: { created: '2026-01-01T00:00:00Z', hashes: [], note: '\u001b[2J' } }
    expect(() => readImport(JSON.stringify({ version: 1, keys }), 'f')).toThrow(/control characters/)
  })
})

import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { graceOf, oneName, withFlags } from '../commands/key-options.ts'
import { described } from '../commands/keys.ts'
import { mapText, parseMap } from '../haproxy/map-text.ts'
import { places } from '../platform/mac/places.ts'
import type { Entry } from '../site/limits.ts'
import { parseBans } from './bans.ts'
import { readRegistry } from './given.ts'
import { generateKey, hashKey, wellFormed } from './key.ts'
import { listMaps } from './lists.ts'
import { bitOf, keyLines } from './records.ts'
import { keyName, nobodyIn, parseRegistry } from './registry.ts'

const entry = (more: Partial<Entry> = {}): Entry => ({
  created: '2026-01-01T00:00:00.000Z',
  hashes: [{ sha256: hashKey('one') }],
  ...more,
})

describe('a key', () => {
  it('has a prefix, 178 random bits and a checksum that notices a wrong letter', () => {
    const key = generateKey()
    expect(key).toMatch(/^rop_[0-9A-Za-z]{36}$/)
    expect(generateKey()).not.toBe(key)
    expect(wellFormed(key)).toBe(true)
    const other = key[10] === 'a' ? 'b' : 'a'
    expect(wellFormed(`${key.slice(0, 10)}${other}${key.slice(11)}`)).toBe(false)
    expect(wellFormed('sk-ant-something')).toBe(false)
  })

  it('is known by its SHA-256 in capitals, as HAProxy writes it', () => {
    expect(hashKey('abc')).toBe('BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD')
  })
})

describe('names', () => {
  it.each(['bob', 'a.b-c_d', '0x', 'a'.repeat(64)])('%s is one', (name) => {
    expect(keyName.safeParse(name).success).toBe(true)
  })

  it.each(['', 'Bob', 'a b', 'a/b', '../x', '"x"', "x'", 'a\nb', 'é', 'a|b', '-test-', '#x', 'a'.repeat(300)])(
    '%j is none',
    (name) => {
      expect(keyName.safeParse(name).success).toBe(false)
      // In one line of bearable length, whatever the name is.
      expect(() => oneName([name], 'add')).toThrow(/^keys\.ts add takes .{1,300}; nothing was changed\.$/)
    },
  )

  it('must be one', () => {
    expect(() => oneName([], 'add')).toThrow(/nothing was changed/)
    expect(() => oneName(['a', 'b'], 'add')).toThrow(/one name/)
  })
})

describe('limits by flags', () => {
  const now = Date.parse('2026-06-01T00:00:00Z')

  it('are read, kept, changed and taken away', () => {
    const first = withFlags(
      {},
      { groups: 'rag', 'per-minute': '60', concurrent: '4', expires: '30d', note: 'his  laptop' },
      now,
    )
    expect(first).toEqual({
      groups: ['openai', 'responses', 'anthropic', 'metadata', 'probe', 'count-tokens', 'embeddings', 'connect'],
      perMinute: 60,
      concurrent: 4,
      expires: '2026-07-01T00:00:00.000Z',
      note: 'his laptop',
    })
    expect(withFlags(first, { 'per-minute': 'none', concurrent: '2' }, now)).toEqual({
      ...first,
      perMinute: undefined,
      concurrent: 2,
    })
    const paced = withFlags({}, { queue: '30s', 'per-second': '200KB' }, now)
    expect(paced).toEqual({ queue: 30, perSecond: 204_800 })
    expect(withFlags(paced, { queue: 'none', 'per-second': 'none' }, now)).toEqual({})
    expect(withFlags({}, { expires: '2027-01-31' }, now).expires).toBe('2027-01-31T00:00:00.000Z')
  })

  it.each([
    { 'per-minute': '0' },
    { 'per-minute': 'many' },
    { 'per-minute': '1e9' },
    { concurrent: '-1' },
    { concurrent: '2.5' },
    { burst: '0' },
    { waiting: 'long' },
    { whole: '25h' },
    { 'first-byte': '36m' },
    { silence: '0s' },
    { queue: '36m' },
    { 'per-second': '0KB' },
    { 'per-second': '2h' },
    { 'per-second': '1KB,2h' },
    { 'per-second': '2GB' },
    { 'per-second': '200' },
    { 'per-day': '25h' },
    { expires: '0d' },
    { expires: 'tomorrow' },
    { expires: '2020-01-01' },
    { expires: '2027-13-45' },
    { expires: '2027-02-30' },
    { expires: '2027-01-31T12:00' },
    { groups: 'openai,nonsense' },
    { groups: 'manage' },
    { groups: 'toString' },
    { note: 'x'.repeat(300) },
  ])('%j is refused before anything is touched', (flags) => {
    expect(() => withFlags({}, flags, now)).toThrow(/nothing was changed/)
  })

  it('an admin key is one by its flag alone, and has no list of models', () => {
    expect(withFlags({}, { admin: true, groups: 'openai' }, now)).toEqual({ admin: true, groups: ['openai'] })
    expect(() => withFlags({}, { groups: 'manage' }, now)).toThrow(/--admin/)
    expect(() => withFlags({}, { admin: true, models: 'qwen3*' }, now)).toThrow(/nothing was changed/)
  })

  it('the grace of a rotation is a time', () => {
    expect([graceOf({}), graceOf({ grace: '24h' })]).toEqual([0, 86_400_000])
    expect(() => graceOf({ grace: 'a while' })).toThrow(/nothing was changed/)
  })
})

describe('the map', () => {
  it('has a line for each hash, with the earlier of its two ends', () => {
    const lines = keyLines({
      version: 1,
      keys: {
        bob: entry({
          groups: ['openai'],
          perMinute: 6,
          concurrent: 2,
          burst: 9,
          waiting: 3,
          silence: 60,
          whole: 600,
          queue: 30,
          perSecond: 204_800,
          expires: '2030-01-01T00:00:00.000Z',
          hashes: [{ sha256: hashKey('old'), until: '2029-01-01T00:00:00.000Z' }, { sha256: hashKey('new') }],
        }),
      },
    })
    expect(lines.get(hashKey('old'))).toBe('bob|1861920000|1|6|2|-|9|3|0|60000|600|30000|204800|rare')
    expect(lines.get(hashKey('new'))).toBe('bob|1893456000|1|6|2|-|9|3|0|60000|600|30000|204800|rare')
  })

  it.each<Partial<Entry>>([{ burst: 9 }, { waiting: 3 }, { firstByte: 1 }, { silence: 1 }, { whole: 1 }, { queue: 1 }])(
    'a record says whether it has a limit that few have: %o',
    (own) => {
      const last = (more: Partial<Entry>) => [...keyLines({ version: 1, keys: { a: entry(more) } }).values()].at(-1)
      expect(last({ ...own, perMinute: 6 })).toMatch(/\|rare$/)
      expect(last({ perMinute: 6, concurrent: 2, perSecond: 1000, models: ['a'], groups: ['openai'] })).toMatch(
        /\|plain$/,
      )
    },
  )

  it('a limit that settings give to all is in every record', () => {
    const [record] = keyLines({ version: 1, keys: { a: entry({}) } }, { burst: 5 }).values()
    expect(record).toMatch(/\|rare$/)
  })

  it('lets an admin key alone change the models, whatever its groups are', () => {
    const bits = (more: Partial<Entry>) =>
      Number(
        keyLines({ version: 1, keys: { a: entry(more) } })
          .get(hashKey('one'))
          ?.split('|')[2],
      )
    for (const more of [{}, { groups: ['openai' as const] }]) {
      expect(bits(more) & bitOf('manage')).toBe(0)
      expect(bits({ ...more, admin: true })).toBe(bits(more) + bitOf('manage'))
    }
  })

  it('reads back what it wrote, and what HAProxy shows of it', () => {
    const lines = keyLines({ version: 1, keys: { a: entry(), b: entry({ hashes: [{ sha256: hashKey('two') }] }) } })
    expect(parseMap(mapText(lines))).toEqual(lines)
    const shown = [...lines].map(([key, value]) => `0x7f3a10 ${key} ${value}`).join('\n')
    expect(parseMap(`${shown}\n\n`)).toEqual(lines)
  })
})

describe('nobody gets in', () => {
  const ended = '2026-01-01T00:00:00.000Z'
  const now = Date.parse('2026-06-01T00:00:00.000Z')
  const says = (access: 'tailnet' | 'keys' | 'either', keys: Record<string, Entry>, people = {}) =>
    nobodyIn({ version: 1, keys }, { access, listeners: {}, people }, now)

  it('where keys are asked for and there is none, or none that counts', () => {
    expect(says('keys', {})).toContain('access: keys is set and there is no key')
    expect(says('either', {})).toContain('access: either is set and there is no key')
    expect(says('keys', { a: entry({ expires: ended }) })).toContain('every key has ended')
    expect(says('keys', { a: entry({ hashes: [{ sha256: hashKey('x'), until: ended }] }) })).toContain('has ended')
    expect(says('keys', {}, { 'ann@x.y': {} })).toContain('there is no key')
  })

  it('is not said where somebody does', () => {
    expect(says('keys', { old: entry({ expires: ended }), a: entry() })).toBeUndefined()
    expect(says('either', {}, { 'ann@x.y': {} })).toBeUndefined()
    expect(says('tailnet', {})).toBeUndefined()
  })
})

describe('the registry', () => {
  it('is taken with hashes in small letters, too, and has them as HAProxy writes them', async () => {
    const small = hashKey('one').toLowerCase()
    const keys = { ann: { ...entry(), hashes: [{ sha256: small }], certificates: [{ sha256: small }] } }
    const files = new Map([[places('/Users/ada').keys, JSON.stringify({ version: 1, keys })]])
    const { ann } = (await readRegistry(memoryHost({ files }))).keys
    expect([ann?.hashes, ann?.certificates]).toEqual([[{ sha256: hashKey('one') }], [{ sha256: hashKey('one') }]])
  })

  const file = places('/Users/ada').keys

  it('is empty when there is none', async () => {
    expect(await readRegistry(memoryHost())).toEqual({ version: 1, keys: {} })
  })

  it.each([
    '',
    'no json',
    '{"version":1}',
    '{"version":1,"keys":{"a b":{"created":"2026-01-01T00:00:00Z","hashes":[]}}}',
    '{"version":1,"keys":{"a":{"hashes":["x"]}}}',
    '{"version":1,"keys":{"a":{"created":"2026-01-01T00:00:00Z","hashes":[],"groups":["manage"]}}}',
  ])('that holds %j is not believed', async (text) => {
    await expect(readRegistry(memoryHost({ files: new Map([[file, text]]) }))).rejects.toThrow(
      /not as keys.ts writes it .*Nothing was changed/,
    )
  })

  it('that were cut off or emptied say so, and an editor’s mark of UTF-8 before them is none of their letters', () => {
    expect(() => parseRegistry('{"version": 1, "keys": {', 'keys.json')).toThrow('(it is no JSON, or not whole)')
    expect(() => parseRegistry('\n', 'keys.json')).toThrow('(it is empty)')
    expect(parseRegistry('\uFEFF{"version":1,"keys":{}}', 'keys.json')).toEqual({ version: 1, keys: {} })
  })
})

describe('bans', () => {
  it('are the marked rows of the table, with IPv4 written plainly and the time left in seconds', () => {
    const table = [
      '# table: strangers, type: ipv6, size:20480, used:2',
      '0x1: key=::ffff:100.64.0.9 use=0 exp=58792 gpt0=1 gpc0=61 gpc0_rate(60000)=61',
      '0x2: key=fd7a:115c:a1e0::9 use=0 exp=1 shard=0 gpt0=1 gpc0=99 gpc0_rate(60000)=70',
    ].join('\n')
    expect(parseBans(table)).toEqual([
      { address: '100.64.0.9', wrongAMinute: 61, secondsLeft: 59 },
      { address: 'fd7a:115c:a1e0::9', wrongAMinute: 70, secondsLeft: 1 },
    ])
  })
})

it('what a key may do is told with its time limits', () => {
  expect(described(entry({ firstByte: 300, silence: 60, whole: 600, queue: 30, perSecond: 204_800 }))).toBe(
    'no end · all open groups · 300 s to the first byte · 60 s of silence · 600 s a request · 30 s in the queue · 200KB a second',
  )
})

it('a name of the cloud is in no list, though somebody wrote it down', () => {
  const known = { v1: { object: 'list', data: [] }, api: { models: [] } }
  const before = { 'models.map': '', 'list-v1.map': '', 'list-api.map': '' }
  const maps = listMaps([{ name: 'bob', models: ['gpt-oss:120b-cloud', 'kimi:cloud', 'qwen3'] }], known, before)
  expect([...maps['models.map'].keys()].filter((key) => key.includes('cloud'))).toEqual([])
  expect(maps['models.map'].get('bob|qwen3:latest')).toBe('yes')
})

import { execFileSync } from 'node:child_process'
import { beforeAll, describe, expect, it } from 'vitest'
import { certificate, issued } from '../../test/certificates.ts'
import { judge, wireName } from './judge.ts'
import { certificatesIn, type Facts, isDue } from './pair.ts'

const day = 86_400_000
let good: ReturnType<typeof issued>
beforeAll(() => {
  good = issued(['a.lan', '*.example.net', 'xn--bcher-kva.lan'])
})

const taken = (pem: string, name = 'a.lan', more: { held?: Facts; now?: Date } = {}) =>
  judge(pem, { name, source: 'from a test', ...more })

describe('a certificate is taken', () => {
  it('with its chain and its key, as one text: chain first, then the key, no empty line', () => {
    const pair = taken(good.pem)
    expect(pair.text).toMatch(
      /^-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n[^-]+-----END PRIVATE KEY-----\n$/,
    )
    expect(pair.text).not.toMatch(/\n\n|\r/)
    expect(pair.names).toEqual(['a.lan', '*.example.net', 'xn--bcher-kva.lan'])
    expect(pair.serial).toMatch(/^[1-9A-F][0-9A-F]*$/)
  })

  it.each([
    ['whose key comes first', () => `${good.leaf.key}${good.chain}`],
    ['with the line ends of Windows', () => good.pem.replaceAll('\n', '\r\n')],
    ['with the line ends of an old Mac', () => good.pem.replaceAll('\n', '\r')],
    [
      'with text around every part',
      () => `Bag Attributes: 1\n${good.pem.replaceAll('-----BEGIN', '\nsubject=/CN=a\n\n-----BEGIN')}\nend`,
    ],
    ['with a byte order mark', () => `\uFEFF${good.pem}`],
    ['whose chain goes up to the root', () => `${good.chain}${good.root.certificate}${good.leaf.key}`],
    ['beside a key of another', () => `${good.root.key}${good.pem}`],
  ])('%s, and comes out the same', (what, pem) => {
    const pair = taken(pem())
    if (!what.includes('root')) expect(pair.text).toBe(taken(good.pem).text)
    expect(certificatesIn(pair.text)[0]?.checkHost('a.lan')).toBe('a.lan')
  })

  it('for every name that it has: one file serves two names, a wildcard and what is under it, and others by their punycode', () => {
    for (const name of ['a.lan', 'A.lan', '*.example.net', 'x.example.net', 'bücher.lan', 'xn--bcher-kva.lan'])
      expect([name, taken(good.pem, name).text]).toEqual([name, taken(good.pem).text])
    expect(wireName('*.Bücher.lan')).toBe('*.xn--bcher-kva.lan')
  })

  it('in place of an older one, however long each lasts', () => {
    const held = { ...taken(good.pem), from: new Date(Date.now() - day), serial: '1' }
    expect(taken(issued(['a.lan'], { days: 1 }).pem, 'a.lan', { held }).names).toEqual(['a.lan'])
    const same = taken(good.pem)
    expect(taken(good.pem, 'a.lan', { held: same }).serial).toBe(same.serial)
  })
})

describe('a certificate is not taken', () => {
  const encrypted = (key: string) =>
    execFileSync('openssl', ['pkcs8', '-topk8', '-passout', 'pass:x'], { input: key, encoding: 'utf8' })

  const nameless = () => {
    const { certificate: text, key } = certificate({ names: [] })
    return text + key
  }

  const refusals: [string, () => string, string, RegExp][] = [
    ['that is none', () => 'hello', 'a.lan', /there is no certificate in it that can be read; give it in PEM form/],
    ['whose text is broken', () => good.pem.replace(/\nMI./, '\n!!!'), 'a.lan', /./],
    ['without its key', () => good.chain, 'a.lan', /no private key with it/],
    ['with the key of another', () => `${good.chain}${good.root.key}`, 'a.lan', /key of another certificate/],
    [
      'whose key has a password',
      () => `${good.chain}${encrypted(good.leaf.key)}`,
      'a.lan',
      /needs a password.*openssl pkey/,
    ],
    [
      'whose chain is upside down',
      () => `${good.middle.certificate}${good.leaf.certificate}${good.leaf.key}`,
      'a.lan',
      /wrong order: the certificate of the key comes as number 2; put it first/,
    ],
    [
      'whose chain leaves one out',
      () => `${good.leaf.certificate}${good.root.certificate}${good.leaf.key}`,
      'a.lan',
      /wrong order: number 2 \(CN=Lab CA root\) did not issue number 1/,
    ],
    [
      'that has expired',
      () => issued(['a.lan'], { begins: -3 * day, days: -1 }).pem,
      'a.lan',
      /it expired on \d{4}-\d\d-\d\d \d\d:\d\d UTC; get a new one/,
    ],
    [
      'that is not valid yet',
      () => issued(['a.lan'], { begins: day }).pem,
      'a.lan',
      /not valid before .* and here it is .*; wait until then, or set the clock right/,
    ],
    ['for another name', () => issued(['b.lan', 'c.lan']).pem, 'a.lan', /it is for b\.lan, c\.lan; get one for a\.lan/],
    ['without names, whatever its subject says', () => nameless(), 'nobody', /it is for no name at all/],
    [
      'for a wildcard where it has names under it only',
      () => issued(['x.example.net']).pem,
      '*.example.net',
      /it is for x\.example\.net; get one for \*\.example\.net/,
    ],
    ['for two labels under its wildcard', () => good.pem, 'x.y.example.net', /get one for x\.y\.example\.net/],
    ['for the name above its wildcard', () => good.pem, 'example.net', /get one for example\.net/],
    ['for other letters than its punycode', () => good.pem, 'bucher.lan', /get one for bucher\.lan/],
    ['that is for clients', () => issued(['a.lan'], { use: 'clientAuth' }).pem, 'a.lan', /not meant for servers/],
    ['with a short key', () => issued(['a.lan'], { bits: 1024 }).pem, 'a.lan', /1024 bits/],
  ]
  it.each(refusals)('%s', (_what, pem, name, words) => {
    const refused = () => taken(pem(), name)
    expect(refused).toThrow(words)
    expect(refused).toThrow(/^The certificate for \S+ \(from a test\) was not taken: [^.].*; .*\.$/)
  })

  it('that was issued before the one in use', () => {
    const pair = taken(good.pem)
    const after = (ms: number) => ({ ...pair, from: new Date(pair.from.getTime() + ms), serial: '1' })
    expect(() => taken(good.pem, 'a.lan', { held: after(1000) })).toThrow(/was issued on .* before the one in use/)
  })

  it('as older only where that is sure: authorities date back by up to an hour', () => {
    const { certificate: text, key } = certificate({ names: ['a.lan'] })
    const held = taken(text + key)
    const made = (minutes: number) =>
      taken(good.pem, 'a.lan', { held: { ...held, from: new Date(taken(good.pem).from.getTime() + minutes * 60_000) } })
    expect(made(59).names).toContain('a.lan')
    expect(() => made(61)).toThrow(/before the one in use/)
  })
})

it('a certificate is due when a third of its life is left, whatever its length', () => {
  for (const days of [1 / 1440, 6, 90, 800]) {
    const life = { from: new Date(0), until: new Date(days * day) }
    expect([isDue(life, days * day * 0.66), isDue(life, days * day * 0.67)]).toEqual([false, true])
  }
})

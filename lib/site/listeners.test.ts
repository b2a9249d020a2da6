import { describe, expect, test } from 'vitest'
import { Stop } from '../host/command.ts'
import { parseSettings } from './settings.ts'
import { covers, pemName } from './tls.ts'

const parse = (text: string) => parseSettings(text, 'settings.yaml')

/** The faults of settings, as the person reads them; empty where they are taken. */
function faults(text: string): string {
  try {
    parse(text)
    return ''
  } catch (error) {
    if (error instanceof Stop && error.code === 2) return error.message
    throw error
  }
}

const tls = 'tls: { ai.example.net: own-ca }\n'
const lan = (more = '') => `listeners: { lan: { addresses: [192.168.7.1], sources: [192.168.7.0/24]${more} } }\n`
const open = (more = '') => `listeners: { public: { addresses: [203.0.113.7]${more} } }\n`

describe('listeners', () => {
  test('have a LAN and the internet asked for a key, without a word about it', () => {
    expect(parse(tls + lan()).listeners.lan).toEqual({
      ...{ addresses: ['192.168.7.1'], sources: ['192.168.7.0/24'] },
      ...{ access: 'keys', certificates: 'none', plain: false },
    })
    expect(parse(tls + open()).listeners.public?.access).toBe('keys')
    expect(parse('listeners: { inside: { addresses: [10.0.0.5], from: [10.0.0.7] } }').listeners.inside?.access).toBe(
      'keys',
    )
  })

  test.each([
    ['a LAN without a certificate', lan(), /listeners\.lan: a certificate is needed here.*plain: true/],
    [
      'a public listener without a certificate',
      open(),
      /listeners\.public: a certificate is needed here, so that no key/,
    ],
    [
      'https on the tailnet without one',
      'listeners: { tailnet: { tls_port: 11443 } }',
      /listeners\.tailnet: a certificate is needed/,
    ],
    ['https on the port of plain http', `${tls}listeners: { tailnet: { tls_port: 11434 } }`, /another port than port/],
    ['a LAN that asks for nothing', tls + lan(', access: tailnet'), /lan\.access: keys: whoever is on a LAN/],
    [
      'a public listener that asks for nothing',
      tls + open(', access: from'),
      /public\.access: keys: whoever comes from/,
    ],
    ['plain http in public', tls + open(', plain: true'), /public\.plain: there is no such setting/],
    [
      'certificates by plain http',
      lan(', plain: true, certificates: required'),
      /lan\.certificates: none, since plain/,
    ],
    [
      'plain http inside beside the internet',
      `${tls}listeners: { public: { addresses: [203.0.113.7] }, inside: { addresses: [10.0.0.5], from: [10.0.0.7] } }`,
      /listeners\.inside: plain http is never beside listeners\.public/,
    ],
    [
      'a network inside',
      'listeners: { inside: { addresses: [10.0.0.5], from: [10.0.0.0/23] } }',
      /from\.0: a network of \/24/,
    ],
    ['everybody on a LAN', tls + lan().replace('192.168.7.0/24', '0.0.0.0/0'), /sources\.0: a network of \/8/],
    [
      'a source that is none',
      tls + lan().replace('192.168.7.0/24', '192.168.7.0/33'),
      /sources\.0: an address or a network/,
    ],
    [
      'a network that is believed whatever its PROXY headers say',
      tls + lan(', proxy_protocol: { from: [192.168.7.0/24] }'),
      /proxy_protocol\.from\.0: one address such as/,
    ],
    [
      'a PROXY header from this machine',
      tls + open(', proxy_protocol: { from: [203.0.113.8, 203.0.113.7] }'),
      /public\.proxy_protocol\.from\.1: the address of another machine/,
    ],
    [
      'a PROXY header from loopback',
      tls + open(', proxy_protocol: { from: ["::1"] }'),
      /from\.0: the address of another machine/,
    ],
    [
      'a PROXY header from everywhere',
      tls + open(', proxy_protocol: { from: [0.0.0.0] }'),
      /from\.0: the address of another machine/,
    ],
    ['a PROXY header from nobody', tls + lan(', proxy_protocol: { from: [] }'), /from: at least one address/],
    ['PROXY headers without a name', tls + lan(', proxy_protocol: true'), /proxy_protocol: \{ from: \[ADDRESS/],
    [
      'PROXY headers on the tailnet',
      `${tls}listeners: { tailnet: { tls_port: 11443, proxy_protocol: { from: [10.0.0.7] } } }`,
      /tailnet\.proxy_protocol: there is no such setting/,
    ],
    ['no source', tls + lan().replace('192.168.7.0/24', ''), /sources: at least one address or network/],
    [
      'a wildcard',
      tls + open().replace('203.0.113.7', '0.0.0.0'),
      /addresses\.0: one address of this machine; a wildcard/,
    ],
    ['a wildcard of IPv6', tls + open().replace('203.0.113.7', '"::"'), /addresses\.0: .*wildcard/],
    ['a star', tls + open().replace('203.0.113.7', '"*"'), /addresses\.0: one address; a wildcard/],
    [
      'a network to listen on',
      tls + open().replace('203.0.113.7', '203.0.113.0/24'),
      /addresses\.0: .*never listened on/,
    ],
    ['a name to listen on', tls + open().replace('203.0.113.7', 'ai.example.net'), /addresses\.0: an address such as/],
    [
      'the engine’s address',
      tls + open().replace('203.0.113.7', '127.0.0.1'),
      /addresses\.0: an address that others reach/,
    ],
    ['multicast', tls + open().replace('203.0.113.7', '224.0.0.1'), /addresses\.0: one address of this machine/],
    [
      'one place twice, however it is spelled',
      `${tls}listeners: { lan: { addresses: ["fd00::1"], sources: [fd00::/64] }, public: { addresses: ["fd00:0::1"] } }`,
      /listeners\.public\.addresses\.0: an address that no other listener has with the same port/,
    ],
    ['a port that is none', tls + open(', port: 70000'), /public\.port: a port from 1 to 65535/],
    [
      'a word on client certificates for a name that has none',
      tls + open(', certificates: { other.example.net: required }'),
      /public\.certificates\.other\.example\.net: a name under tls: /,
    ],
    [
      'a word on client certificates that is none',
      tls + open(', certificates: always'),
      /public\.certificates: none, optional \(a client certificate or a key\) or required, or one of them for each name/,
    ],
    [
      'a group that is never opened',
      tls + open(', groups: [manage]'),
      /public\.groups\.0: group "manage" cannot be opened/,
    ],
  ])('are refused with %s, in one sentence', (_what, text, sentence) => {
    const found = faults(text)
    expect(found).toMatch(sentence)
    expect(found).toContain('settings.yaml has 1 fault; nothing was changed.')
  })

  test('may be one address with two ports', () => {
    expect(
      faults(
        `${tls}listeners: { lan: { addresses: [10.0.0.1], sources: [10.0.0.0/8] }, public: { addresses: [10.0.0.1], port: 443 } }`,
      ),
    ).toBe('')
  })
})

describe('certificates', () => {
  test.each([
    ['AI.example.net', 'a name in small letters: ai.example.net'],
    ['ai.example.net.', 'without port, path and last dot'],
    ['ai.example.net:443', 'without port, path and last dot'],
    ['münchen.example', 'write it as xn--mnchen-3ya.example'],
    ['192.168.1.1', 'a handshake cannot ask for an address'],
    ['*', 'a name such as ai.example.net'],
    ['a.*.example.net', 'a name such as ai.example.net'],
    ['../evil', 'a name such as ai.example.net'],
  ])('for %j are refused', (name, words) => {
    expect(faults(`tls: { ${JSON.stringify(name)}: own-ca }`)).toContain(words)
  })

  test('come from one of four places', () => {
    for (const wrong of ['letsencrypt', '{ chain: ~/a.pem }', '{ chain: a.pem, key: ~/k }', '~'])
      expect(faults(`tls: { ai.example.net: ${wrong} }`), wrong).toMatch(/tls\.ai\.example\.net/)
    expect(faults('tls: { ai.example.net: letsencrypt }')).toContain('tailscale, acme, own-ca, or { chain: FILE')
    expect(faults('tls: { "*.example.net": { chain: /a/chain.pem, key: ~/k.pem }, a.b: acme, a: tailscale }')).toBe('')
  })

  test('have a file each, and a wildcard stands for one label', () => {
    expect(['ai.example.net', '*.example.net'].map(pemName)).toEqual(['ai.example.net.pem', '_.example.net.pem'])
    expect(covers('*.example.net', 'ai.example.net')).toBe(true)
    for (const name of ['example.net', 'a.ai.example.net', 'ai.example.org'])
      expect(covers('*.example.net', name)).toBe(false)
  })
})

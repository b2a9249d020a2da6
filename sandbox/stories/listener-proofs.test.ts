import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { hostileChecks } from '../../lib/checks/hostile.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { authority, pem } from '../lab/certificates.ts'
import { freePort, ownAddress, type RunningGateway, startGateway, withoutLine } from '../lab/gateway.ts'
import { answering, notOk, proofs, reported } from '../lab/proofs.ts'
import { type Recorder, startRecorder } from '../lab/recorder.ts'

const name = 'ai.example.net'
const ca = authority('a test')
const certificates = { [`${name}.pem`]: pem(ca.server(name)), 'clients.pem': ca.cert }
const bob = { created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(generateKey()) }] }

let engine: Recorder
let gateway: RunningGateway | undefined
beforeAll(async () => {
  engine = await startRecorder(answering)
})
afterAll(() => engine?.stop())
afterEach(async () => {
  await gateway?.stop()
  gateway = undefined
})

async function start(settings: string, alter?: (text: string) => string): Promise<RunningGateway> {
  gateway = await startGateway({
    ...{ enginePort: engine.port, settings: `tls: { ${name}: own-ca }\n${settings}`, certificates, alter },
    registry: { version: 1, keys: { bob } },
  })
  return gateway
}

const [one, two] = [ownAddress(), ownAddress()]
const lan = `lan: { addresses: [${one}], sources: [192.168.78.0/24] }`
const relay = 'proxy_protocol: { from: [127.0.0.60] }'
const open = `public: { addresses: [${two}] }`
const kinds: [string, string][] = [
  ['lan beside an open tailnet', `listeners: { ${lan} }`],
  [
    'lan with fewer groups than the settings open',
    `groups: [metadata]\nlisteners: { ${lan.replace(/ }$/, ', groups: [openai] }')} }`,
  ],
  [
    'lan and public, with a relay in front',
    `access: keys\nlisteners: { ${lan}, ${open.replace(/ }$/, `, ${relay} }`)} }`,
  ],
  [
    'lan in clear, with the people of the tailnet',
    `access: either\npeople: { bob@example.com: {} }\nlisteners: { lan: { addresses: [${one}], sources: [10.0.0.0/8], plain: true } }`,
  ],
  [
    'inside without keys',
    `access: keys\nlisteners: { inside: { addresses: [${one}], from: [10.0.0.7], access: from, groups: [metadata] } }`,
  ],
  ['inside with keys', `keyless: [openai]\nlisteners: { inside: { addresses: [${one}], from: [10.0.0.7] } }`],
  [
    'a relay in front of a LAN in clear',
    `access: keys\nlisteners: { lan: { addresses: [${one}], sources: [10.0.0.0/8], plain: true, ${relay} } }`,
  ],
  [
    'certificates that are required',
    `listeners: { lan: { addresses: [${one}], sources: [10.0.0.0/8], certificates: required } }`,
  ],
]

describe('test.ts', () => {
  test.each(kinds)('finds no fault with %s, and nothing hostile gets through', async (_kind, settings) => {
    const running = await start(settings)
    const checks = await reported(running, engine.port, (target) => [
      ...proofs(running)(target),
      ...hostileChecks(target, running.gateway),
    ])
    expect(notOk(checks)).toEqual([])
    const hostile = (listener: string) => checks.filter(({ id }) => id.startsWith(`hostile.${listener}.`)).length
    const asked = running.gateway.listeners.filter(({ tls, certificates }) => tls && certificates !== 'required')
    for (const { name } of asked) expect(hostile(name), name).toBeGreaterThan(140)
    expect(checks.map(({ id }) => id)).toContainEqual(expect.stringMatching(/^listeners\.(lan|inside|public)-/))
  })

  test('proves https on the tailnet, too', async () => {
    const port = await freePort('127.0.0.1')
    const running = await start(`listeners: { tailnet: { tls_port: ${port} } }`)
    const checks = await reported(running, engine.port, proofs(running))
    expect(notOk(checks)).toEqual([])
    expect(checks.map(({ id }) => id)).toEqual(
      expect.arrayContaining(['answers', 'host', 'name', 'clear'].map((what) => `listeners.tailnet-tls-${what}`)),
    )
  })

  test.each([
    ['listeners.lan-key', withoutLine(/an API key is needed/)],
    ['listeners.lan-host', withoutLine(/made for another name/)],
    ['listeners.lan-name', (text: string) => text.replace(' strict-sni', '')],
    ['listeners.lan-clear', (text: string) => text.replace(/(name lan) ssl .*$/m, '$1')],
    [
      'listeners.lan-answers',
      (text: string) =>
        text
          .replace('acl unasked so_name tailnet', 'acl unasked so_name nothing')
          .replace(/^.*set-var\(txn.hash\).*$/m, ''),
    ],
    [
      'listeners.lan-relay',
      (text: string) => text.replace(/(if \{ so_name lan \}) \{ src -f (?:\\ |\S)+relays-lan\.lst \}/, '$1'),
    ],
  ])('says so when %s is not as promised', async (id, alter) => {
    const running = await start(`listeners: { ${lan.replace(/ }$/, `, ${relay} }`)} }`, alter)
    const checks = await reported(running, engine.port, (target) =>
      proofs(running)(target).filter((check) => check.id === id),
    )
    expect(checks.map(({ state }) => state)).toEqual(['missed'])
  })
})

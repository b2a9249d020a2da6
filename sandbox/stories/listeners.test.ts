import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import type { Configuration } from '../../lib/site/configuration.ts'
import type { Registry } from '../../lib/site/limits.ts'
import { triedVersions } from '../attacks/versions/each.ts'
import { authority, pem } from '../lab/certificates.ts'
import { eventually, ownAddress, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { dial, type Exchange, exchange, request } from '../lab/raw.ts'
import { json, type Recorder, startRecorder } from '../lab/recorder.ts'

const names = { ai: 'ai.example.net', other: 'other.example.net' }
const ca = authority('a test')
const certificates = Object.fromEntries(Object.values(names).map((name) => [`${name}.pem`, pem(ca.server(name))]))
const tls = `tls: { ${Object.values(names)
  .map((name) => `${name}: own-ca`)
  .join(', ')} }\n`
const secrets = { bob: generateKey(), old: generateKey() }
const entry = (secret: string, more: object = {}) => ({
  ...{ created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(secret) }] },
  ...more,
})
const registry: Registry = {
  version: 1,
  keys: { bob: entry(secrets.bob), old: entry(secrets.old, { expires: '2026-01-02T00:00:00.000Z' }) },
}

/** Every source of this machine is 127.x, which is let in as this machine's own: without that, only those that are named. */
const withoutSelf = (listener: string) => (made: Configuration) => ({
  ...made,
  files: Object.fromEntries(
    Object.entries(made.files).map(([file, text]) => [
      file,
      file.endsWith(`sources-${listener}.lst`) ? text.replace('127.0.0.0/8\n', '') : text,
    ]),
  ),
})
const bearer = (secret: string) => [`Authorization: Bearer ${secret}`]

describe.each(triedVersions)('$title', ({ program }) => {
  let engine: Recorder
  let haproxy: string | undefined
  let why: string | undefined

  beforeAll(async () => {
    engine = await startRecorder(json())
    haproxy = await program().catch((error: Error) => {
      why = error.message
      return undefined
    })
  })
  beforeEach(({ skip }) => skip(why !== undefined, why))
  afterAll(() => engine?.stop())

  /** A gateway with these listeners, and how they are asked. */
  async function started(settings: string, more: object = {}) {
    if (why !== undefined) return undefined
    const gateway = await startGateway({
      ...{ enginePort: engine.port, settings: `${tls}${settings}`, certificates, registry },
      ...(haproxy ? { haproxy } : {}),
      ...more,
    })
    return gateway
  }

  /** A GET over a connection of its own: to the tailnet address unless told, in clear unless told. */
  function get(gateway: RunningGateway, path: string, how: How = {}): Promise<Exchange> {
    const { address = gateway.address, sni, from, headers = [], method = 'GET', options = {} } = how
    const port = how.port ?? gateway.port
    const host = how.host ?? `${sni ?? gateway.address}:${port}`
    const where = { address, port, from, ...(sni === undefined ? {} : { tls: { servername: sni, ...options } }) }
    return exchange(where, request(`${method} ${path} HTTP/1.1`, [`Host: ${host}`, ...headers]))
  }

  describe('on a LAN', () => {
    const lan = ownAddress()
    let gateway: RunningGateway
    const at = (how: How = {}) => ({ address: lan, sni: names.ai, ...how })
    const settings = [
      'log: requests',
      'groups: [agents, native]',
      'keyless: [openai]',
      'people: { ann@example.com: { groups: [anthropic] } }',
      `listeners: { lan: { addresses: [${lan}], sources: [192.168.78.0/24], groups: [agents] } }`,
    ].join('\n')
    beforeAll(async () => {
      const made = await started(settings)
      if (made) gateway = made
    })
    afterAll(() => gateway?.stop())

    test('a key gets in by https, and nobody without one, while the tailnet is open as before', async () => {
      expect((await get(gateway, '/v1/models', at({ headers: bearer(secrets.bob) }))).status).toBe(200)
      expect((await get(gateway, '/v1/models', at())).status).toBe(401)
      expect((await get(gateway, '/v1/models', at({ headers: bearer('rop_wrong') }))).status).toBe(401)
      expect((await get(gateway, '/api/version', at())).status).toBe(403)
      expect((await get(gateway, '/v1/models')).status).toBe(200)
      expect((await get(gateway, '/v1/models', { headers: bearer('any word') })).status).toBe(200)
    })

    test('each name has its own certificate, by TLS 1.2 or newer and HTTP/1.1', async () => {
      for (const name of Object.values(names)) {
        const client = await dial({
          address: lan,
          port: gateway.port,
          tls: { servername: name, ALPNProtocols: ['h2', 'http/1.1'] },
        })
        const socket = client.socket as TLSSocket
        expect(socket.getPeerCertificate().subject.CN).toBe(name)
        expect(socket.alpnProtocol).toBe('http/1.1')
        client.hangUp()
      }
      for (const [version, taken] of [
        ['TLSv1.1', false],
        ['TLSv1.2', true],
        ['TLSv1.3', true],
      ] as const) {
        const options: ConnectionOptions = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT:@SECLEVEL=0' }
        const { status } = await get(gateway, '/v1/models', at({ headers: bearer(secrets.bob), options }))
        expect(status, version).toBe(taken ? 200 : 0)
      }
    })

    test('a handshake for another name, or for none, gets no certificate', async () => {
      for (const servername of ['foreign.example.net', '']) {
        const client = await dial({ address: lan, port: gateway.port, tls: { servername } })
        expect((client.socket as TLSSocket).getPeerCertificate?.()?.subject?.CN).toBeUndefined()
        expect(await client.ended()).not.toBe('open')
      }
    })

    test('the Host must be the name of the handshake', async () => {
      const headers = bearer(secrets.bob)
      const ask = async (host: string) => (await get(gateway, '/v1/models', at({ headers, host }))).status
      expect(await ask(names.ai)).toBe(200)
      expect(await ask(`AI.example.net:${gateway.port}`)).toBe(200)
      for (const host of [names.other, `${names.other}:${gateway.port}`, lan, gateway.host, `${names.ai}.`])
        expect(await ask(host), host).toBe(421)
    })

    test('plain http there gets no answer, and the log says it in a line that its readers take', async () => {
      const { bytes, ended, send } = await dial({ address: lan, port: gateway.port })
      send(request('GET /v1/models HTTP/1.1', [`Host: ${names.ai}`, ...bearer(secrets.bob)]))
      expect(await ended()).not.toBe('open')
      expect(bytes().toString('latin1')).not.toMatch(/HTTP|Gateway/)
      await eventually('it is in the log', () =>
        gateway.log().some((line) => /"status":400,.*"denied":"tls"/.test(line)),
      )
      for (const line of gateway.log()) expect(() => JSON.parse(line), line).not.toThrow()
      expect(gateway.log().join('\n')).not.toContain(secrets.bob)
    })

    test('only its own groups are open there', async () => {
      const headers = bearer(secrets.bob)
      expect((await get(gateway, '/api/version', at({ headers }))).status).toBe(200)
      const chat = await get(gateway, '/api/chat', at({ headers, method: 'POST' }))
      expect(chat.status).toBe(403)
      expect(chat.body).toContain('is not enabled at this address of the server (group: native)')
      expect((await get(gateway, '/api/chat', { method: 'POST' })).status).toBe(200)
    })

    test('what the gateway says of itself is said to a key only', async () => {
      for (const [path, body] of [
        ['/', 'Ollama is running'],
        ['/healthz', 'ok'],
      ] as const) {
        expect((await get(gateway, path, at())).status, path).toBe(401)
        const known = await get(gateway, path, at({ headers: bearer(secrets.bob) }))
        expect([known.status, known.body]).toEqual([200, body])
        expect((await get(gateway, path)).body).toBe(body)
      }
    })

    test('the page that tells how to connect is shown to a key only', async () => {
      expect((await get(gateway, '/connect', at())).status).toBe(401)
    })
  })

  describe('in public', () => {
    const open = ownAddress()
    let gateway: RunningGateway
    const at = (how: How = {}) => ({ address: open, sni: names.ai, ...how })
    /** ms after which an unfinished handshake ends, here hurried */
    const patience = 1000
    beforeAll(async () => {
      const made = await started(`access: either\nlisteners: { public: { addresses: [${open}] } }`, {
        alter: (text: string) =>
          text.replace(/timeout client-hs 10s|timeout client 60s/g, (found) => found.replace(/\d+s/, `${patience}ms`)),
      })
      if (made) gateway = made
    })
    afterAll(() => gateway?.stop())

    test('a good key gets in', async () => {
      expect((await get(gateway, '/v1/models', at({ headers: bearer(secrets.bob) }))).status).toBe(200)
    })

    test('nobody learns whether a key is unknown, has ended or was given at all', async () => {
      const words = async (path: string, headers: string[]) => {
        const { status, body, headers: told } = await get(gateway, path, at({ headers }))
        const { 'x-request-id': id = '', ...others } = told
        return JSON.stringify([status, body.replaceAll(id, 'ID'), others])
      }
      for (const path of ['/v1/models', '/api/tags', '/v1/nothing', '/']) {
        const said = await Promise.all([secrets.old, generateKey(), 'x'].map((secret) => words(path, bearer(secret))))
        said.push(await words(path, []))
        expect(new Set(said).size, `${path}: ${said.join('\n')}`).toBe(1)
        expect(said[0]).toContain('an API key that is known here is needed')
      }
      const tailnet = await get(gateway, '/v1/models', { headers: bearer(secrets.old) })
      expect([tailnet.status, tailnet.body]).toEqual([401, expect.stringContaining('has expired')])
    })

    test('says nothing of what it is to whoever has no key', async () => {
      for (const path of ['/', '/healthz', '/api/hello', '/connect', '/metrics']) {
        const { status, body, headers } = await get(gateway, path, at())
        expect([401, 403], path).toContain(status)
        expect(`${body} ${headers.server}`, path).not.toMatch(/ollama|haproxy/i)
      }
      for (const how of [{}, at({ headers: bearer(secrets.bob) })])
        expect((await get(gateway, '/', how)).body).toBe('Ollama is running')
    })

    test('an unfinished handshake ends, and so does a connection that says nothing', async () => {
      for (const bytes of ['', '1603010200', '16030102000100']) {
        const client = await dial({ address: open, port: gateway.port })
        client.send(Buffer.from(bytes, 'hex'))
        expect(await client.ended(patience + 15_000)).not.toBe('open')
      }
    })

    test('an address that connects too often is refused there, and nobody else is', async () => {
      const from = '127.0.0.70'
      const ask = (source: string) =>
        get(gateway, '/v1/models', at({ from: source, headers: bearer(secrets.bob) })).then(({ status }) => status)
      const statuses: number[] = []
      for (let tries = 0; tries < 12; tries += 1)
        statuses.push(...(await Promise.all(Array.from({ length: 10 }, () => ask(from)))))
      expect(statuses.slice(0, 50)).toEqual(Array(50).fill(200))
      expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(101)
      expect(statuses.at(-1)).toBe(0)
      expect(await ask('127.0.0.71')).toBe(200)
      expect((await get(gateway, '/v1/models', { from, headers: bearer(secrets.bob) })).status).toBe(200)
    })

    test('keys that have ended count as guesses, and a good one still passes from there', async () => {
      const from = '127.0.0.72'
      const ask = (secret: string) => get(gateway, '/v1/models', at({ from, headers: bearer(secret) }))
      const client = await dial({ address: open, port: gateway.port, from, tls: { servername: names.ai } })
      for (let tries = 0; tries < 62; tries += 1) {
        client.send(request('GET /v1/models HTTP/1.1', [`Host: ${names.ai}`, ...bearer(secrets.old)]))
        await client.settled(tries + 1)
      }
      expect((await ask(secrets.old)).status).toBe(429)
      expect((await ask('x')).status).toBe(429)
      expect((await ask(secrets.bob)).status).toBe(200)
    })
  })

  describe('inside', () => {
    const [keyed, free] = [ownAddress(), ownAddress()]

    test('machines that are named get in as the settings say, and others do not', async () => {
      for (const [access, wanted] of [
        ['from', 200],
        ['keys', 401],
      ] as const) {
        const address = access === 'from' ? free : keyed
        const gateway = await started(
          `access: keys\nlimits: { per_minute: 2 }\nlisteners: { inside: { addresses: [${address}], from: [127.0.0.60], access: ${access} } }`,
          { change: withoutSelf('inside') },
        )
        if (!gateway) return
        try {
          const ask = async (from: string, headers: string[] = []) =>
            (await get(gateway, '/v1/models', { address, host: `${address}:${gateway.port}`, from, headers })).status
          expect(await ask('127.0.0.60')).toBe(wanted)
          expect(await ask('127.0.0.60', bearer(secrets.bob))).toBe(200)
          expect(await ask('127.0.0.60', bearer('rop_wrong'))).toBe(wanted)
          expect(await ask('127.0.0.61', bearer(secrets.bob))).toBe(0)
          expect((await get(gateway, '/v1/models', { from: '127.0.0.60' })).status).toBe(401)
        } finally {
          await gateway.stop()
        }
      }
    })
  })

  describe('on a LAN whose networks this machine is not in', () => {
    test('a foreign source is refused before the handshake', async () => {
      const lan = ownAddress()
      const gateway = await started(`listeners: { lan: { addresses: [${lan}], sources: [127.0.0.60] } }`, {
        change: withoutSelf('lan'),
      })
      if (!gateway) return
      try {
        const ask = (from: string) =>
          get(gateway, '/v1/models', { address: lan, sni: names.ai, from, headers: bearer(secrets.bob) })
        expect((await ask('127.0.0.60')).status).toBe(200)
        const client = await dial({ address: lan, port: gateway.port, from: '127.0.0.61' })
        client.send(Buffer.from('160301', 'hex'))
        expect(await client.ended()).not.toBe('open')
        expect(client.bytes().length).toBe(0)
        expect((await ask('127.0.0.61')).status).toBe(0)
        expect((await get(gateway, '/v1/models', { from: '127.0.0.61' })).status).toBe(200)
      } finally {
        await gateway.stop()
      }
    })
  })
})

interface How {
  address?: string
  port?: number
  sni?: string
  host?: string
  from?: string
  headers?: string[]
  method?: string
  options?: ConnectionOptions
}

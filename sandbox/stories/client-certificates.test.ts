import { constants } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { asksForKept, clientAuthorityFile } from '../../lib/certificates/clients.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { keep } from '../../lib/people/store.ts'
import type { Registry } from '../../lib/site/limits.ts'
import { triedVersions } from '../attacks/versions/each.ts'
import { authority, type Certificate, fingerprintOf, pem } from '../lab/certificates.ts'
import { eventually, freePort, ownAddress, type RunningGateway, startGateway, withoutLine } from '../lab/gateway.ts'
import { type Client, dial, request } from '../lab/raw.ts'
import { json, type Recorder, startRecorder } from '../lab/recorder.ts'

const name = 'ai.example.net'
/** Names of a listener that has a word for each; a name beside a wildcard that is left out asks for none. */
const named = {
  closed: 'agents.example.net',
  below: 'one.lab.example.net',
  beside: 'open.lab.example.net',
  either: 'either.example.net',
}
const wildcard = '*.lab.example.net'
const ca = authority('a test')
const foreign = authority('another')
const clients = { ann: ca.client('ann'), eve: ca.client('eve'), mallory: foreign.client('ann') }
const secret = generateKey()
const created = '2026-01-01T00:00:00.000Z'
const bob = { created, hashes: [{ sha256: hashKey(secret) }] }
const registry = (...certificates: Certificate[]): Registry => ({
  version: 1,
  keys: {
    bob,
    ann: { created, hashes: [], certificates: certificates.map((one) => ({ sha256: fingerprintOf(one) })) },
  },
})

/** How a session may be taken up again. */
const modes: [string, ConnectionOptions][] = [
  ['by a ticket of TLS 1.2', { maxVersion: 'TLSv1.2' }],
  ['by a session id of TLS 1.2', { maxVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_TICKET }],
  ['by TLS 1.3', { minVersion: 'TLSv1.3' }],
]

describe.each(triedVersions)('client certificates with $title', ({ program }) => {
  let engine: Recorder
  let gateway: RunningGateway
  let why: string | undefined
  let haproxy: string | undefined
  const [lan, open] = [ownAddress(), ownAddress()]
  let port = 0
  const settings = () =>
    [
      `tls: { ${name}: own-ca }`,
      'log: requests',
      'listeners:',
      `  tailnet: { tls_port: ${port} }`,
      `  lan: { addresses: [${lan}], sources: [192.168.78.0/24], certificates: required }`,
      `  public: { addresses: [${open}], certificates: optional }`,
    ].join('\n')

  const started = (alter?: (text: string) => string): Promise<RunningGateway> =>
    startGateway({
      ...{ enginePort: engine.port, settings: settings(), registry: registry(clients.ann), alter },
      ...(haproxy ? { haproxy } : {}),
      certificates: { [`${name}.pem`]: pem(ca.server(name)), 'clients.pem': ca.cert },
    })

  beforeAll(async () => {
    engine = await startRecorder(json())
    haproxy = await program().catch((error: Error) => {
      why = error.message
      return undefined
    })
    port = await freePort('127.0.0.1')
    if (why === undefined) gateway = await started()
  })
  beforeEach(({ skip }) => skip(why !== undefined, why))
  afterAll(async () => {
    await gateway?.stop()
    await engine?.stop()
  })

  /** A connection by TLS that shows this certificate. */
  const connected = (address: string, who?: Certificate, options: ConnectionOptions = {}, on = gateway) =>
    dial({
      address,
      port: address === on.address ? port : on.port,
      tls: { servername: name, ...who, ...options },
    })

  /** The next status on it; 0 where it ended. */
  async function asks(client: Client, headers: string[] = [], host = name): Promise<number> {
    const before = client.replies().length
    client.send(request('GET /v1/models HTTP/1.1', [`Host: ${host}`, ...headers]))
    const replies = await client.settled(before + 1)
    return replies[before]?.status ?? 0
  }

  const once = async (address: string, who?: Certificate, headers: string[] = []): Promise<number> => {
    const client = await connected(address, who)
    const status = await asks(client, headers)
    client.hangUp()
    return status
  }
  const key = [`Authorization: Bearer ${secret}`]

  test('are asked for of the authority that is kept, and it is noticed where another is kept since', async () => {
    const file = clientAuthorityFile(gateway.machine)
    expect(await asksForKept(gateway.machine)).toBe(true)
    writeFileSync(file, authority('another').cert)
    expect(await asksForKept(gateway.machine)).toBe(false)
    writeFileSync(file, ca.cert)
  })

  test('that are known get in without a key, under their name', async () => {
    expect(await once(lan, clients.ann)).toBe(200)
    expect(await once(open, clients.ann)).toBe(200)
    expect(await once(open, clients.ann, key)).toBe(200)
    await eventually('the log has her', () => gateway.log().filter((line) => line.includes('"who":"ann"')).length >= 3)
    expect(gateway.log().some((line) => line.includes('"who":"bob"'))).toBe(false)
  })

  test('that are required are not replaced by a key, and those of somebody else open nothing', async () => {
    for (const who of [undefined, clients.mallory]) expect(await once(lan, who, key)).toBe(0)
    expect(await once(lan, clients.eve)).toBe(401)
    expect(await once(lan, clients.eve, key)).toBe(401)
  })

  test('that are optional may be a key instead', async () => {
    expect(await once(open)).toBe(401)
    expect(await once(open, undefined, key)).toBe(200)
    expect(await once(open, clients.eve)).toBe(401)
    expect(await once(open, clients.eve, key)).toBe(200)
    expect(await once(open, clients.mallory, key)).toBe(0)
  })

  /** The session of a connection, once it can be taken up again. */
  async function session(address: string, options: ConnectionOptions, who?: Certificate, on = gateway) {
    const client = await connected(address, who, options, on)
    let taken = (client.socket as TLSSocket).getSession()
    client.socket.on('session', (given: Buffer) => {
      taken = Buffer.from(given)
    })
    await asks(client)
    client.hangUp()
    return taken
  }

  /** What becomes of a request whose session was made at another listener without a certificate. */
  async function resumed(options: ConnectionOptions, on = gateway) {
    const made = await session(on.address, options, undefined, on)
    const client = await connected(lan, undefined, { ...options, session: made }, on)
    const status = await asks(client, key)
    client.hangUp()
    return status
  }

  test.each(modes)('are not got round with a session of an open listener, %s', async (_how, options) => {
    expect([0, 401]).toContain(await resumed(options))
  })

  test.each(modes)('still count in a session that is taken up again, %s', async (_how, options) => {
    const made = await session(lan, options, clients.ann)
    const client = await connected(lan, clients.ann, { ...options, session: made })
    expect((client.socket as TLSSocket).isSessionReused()).toBe(true)
    expect(await asks(client)).toBe(200)
    client.hangUp()
  })

  test('would rest on HAProxy’s version where the handshake alone decided: from 3.2 on it refuses by itself', async (context) => {
    const bare = await started(withoutLine(/certified_only !/))
    context.onTestFinished(() => bare.stop())
    const statuses = await Promise.all(modes.map(([, options]) => resumed(options, bare)))
    const [major, minor] = bare.version
    // Debian's 2.6 and 3.0 of October 2026 let it in (haproxy-news.md §4a); a later fix of theirs is no fault of ours.
    const mayHaveHole = major < 3 || (major === 3 && minor < 2)
    expect(mayHaveHole || !statuses.includes(200), `${bare.version}: ${statuses}`).toBe(true)
  })

  test('that are taken back end at the next request of an open connection', async () => {
    const client = await connected(lan, clients.ann)
    expect(await asks(client)).toBe(200)
    await keep(gateway.machine, registry(), gateway.gateway.settings)
    expect(await asks(client)).toBe(401)
    await keep(gateway.machine, registry(clients.ann), gateway.gateway.settings)
    expect(await asks(client)).toBe(200)
    client.hangUp()
  })

  describe('by name', () => {
    const { closed, below, beside, either } = named
    const exact = [name, closed, beside, either]
    const own = [
      `tls: { ${[...exact, `'${wildcard}'`].map((one) => `${one}: own-ca`).join(', ')} }`,
      `hosts: [${below}]`,
      `listeners: { lan: { addresses: [${lan}], sources: [192.168.78.0/24], certificates: { ${closed}: required, ${either}: optional, '${wildcard}': required } } }`,
    ].join('\n')
    const byNames = (alter?: (text: string) => string): Promise<RunningGateway> =>
      startGateway({
        ...{ enginePort: engine.port, settings: own, registry: registry(clients.ann), alter },
        ...(haproxy ? { haproxy } : {}),
        certificates: {
          ...Object.fromEntries(exact.map((one) => [`${one}.pem`, pem(ca.server(one))])),
          '_.lab.example.net.pem': pem(ca.server(wildcard)),
          'clients.pem': ca.cert,
        },
      })
    let at: RunningGateway
    beforeAll(async () => {
      if (why === undefined) at = await byNames()
    })
    afterAll(() => at?.stop())

    const under = (servername: string, who?: Certificate, options: ConnectionOptions = {}, on = at) =>
      connected(lan, who, { servername, ...options }, on)
    const asked = async (servername: string, who?: Certificate, headers: string[] = [], host = servername) => {
      const client = await under(servername, who)
      const status = await asks(client, headers, host)
      client.hangUp()
      return status
    }

    test('each name asks for what the settings say of it, and those that they do not name for none', async () => {
      for (const [servername, without, withKey] of [
        [name, 401, 200],
        [beside, 401, 200],
        [either, 401, 200],
        [closed, 0, 0],
        [below, 0, 0],
      ] as const)
        expect([await asked(servername), await asked(servername, undefined, key)], servername).toEqual([
          without,
          withKey,
        ])
      for (const servername of [either, closed, below])
        expect([await asked(servername, clients.ann), await asked(servername, clients.eve)], servername).toEqual([
          200, 401,
        ])
      expect(await asked(closed, clients.eve, key)).toBe(401)
      expect(await asked(either, clients.eve, key)).toBe(200)
    })

    test('they are asked for of the authority that is kept there, too', async () => {
      expect(await asksForKept(at.machine)).toBe(true)
    })

    test('the Host of one that asks for none opens none that asks for one', async () => {
      expect(await asked(name, undefined, key, closed)).toBe(421)
    })

    /** What becomes of a request under a name that asks for one, on a session of a name that does not. */
    async function resumedUnder(servername: string, options: ConnectionOptions, on = at): Promise<number> {
      const made = await session(lan, { ...options, servername: name }, undefined, on)
      const client = await under(servername, undefined, { ...options, session: made }, on)
      const status = await asks(client, key, servername)
      client.hangUp()
      return status
    }

    test.each(modes)('a session of an open name opens no other one, %s', async (_how, options) => {
      for (const servername of [closed, below]) expect([0, 401, 421]).toContain(await resumedUnder(servername, options))
    })

    test('that is so by our rule, where HAProxy takes such a session up', async (context) => {
      const bare = await byNames(withoutLine(/var\(txn\.use\) -m str required/))
      context.onTestFinished(() => bare.stop())
      const statuses: number[] = []
      for (const [, options] of modes) statuses.push(await resumedUnder(closed, options, bare))
      const [major, minor] = bare.version
      const mayHaveHole = major < 3 || (major === 3 && minor < 2)
      expect(mayHaveHole || !statuses.includes(200), `${bare.version}: ${statuses}`).toBe(true)
    })
  })
})

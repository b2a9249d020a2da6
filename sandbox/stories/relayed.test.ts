import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { triedVersions } from '../attacks/versions/each.ts'
import { authority, pem } from '../lab/certificates.ts'
import { eventually, ownAddress, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { dial, type Exchange, exchange, request } from '../lab/raw.ts'
import { json, type Recorder, startRecorder } from '../lab/recorder.ts'

const name = 'ai.example.net'
const ca = authority('a test')
const certificates = { [`${name}.pem`]: pem(ca.server(name)) }
const secret = generateKey()
const registry = {
  version: 1 as const,
  keys: { bob: { created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(secret) }] } },
}
const [relay, stranger] = ['127.0.0.60', '127.0.0.61']
const [lan, open, plain] = [ownAddress(), ownAddress(), ownAddress()]

/** Both forms of the header (proxy-protocol.txt §2.1, §2.2), for a client at this address. */
const first = (client: string): string => `PROXY TCP4 ${client} 192.0.2.1 40000 443\r\n`
const second = (client: string): Buffer =>
  Buffer.concat([
    Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'),
    Buffer.from([0x21, 0x11, 0, 12, ...client.split('.').map(Number), 192, 0, 2, 1, 0x9c, 0x40, 1, 0xbb]),
  ])
/** What a relay sends that asks for itself, to see whether we live. */
const itself = Buffer.concat([second('0.0.0.0').subarray(0, 12), Buffer.from([0x20, 0, 0, 0])])

describe.each(triedVersions)('$title', ({ program }) => {
  let engine: Recorder
  let gateway: RunningGateway
  let inClear: RunningGateway
  let why: string | undefined

  const started = async (settings: string, haproxy?: string) =>
    startGateway({
      ...{ enginePort: engine.port, settings: `log: requests\n${settings}`, certificates, registry },
      ...(haproxy ? { haproxy } : {}),
      // All addresses here are this machine's, which is let in everywhere.
      change: (made) => ({
        ...made,
        files: Object.fromEntries(
          Object.entries(made.files).map(([file, text]) => [
            file,
            file.endsWith('sources-lan.lst') ? text.replace('127.0.0.0/8\n', `${stranger}\n`) : text,
          ]),
        ),
      }),
    })
  beforeAll(async () => {
    engine = await startRecorder(json())
    const haproxy = await program().catch((error: Error) => {
      why = error.message
      return undefined
    })
    if (why !== undefined) return
    const believed = `proxy_protocol: { from: [${relay}] }`
    const own = `sources: [10.1.2.0/24], ${believed}`
    gateway = await started(
      `tls: { ${name}: own-ca }\nlisteners: { lan: { addresses: [${lan}], ${own} }, public: { addresses: [${open}], ${believed} } }`,
      haproxy,
    )
    inClear = await started(`listeners: { lan: { addresses: [${plain}], plain: true, ${own} } }`, haproxy)
  })
  beforeEach(({ skip }) => skip(why !== undefined, why))
  afterAll(async () => {
    await gateway?.stop()
    await inClear?.stop()
    await engine?.stop()
  })

  const head = (key: string) => [`Host: ${name}`, `Authorization: Bearer ${key}`]
  const ask = (address: string, from: string, header?: string | Buffer, key = secret): Promise<Exchange> =>
    exchange(
      { address, port: gateway.port, from, first: header, tls: { servername: name } },
      request('GET /v1/models HTTP/1.1', head(key)),
    )
  const status = async (...asked: Parameters<typeof ask>) => (await ask(...asked)).status

  test('the address that a relay names decides who may come, in both forms of the header', async () => {
    for (const header of [first, second]) {
      expect(await status(lan, relay, header('10.1.2.3'))).toBe(200)
      expect(await status(lan, relay, header('10.1.3.3'))).toBe(0)
    }
  })

  test('stands in the log, and in that of requests that are refused', async () => {
    await status(open, relay, first('198.51.100.7'))
    await status(open, relay, first('198.51.100.8'), 'rop_wrong')
    const seen = (address: string, code: number) =>
      gateway.log().some((line) => line.includes(`"address":"${address}"`) && line.includes(`"status":${code}`))
    await eventually('both are there', () => seen('198.51.100.7', 200) && seen('198.51.100.8', 401))
  })

  test('a relay that says nothing of the kind is not answered, and one that asks for itself is one among others', async () => {
    expect(await status(open, relay)).toBe(0)
    expect(await status(open, relay, itself)).toBe(200)
    expect(await status(lan, relay, itself)).toBe(0)
  })

  test('nobody else is believed: such a header is no handshake, and no request', async () => {
    for (const header of [first, second]) {
      expect(await status(lan, stranger, header('10.1.2.3'))).toBe(0)
      expect(await status(open, stranger, header('10.1.2.3'))).toBe(0)
      const client = await dial({ address: plain, port: inClear.port, from: stranger, first: header('10.1.2.3') })
      client.send(request('GET /v1/models HTTP/1.1', [`Host: ${plain}:${inClear.port}`, ...head(secret).slice(1)]))
      expect(await client.ended()).not.toBe('open')
      expect(client.replies()[0]?.status).toBe(400)
    }
    expect(await status(lan, stranger)).toBe(200)
    expect(await status(open, stranger)).toBe(200)
  })

  test('a relay in clear is believed likewise', async () => {
    const asked = (header: string) =>
      exchange(
        { address: plain, port: inClear.port, from: relay, first: header },
        request('GET /v1/models HTTP/1.1', [`Host: ${plain}:${inClear.port}`, ...head(secret).slice(1)]),
      )
    expect((await asked(first('10.1.2.3'))).status).toBe(200)
    expect((await asked(first('10.1.3.3'))).status).toBe(0)
  })

  test('limits, bans and rates are those of the address that is named', async () => {
    for (let tries = 0; tries < 62; tries += 1) await status(open, relay, first('198.51.100.20'), 'rop_wrong')
    expect(await status(open, relay, first('198.51.100.20'), 'rop_wrong')).toBe(429)
    expect(await status(open, relay, first('198.51.100.21'), 'rop_wrong')).toBe(401)
    const often: number[] = []
    for (let tries = 0; tries < 12; tries += 1)
      often.push(...(await Promise.all(Array.from({ length: 10 }, () => status(open, relay, first('198.51.100.22'))))))
    expect(often.slice(0, 50)).toEqual(Array(50).fill(200))
    expect(often.at(-1)).toBe(0)
    expect(await status(open, relay, first('198.51.100.23'))).toBe(200)
    const held = await Promise.all(
      Array.from({ length: 70 }, () =>
        dial({ address: lan, port: gateway.port, from: relay, first: first('10.1.2.9'), tls: { servername: name } }),
      ),
    )
    await eventually('no more than 64 are held', () => held.filter((client) => client.end() === 'open').length <= 64)
    for (const client of held) client.hangUp()
  })
})

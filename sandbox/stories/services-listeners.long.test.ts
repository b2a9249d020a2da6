import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { triedVersions } from '../attacks/versions/each.ts'
import { authority, type Certificate, fingerprintOf, pem } from '../lab/certificates.ts'
import { eventually, ownAddress, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { notOk, proofs, reported } from '../lab/proofs.ts'
import { exchange, request } from '../lab/raw.ts'
import { json, type Recorder, startRecorder } from '../lab/recorder.ts'
import { type ApiStandIn, startApi } from '../services/api.ts'
import { type Page, startPage } from '../services/page.ts'

const names = { page: 'notes.example.net', api: 'openai.example.net' }
const ca = authority('a test')
const clients = { ann: ca.client('ann'), eve: ca.client('eve'), mallory: authority('another').client('ann') }
const secret = generateKey()
const created = '2026-01-01T00:00:00.000Z'
const registry = {
  version: 1 as const,
  keys: {
    bob: { created, hashes: [{ sha256: hashKey(secret) }] },
    ann: { created, hashes: [], certificates: [{ sha256: fingerprintOf(clients.ann) }] },
  },
}
const [relay, stranger] = ['127.0.0.60', '127.0.0.61']
const port = 8443
const key = [`Authorization: Bearer ${secret}`]
/** What a relay says first (proxy-protocol.txt §2.1). */
const from = (client: string): string => `PROXY TCP4 ${client} 192.0.2.1 40000 443\r\n`

describe.each(triedVersions)('services behind $title', ({ program }) => {
  const [lan, open] = [ownAddress(), ownAddress()]
  let why: string | undefined
  let engine: Recorder
  let page: Page
  let api: ApiStandIn
  let gateway: RunningGateway

  beforeAll(async () => {
    const haproxy = await program().catch((error: Error) => {
      why = error.message
      return undefined
    })
    if (why !== undefined) return
    engine = await startRecorder(json())
    page = await startPage('notes', '/')
    api = await startApi('a stand-in for LiteLLM', '/health/readiness')
    gateway = await startGateway({
      ...{ enginePort: engine.port, registry, ...(haproxy ? { haproxy } : {}) },
      settings: `log: requests
tls: { ${names.page}: own-ca, ${names.api}: own-ca }
listeners:
  lan: { addresses: [${lan}], sources: [192.168.78.0/24], port: ${port}, certificates: required }
  public: { addresses: [${open}], port: ${port}, proxy_protocol: { from: [${relay}] } }
services:
  notes: { kind: page, name: ${names.page}, backend: 'localhost:${page.port}', listeners: [lan, public] }
  openai: { kind: litellm, name: ${names.api}, backend: 'localhost:${api.port}', listeners: [lan, public] }
`,
      certificates: {
        ...Object.fromEntries(Object.values(names).map((name) => [`${name}.pem`, pem(ca.server(name))])),
        'clients.pem': ca.cert,
      },
    })
    await eventually(
      'both are up',
      async () => (await ask('page', relayed())).status === 200 && (await ask('api', relayed(), key)).status === 200,
    )
  })
  beforeEach(({ skip }) => skip(why !== undefined, why))
  afterAll(async () => {
    for (const one of [gateway, page, api, engine]) await one?.stop()
  })

  interface How {
    address: string
    from?: string
    first?: string
    who?: Certificate
  }
  const relayed = (client = '198.51.100.7'): How => ({ address: open, from: relay, first: from(client) })
  const ask = (of: keyof typeof names, { who, ...where }: How, headers: string[] = []) =>
    exchange(
      { ...where, port, tls: { servername: names[of], ...who } },
      request(`GET ${of === 'page' ? '/any' : '/v1/models'} HTTP/1.1`, [`Host: ${names[of]}:${port}`, ...headers]),
    )

  test('where a listener requires a certificate, nobody comes to a page or a program without one that is known', async () => {
    for (const of of ['page', 'api'] as const) {
      expect((await ask(of, { address: lan, who: clients.ann })).status).toBe(200)
      expect((await ask(of, { address: lan, who: clients.eve }, key)).status).toBe(401)
      for (const who of [undefined, clients.mallory])
        expect((await ask(of, { address: lan, who }, key)).status, `${of} ${who ? 'mallory' : 'nobody'}`).toBe(0)
    }
    expect((await ask('page', { address: lan, who: clients.eve })).body).toContain(
      'a client certificate that is known here is needed',
    )
    await eventually(
      'the log has her twice',
      () => gateway.log().filter((line) => line.includes('"who":"ann"')).length === 2,
    )
  })

  test('behind a relay a page is told whom the relay names, and the log of a program has the same', async () => {
    page.visits.length = 0
    await ask('page', relayed('198.51.100.8'), ['X-Forwarded-For: 1.2.3.4'])
    expect(page.visits.map(({ headers }) => headers['x-forwarded-for'])).toEqual(['198.51.100.8'])
    expect((await ask('api', relayed('198.51.100.9'), ['Authorization: Bearer rop_wrong'])).status).toBe(401)
    const seen = () =>
      gateway.log().some((line) => line.includes('"address":"198.51.100.9"') && line.includes('"status":401'))
    await eventually('it stands in the log', seen)
  })

  test('nobody but the relay is believed, and the relay says whom it brings', async () => {
    for (const of of ['page', 'api'] as const) {
      expect((await ask(of, { address: open, from: stranger, first: from('198.51.100.8') }, key)).status).toBe(0)
      expect((await ask(of, { address: open, from: relay }, key)).status).toBe(0)
      expect((await ask(of, { address: open, from: stranger }, key)).status).toBe(200)
    }
  })

  test('test.ts asks each where no certificate is needed, and finds no fault', async () => {
    const all = await reported(gateway, engine.port, proofs(gateway))
    const mine = all.filter(({ id }) => id.startsWith('services.'))
    expect(notOk(mine)).toEqual([])
    expect(mine.map(({ id }) => id)).toEqual(
      expect.arrayContaining(['services.notes-answers', 'services.openai-answers']),
    )
  })
})

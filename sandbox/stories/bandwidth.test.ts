import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { swap } from '../../lib/haproxy/reload.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import type { Limits, Registry } from '../../lib/site/limits.ts'
import { emptyReceipt } from '../../lib/site/receipt.ts'
import { haproxyOf } from '../attacks/versions/debian.ts'
import { program, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { type Client, dial, request } from '../lab/raw.ts'
import { json, type Recorder, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway | undefined
let clients: Client[] = []
const keys: Record<string, Partial<Limits>> = {
  plain: {},
  other: {},
  slow: { perSecond: 8 * 1024 },
  slower: { perSecond: 1024 },
}
const secrets = Object.fromEntries(Object.keys(keys).map((name) => [name, generateKey()]))
const registry: Registry = {
  version: 1,
  keys: Object.fromEntries(
    Object.entries(keys).map(([name, limits]) => [
      name,
      { ...limits, created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(secrets[name] ?? '') }] },
    ]),
  ),
}
const answer = json(JSON.stringify('x'.repeat(24 * 1024)))

beforeAll(async () => {
  engine = await startRecorder(answer)
})
afterEach(async () => {
  for (const client of clients) client.hangUp()
  clients = []
  await gateway?.stop()
  gateway = undefined
})
afterAll(() => engine?.stop())

const older = async () => (await program()).version[0] < 3

async function start(settings: string, keyed = true): Promise<RunningGateway | undefined> {
  const haproxy = (await older()) ? await haproxyOf('experimental').catch(() => undefined) : undefined
  if ((await older()) && !haproxy) return undefined
  const options = { enginePort: engine.port, settings, ...(keyed ? { registry } : {}) }
  gateway = await startGateway({ ...options, ...(haproxy ? { haproxy } : {}) })
  return gateway
}

interface Asked {
  who?: string
  path?: string
  from?: string
}

async function open(at: RunningGateway, { who, path = '/v1/messages', from }: Asked): Promise<Client> {
  const client = await dial({ ...at, ...(from ? { from } : {}) })
  clients.push(client)
  const key = who ? [`Authorization: Bearer ${secrets[who]}`] : []
  client.send(request(`POST ${path} HTTP/1.1`, [`Host: ${at.host}`, ...key], '{"model":"m"}'))
  return client
}

const done = (client: Client): boolean => client.replies()[0]?.whole === true
/** A slowed answer keeps its slot, so there are enough. */
const slots = 'inference: { slots: 16 }\n'
const why = 'no HAProxy that has it is to be had'

describe('bytes of answers a second', () => {
  test('are a key’s own, or a group’s whoever uses it: its answers share them and come whole, later than others, which are not slowed', async (context) => {
    const at = await start(
      `${slots}access: keys\ngroups: [agents, embeddings]\nlimits: { groups: { embeddings: { per_second: 8KB } } }`,
    )
    if (!at) return context.skip(why)
    const begun = performance.now()
    const path = '/v1/embeddings'
    const slow = [await open(at, { who: 'slow' }), await open(at, { who: 'slow' })]
    const group = [await open(at, { who: 'plain', path }), await open(at, { who: 'other', path })]
    const slower = await open(at, { who: 'slower' })
    for (const who of ['plain', 'other']) expect((await (await open(at, { who })).settled())[0]?.whole).toBe(true)
    expect([...slow, ...group, slower].map(done)).toEqual([false, false, false, false, false])
    const whole = async (client: Client) => {
      expect((await client.settled(1, 60_000))[0]).toMatchObject({ status: 200, whole: true })
      return performance.now() - begun
    }
    const times = await Promise.all([slow, group].map((pair) => Promise.all(pair.map(whole))))
    // Two answers of 24 KB at 8 KB a second are six seconds, the first of which HAProxy gives at once; one alone would be three.
    for (const pair of times) expect(Math.max(...pair)).toBeGreaterThan(3_500)
    expect(done(slower)).toBe(false)
  })

  test('are each address’s where no key is asked for', async (context) => {
    const at = await start(`${slots}limits: { per_second: 8KB }`, false)
    if (!at) return context.skip(why)
    const begun = performance.now()
    const many = await Promise.all([1, 2, 3, 4].map(() => open(at, { from: '127.8.0.1' })))
    const other = await open(at, { from: '127.8.0.2' })
    expect((await other.settled(1, 60_000))[0]?.whole).toBe(true)
    expect(performance.now() - begun).toBeGreaterThan(1_500)
    expect(many.map(done)).toEqual([false, false, false, false])
  })

  test('are refused of an older HAProxy in one sentence, and nothing changes', async (context) => {
    if (!(await older())) return context.skip('this HAProxy is new enough')
    const at = await startGateway({ enginePort: engine.port, settings: 'access: keys', registry })
    gateway = at
    const asked = 'limits: { per_second: 1MB, groups: { openai: { per_second: 1MB } } }'
    const configuration = at.rendered(`access: keys\n${asked}`)
    await expect(swap(at.machine, { receipt: emptyReceipt(), configuration, haproxy: at.program })).rejects.toThrow(
      /the old one stays: .*limits\.per_second, limits\.groups\.openai\.per_second in settings\.yaml need HAProxy 3\.0 or newer/,
    )
    expect((await (await open(at, { who: 'plain' })).settled())[0]?.whole).toBe(true)
  })
})

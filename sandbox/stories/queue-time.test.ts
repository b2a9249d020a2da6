import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { swap } from '../../lib/haproxy/reload.ts'
import { engineLoad } from '../../lib/haproxy/runtime.ts'
import { parseEnded } from '../../lib/observer/ended.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import type { Limits, Registry } from '../../lib/site/limits.ts'
import { emptyReceipt } from '../../lib/site/receipt.ts'
import { haproxyOf } from '../attacks/versions/debian.ts'
import { eventually, program, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { type Client, dial, request } from '../lab/raw.ts'
import { json, type Recorder, silent, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway | undefined
let clients: Client[] = []
const keys: Record<string, Partial<Limits>> = { plain: {}, hasty: { queue: 1 }, calm: { queue: 600 } }
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
const common = 'access: keys\ninference: { slots: 1 }\n'

beforeAll(async () => {
  engine = await startRecorder(silent)
})
afterEach(async () => {
  for (const client of clients) client.hangUp()
  clients = []
  await gateway?.stop()
  gateway = undefined
})
afterAll(() => engine?.stop())

const older = async () => {
  const { version } = await program()
  return version[0] < 3 || (version[0] === 3 && version[1] < 4)
}
const waiting = async (at: RunningGateway) => (await engineLoad(at.machine))?.waiting

async function open(at: RunningGateway, who: string, path: string): Promise<Client> {
  const client = await dial(at)
  clients.push(client)
  client.send(
    request(`POST ${path} HTTP/1.1`, [`Host: ${at.host}`, `Authorization: Bearer ${secrets[who]}`], '{"model":"m"}'),
  )
  return client
}

describe('how long a request may wait for a slot', () => {
  test('is each key’s and each group’s own: 429 and a reason in the log, while others wait on and are served', async (context) => {
    const haproxy = (await older()) ? await haproxyOf('experimental').catch(() => undefined) : undefined
    if ((await older()) && !haproxy) return context.skip('no HAProxy that has it is to be had')
    const settings = `${common}log: errors\nqueue: { wait: 2s }\ntimeouts: { groups: { openai: { queue: 1s } } }`
    const at = await startGateway({ enginePort: engine.port, settings, registry, ...(haproxy ? { haproxy } : {}) })
    gateway = at
    const first = await open(at, 'plain', '/v1/messages')
    await eventually('it runs', () => engine.received.length === 1)
    const calm = [await open(at, 'calm', '/v1/messages'), await open(at, 'calm', '/v1/chat/completions')]
    const own = 'no slot came free in the time that this key or group may wait'
    const vain = [
      { who: 'hasty', path: '/v1/messages', denied: 'timeouts', said: own },
      { who: 'plain', path: '/v1/chat/completions', denied: 'timeouts', said: own },
      { who: 'plain', path: '/v1/messages', denied: 'queue', said: 'all slots stayed busy' },
    ]
    const waits = await Promise.all(vain.map(({ who, path }) => open(at, who, path)))
    for (const [index, client] of waits.entries()) {
      const [reply] = await client.settled()
      expect([reply?.status, Object.fromEntries(reply?.head.headers ?? [])['retry-after']]).toEqual([429, '5'])
      expect(JSON.parse(reply?.body ?? '').error).toMatchObject({
        type: 'rate_limit_error',
        message: expect.stringContaining(vain[index]?.said ?? ''),
      })
    }
    await eventually('all are logged', () => at.log().length === vain.length)
    const logged = at.log().map(parseEnded)
    for (const { who, path, denied } of vain)
      expect(logged).toContainEqual(expect.objectContaining({ who, path, end: 'denied', denied, status: 429 }))
    expect(await waiting(at)).toBe(2)
    engine.answer = json()
    first.hangUp()
    for (const client of calm) expect((await client.settled())[0]?.status).toBe(200)
    engine.answer = silent
  })

  test('is refused of an older HAProxy in one sentence, and nothing changes', async (context) => {
    if (!(await older())) return context.skip('this HAProxy is new enough')
    const at = await startGateway({ enginePort: engine.port, settings: common, registry })
    gateway = at
    const configuration = at.rendered(`${common}timeouts: { queue: 1s, groups: { anthropic: { queue: 2s } } }`)
    await expect(swap(at.machine, { receipt: emptyReceipt(), configuration, haproxy: at.program })).rejects.toThrow(
      /the old one stays: .*timeouts\.queue, timeouts\.groups\.anthropic\.queue in settings\.yaml need HAProxy 3\.4 or newer/,
    )
    const before = engine.received.length
    await open(at, 'hasty', '/v1/messages')
    await eventually('it still runs', () => engine.received.length > before)
  })
})

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { budgets } from '../../lib/observer/duties/budgets.ts'
import { requests } from '../../lib/observer/requests.ts'
import { dayOf, readUsage, usage } from '../../lib/observer/usage.ts'
import { generateKey } from '../../lib/people/key.ts'
import { refreshIdentities } from '../../lib/people/refresh.ts'
import type { Registry } from '../../lib/site/limits.ts'
import { triedVersions } from '../attacks/versions/each.ts'
import { type Engine, startEngine } from '../lab/engine.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { entry } from '../lab/losses.ts'
import { type Client, dial, exchange, request } from '../lab/raw.ts'
import { json, silent } from '../lab/recorder.ts'

const names = ['minute', 'pair', 'listed', 'spent', 'free'] as const
const ann = '127.0.0.60'
const tailscale = JSON.stringify({
  BackendState: 'Running',
  MagicDNSSuffix: 'tail0lab.ts.net',
  Self: { DNSName: 'studio.tail0lab.ts.net.', TailscaleIPs: ['127.0.0.59'], UserID: 2 },
  Peer: { a: { DNSName: 'ann-laptop.tail0lab.ts.net.', TailscaleIPs: [ann], UserID: 1 } },
  User: { 1: { LoginName: 'ann@example.com' }, 2: { LoginName: 'owner@example.com' } },
})

describe.each(triedVersions)('limits over two nodes behind $title', ({ program }) => {
  let mac: Engine
  let gpu: Engine
  let gateway: RunningGateway
  let clients: Client[] = []
  const keys = Object.fromEntries(names.map((name) => [name, generateKey()])) as Record<(typeof names)[number], string>

  beforeAll(async () => {
    mac = await startEngine('mac', 'ollama', ['mac-only', 'both'])
    gpu = await startEngine('gpu', 'vllm', ['gpu-only', 'both'])
    const registry: Registry = {
      version: 1,
      keys: {
        minute: { ...entry(keys.minute), perMinute: 4 },
        pair: { ...entry(keys.pair), concurrent: 2 },
        listed: { ...entry(keys.listed), models: ['mac-only', 'both'] },
        spent: { ...entry(keys.spent), perDay: { bytes: 1500 } },
        free: entry(keys.free),
      },
    }
    gateway = await startGateway({
      enginePort: mac.port,
      haproxy: await program(),
      registry,
      settings: `role: gateway
access: either
log: requests
ban_after: 40
people:
  ann@example.com: { per_minute: 2 }
nodes:
  mac: { address: 127.0.0.1, port: ${mac.port}, slots: 2 }
  gpu: { address: 127.0.0.1, port: ${gpu.port}, slots: 2, engine: vllm }
`,
    })
  })
  afterAll(async () => {
    await gateway?.stop()
    for (const one of [mac, gpu]) await one?.recorder.stop()
  })
  afterEach(() => {
    for (const client of clients) client.hangUp()
    clients = []
    for (const one of [mac, gpu]) Object.assign(one, { asked: [], answers: json() })
  })

  const bytes = (key: string | undefined, model: string) =>
    request(
      'POST /v1/chat/completions HTTP/1.1',
      [`Host: ${gateway.host}`, ...(key ? [`Authorization: Bearer ${key}`] : [])],
      JSON.stringify({ model, messages: [] }),
    )
  const ask = async (key: string | undefined, model: string, from?: string) =>
    (await exchange({ ...gateway, ...(from ? { from } : {}) }, bytes(key, model))).status
  /** One after the other, of one node and the other in turn. */
  const inTurn = async (count: number, key?: string, from?: string) => {
    const all: number[] = []
    for (let at = 0; at < count; at += 1) all.push(await ask(key, at % 2 ? 'gpu-only' : 'mac-only', from))
    return all
  }
  const asked = () => [mac.asked.length, gpu.asked.length]

  test('requests a minute are those to all of them', async () => {
    expect(await inTurn(6, keys.minute)).toEqual([200, 200, 200, 200, 429, 429])
    expect(asked()).toEqual([2, 2])
  })

  test('so are requests at once', async () => {
    for (const one of [mac, gpu]) one.answers = silent
    for (const model of ['mac-only', 'gpu-only']) {
      const client = await dial(gateway)
      clients.push(client)
      client.send(bytes(keys.pair, model))
    }
    await eventually('both run', () => asked().join() === '1,1')
    expect(await ask(keys.pair, 'both')).toBe(429)
    for (const client of clients) client.hangUp()
  })

  test('a list of models holds, whichever node has them', async () => {
    expect(await ask(keys.listed, 'mac-only')).toBe(200)
    expect(await ask(keys.listed, 'gpu-only')).toBe(403)
    expect(asked()).toEqual([1, 0])
  })

  test('a rule for a person holds, and what they asked of one counts at the other', async () => {
    await refreshIdentities({
      ...gateway.machine,
      find: async () => '/usr/local/bin/tailscale',
      query: async () => ({ code: 0, stdout: tailscale, stderr: '' }),
    })
    expect(await inTurn(3, undefined, ann)).toEqual([200, 200, 429])
  })

  test('who was banned is asked of none, and the right key gets past the ban', async () => {
    const from = '127.0.0.77'
    for (let at = 0; at < 42; at += 1) await ask('rop_wrong', at % 2 ? 'gpu-only' : 'mac-only', from)
    expect(await ask('rop_wrong', 'both', from)).toBe(429)
    expect(asked()).toEqual([0, 0])
    expect(await ask(keys.free, 'both', from)).toBe(200)
  })

  test('a share of the day is used up by both together, and the report by node adds up', async () => {
    const counted = await usage(gateway.machine)
    const reading = requests(gateway.machine, () => gateway.gateway.settings, counted.start, [counted])
    const duties = [reading, counted, budgets(counted)]
    const observe = async () => {
      for (const duty of duties) await duty.run(gateway.machine)
    }
    mac.answers = json(JSON.stringify({ text: 'x'.repeat(600) }))
    gpu.answers = mac.answers
    expect(await inTurn(1, keys.spent)).toEqual([200])
    await eventually('it is counted', async () => {
      await observe()
      return (await readUsage(gateway.machine)).get(dayOf(new Date()))?.used.spent !== undefined
    })
    expect(await ask(keys.spent, 'gpu-only')).toBe(200)
    await eventually('it is spent', async () => {
      await observe()
      return (await ask(keys.spent, 'mac-only')) === 429
    })
    await observe()
    const day = (await readUsage(gateway.machine)).get(dayOf(new Date()))
    const people = Object.values(day?.who ?? {}).flatMap((models) => Object.values(models))
    const sum = (shares: { requests: number; refused: number }[]) =>
      shares.reduce((all, one) => all + one.requests - one.refused, 0)
    const nodes = day?.nodes ?? {}
    expect(Object.keys(nodes).sort()).toEqual(['gpu', 'mac'])
    expect(sum(Object.values(nodes))).toBe(sum(people))
    expect(nodes.mac?.requests).toBeGreaterThan(nodes.gpu?.requests ?? 0)
  })
})

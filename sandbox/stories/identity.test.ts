import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { swap } from '../../lib/haproxy/reload.ts'
import { addRunning, removeRunning, runningMap, setRunningMap } from '../../lib/haproxy/runtime.ts'
import { identityLines, ruleLines } from '../../lib/people/identities.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { endOf } from '../../lib/people/records.ts'
import { refreshIdentities } from '../../lib/people/refresh.ts'
import { keep } from '../../lib/people/store.ts'
import { parsePeers } from '../../lib/platform/peers.ts'
import { emptyReceipt } from '../../lib/site/receipt.ts'
import { type RunningGateway, startGateway } from '../lab/gateway.ts'
import { type Exchange, exchange, request } from '../lab/raw.ts'
import { json, type Recorder, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway
const secret = generateKey()
const registry = {
  version: 1 as const,
  keys: { bob: { created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(secret) }] } },
}
const people = `
people:
  ann@example.com: { groups: [agents] }
  device:ann-phone: { groups: [anthropic] }
  tag:ci: { per_minute: 2 }
  eve@example.com: { models: ['qwen3*'] }`
const either = `access: either\nlog: requests\n${people}`
const at = {
  ann: '127.0.0.60',
  phone: '127.0.0.61',
  ci: '127.0.0.62',
  eve: '127.0.0.63',
  nobody: '127.0.0.64',
  counted: '127.0.0.65',
}
const bearer = (key: string) => [`Authorization: Bearer ${key}`]
const chat = 'POST /v1/chat/completions'
const installed: Record<string, string> = {
  '/api/tags': JSON.stringify({ models: [{ name: 'qwen3:0.6b' }, { name: 'other:7b' }] }),
  '/v1/models': JSON.stringify({ object: 'list', data: [{ id: 'qwen3:0.6b' }, { id: 'other:7b' }] }),
}

const device = (DNSName: string, address: string, more: object) => ({
  DNSName: `${DNSName}.tail0lab.ts.net.`,
  TailscaleIPs: [address],
  ...more,
})

/** What Tailscale says of these devices; one has a name that is an attack. */
const said = (ownerOfPhone = 1): string =>
  JSON.stringify({
    BackendState: 'Running',
    MagicDNSSuffix: 'tail0lab.ts.net',
    Self: device('studio', gateway.address, { UserID: 1 }),
    Peer: {
      a: device('ann-laptop', at.ann, { UserID: 1 }),
      b: device('ann-phone', at.phone, { UserID: ownerOfPhone }),
      c: device('runner', at.ci, { UserID: 9, Tags: ['tag:ci'] }),
      d: device('a|b; shutdown\nclear table people', at.eve, { UserID: 2 }),
      e: device('guest', at.nobody, { UserID: 3 }),
      f: device('other-guest', at.counted, { UserID: 3 }),
    },
    User: { 1: { LoginName: 'Ann@example.com' }, 2: { LoginName: 'eve@example.com' }, 3: { LoginName: 'x"\\@y' } },
  })

/** The refresh as it is, with a Tailscale that says this. */
const refresh = (text = said()) =>
  refreshIdentities({
    ...gateway.machine,
    find: async () => '/usr/local/bin/tailscale',
    query: async () => ({ code: 0, stdout: text, stderr: '' }),
  })

/** A refresh that came so many seconds ago was the last one. */
async function lastRefresh(seconds: number): Promise<void> {
  const lines = identityLines(
    parsePeers(said()) ?? [],
    ruleLines(gateway.gateway.settings),
    Date.now() - seconds * 1000,
  )
  await setRunningMap(gateway.machine, 'keys/people.map', lines['people.map'])
}

function ask(from: string, line: string, headers: string[] = [], body = '{"model":"qwen3:0.6b"}'): Promise<Exchange> {
  const bytes = request(
    `${line} HTTP/1.1`,
    [`Host: ${gateway.host}`, ...headers],
    line.startsWith('POST') ? body : undefined,
  )
  return exchange({ ...gateway, from }, bytes)
}
const status = async (from: string, line: string, headers: string[] = [], body?: string) =>
  (await ask(from, line, headers, body)).status
const message = (answer: Exchange): string => {
  const body = JSON.parse(answer.body)
  return body.error.message ?? body.error
}
async function reloaded(settings: string): Promise<void> {
  const configuration = gateway.rendered(settings)
  await swap(gateway.machine, { receipt: emptyReceipt(), configuration, haproxy: gateway.program })
}

beforeAll(async () => {
  engine = await startRecorder()
  engine.answer = (wire, received) => json(installed[received.target])(wire, received)
  gateway = await startGateway({ enginePort: engine.port, settings: either, registry })
  await refresh()
})
afterAll(async () => {
  await gateway?.stop()
  await engine?.stop()
})
beforeEach(() => {
  engine.received.length = 0
})

describe('with access: either', () => {
  test('a device whose user has a rule needs no key; a stranger of the same tailnet needs one', async () => {
    expect(await status(at.ann, chat)).toBe(200)
    expect(await status(at.ann, 'GET /api/tags')).toBe(200)
    const refused = await ask(at.nobody, chat)
    expect([refused.status, message(refused)]).toEqual([401, expect.stringContaining('an API key is needed')])
    expect(await status(at.nobody, 'GET /api/tags')).toBe(403)
    expect(await status(at.nobody, chat, bearer(secret))).toBe(200)
  })

  test('a rule for a device goes before that for its user, a tag has its own, and each refusal says whose', async () => {
    expect([await status(at.phone, 'POST /v1/messages'), await status(at.ann, 'POST /v1/messages')]).toEqual([200, 200])
    const refused = await ask(at.phone, chat)
    expect([refused.status, message(refused)]).toEqual([403, 'Gateway: device:ann-phone may not use the group openai.'])
    expect([await status(at.ci, chat), await status(at.ci, chat)]).toEqual([200, 200])
    expect(message(await ask(at.ci, chat))).toBe('Gateway: tag:ci may start 2 requests a minute.')
  })

  test('a list of models holds for a person as for a key', async () => {
    const refused = await ask(at.eve, chat, [], '{"model":"other:7b"}')
    expect([refused.status, message(refused)]).toEqual([
      403,
      'Gateway: eve@example.com may not use the model other:7b.',
    ])
    expect(engine.received).toEqual([])
    expect(await status(at.eve, chat)).toBe(200)
    expect((await ask(at.eve, 'GET /v1/models')).body).not.toContain('other')
  })

  test('a share of the day that is used up holds for the person, not for a device with a rule of its own', async () => {
    const spentFor = (seconds: number) =>
      new Map([['ann@example.com', `${Math.floor(Date.now() / 1000) + seconds}|2h|tomorrow`]])
    await addRunning(gateway.machine, 'keys/spent.map', spentFor(600))
    expect([await status(at.ann, chat), await status(at.phone, 'POST /v1/messages')]).toEqual([429, 200])
    await removeRunning(gateway.machine, 'keys/spent.map', ['ann@example.com'])
    // Longer than a day: written before somebody set the clock back.
    await addRunning(gateway.machine, 'keys/spent.map', spentFor(2 * 86_400))
    expect(await status(at.ann, chat)).toBe(200)
    await removeRunning(gateway.machine, 'keys/spent.map', ['ann@example.com'])
    expect(await status(at.ann, chat)).toBe(200)
  })

  test('a wrong key is refused, whoever the tailnet says it is; a right one counts with its own rights', async () => {
    for (const headers of [bearer('rop_wrong'), ['x-api-key: rop_wrong']])
      expect(await status(at.ann, chat, headers)).toBe(401)
    expect(await status(at.phone, chat, bearer(secret))).toBe(200)
    // What clients send that must send something is no key.
    expect(await status(at.ann, chat, bearer('ollama'))).toBe(200)
  })

  test('headers that claim an identity make nobody somebody, and end at the gateway', async () => {
    const claims = ['Tailscale-User-Login: ann@example.com', `X-Forwarded-For: ${at.ann}`, 'X-Webauth-User: ann']
    expect(await status(at.nobody, chat, claims)).toBe(401)
    expect(await status(at.ann, chat, claims)).toBe(200)
    expect(JSON.stringify(engine.received.at(-1)?.head)).not.toMatch(/tailscale|forwarded|webauth|ann/i)
  })

  test('an identity that nobody confirmed for five minutes is refused with that reason, and a key still opens', async () => {
    await lastRefresh(301)
    const [v1, api] = [await ask(at.ann, chat), await ask(at.ann, 'GET /api/tags')]
    expect([v1.status, v1.headers['www-authenticate'], api.status]).toEqual([401, 'Bearer realm="gateway"', 403])
    for (const answer of [v1, api])
      expect(message(answer)).toMatch(/^Gateway: the list of who is who .* older than 5 min/)
    expect(engine.received).toEqual([])
    expect([await status(at.ann, chat, bearer(secret)), await status(at.ann, 'GET /healthz')]).toEqual([200, 200])
    await lastRefresh(290)
    expect(await status(at.ann, chat)).toBe(200)
  })

  test.each([3600, 86_400])(
    'an identity from %d s ahead, as a clock leaves it that was set back, counts as old until the next refresh',
    async (ahead) => {
      await lastRefresh(-ahead)
      expect(message(await ask(at.ann, chat))).toContain('older than 5 minutes')
      expect(engine.received).toEqual([])
      expect(await status(at.ann, chat, bearer(secret))).toBe(200)
      await refresh()
      expect(await status(at.ann, chat)).toBe(200)
    },
  )

  test('a refresh takes away and gives at the next request, and sends what changed alone', async () => {
    await refresh(said(3))
    expect(await status(at.phone, 'POST /v1/messages')).toBe(200)
    const without = JSON.parse(said())
    delete without.Peer.a
    const told: string[] = []
    await refreshIdentities({
      ...gateway.machine,
      telling: (socket, talk) =>
        gateway.machine.telling(socket, (tell) =>
          talk((command) => {
            told.push(command)
            return tell(command)
          }),
        ),
      find: async () => 'tailscale',
      query: async () => ({ code: 0, stdout: JSON.stringify(without), stderr: '' }),
    })
    expect(told.filter((command) => command.startsWith('del'))).toHaveLength(2)
    expect(told.filter((command) => command.startsWith('add'))).toEqual([])
    expect(await status(at.ann, chat)).toBe(401)
    await refresh()
    expect(await status(at.ann, chat)).toBe(200)
  })

  test('a device with an attack for a name is a device, in the log as everywhere', async () => {
    expect((await runningMap(gateway.machine, 'keys/devices.map'))?.get(at.eve)).toBe(
      'eve@example.com|a_b__shutdown_clear_table_people',
    )
    await ask(at.nobody, 'GET /healthz?who')
    await expect
      .poll(() => gateway.log().map((line) => JSON.parse(line)))
      .toContainEqual(expect.objectContaining({ login: 'x__@y', device: 'guest', path: '/healthz' }))
    await ask(at.ann, 'GET /api/version')
    await expect
      .poll(() => gateway.log().map((line) => JSON.parse(line)))
      .toContainEqual(
        expect.objectContaining({ who: 'ann@example.com', login: 'ann@example.com', device: 'ann-laptop' }),
      )
  })

  test('the list survives a reload with the ends it had', async () => {
    await refresh()
    const before = await runningMap(gateway.machine, 'keys/people.map')
    await reloaded(`${either}\ndrain: 1m\nqueue: { max: 63 }`)
    expect(await runningMap(gateway.machine, 'keys/people.map')).toEqual(before)
    expect(endOf([...(before ?? new Map()).values()][0] ?? '')).toBeGreaterThan(Date.now() / 1000)
    expect(await status(at.ann, chat)).toBe(200)
  })
})

describe('with access: tailnet', () => {
  test('rules take away where one matches, however old the list is; everybody else is let in as ever', async () => {
    await reloaded(`access: tailnet\nlimits: { per_minute: 3 }\n${people}`)
    await lastRefresh(3600)
    expect(message(await ask(at.phone, chat))).toBe('Gateway: device:ann-phone may not use the group openai.')
    expect(message(await ask(at.eve, chat, [], '{"model":"other:7b"}'))).toContain(
      'eve@example.com may not use the model',
    )
    expect([await status(at.nobody, chat), await status(at.ann, chat, bearer('any word'))]).toEqual([200, 200])
    // An address that the worker before the reload has counted nothing of.
    for (const _ of [1, 2, 3]) expect(await status(at.counted, chat)).toBe(200)
    expect(message(await ask(at.counted, chat))).toBe(`Gateway: ${at.counted} may start 3 requests a minute.`)
  })
})

test('with access: keys no rule counts', async () => {
  await reloaded(`access: keys\n${people}`)
  await keep(gateway.machine, registry, gateway.gateway.settings)
  await refresh()
  expect([await status(at.ann, chat), await status(at.ann, chat, bearer(secret))]).toEqual([401, 200])
})

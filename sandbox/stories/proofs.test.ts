import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { hostileChecks } from '../../lib/checks/hostile.ts'
import { rows } from '../../lib/gateway/proofs/rows.ts'
import type { Target } from '../../lib/gateway/proofs/target.ts'
import { swap } from '../../lib/haproxy/reload.ts'
import { addRunning, removeRunning, runningMap } from '../../lib/haproxy/runtime.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { recordOf } from '../../lib/people/records.ts'
import { keep } from '../../lib/people/store.ts'
import { type Group, groups, openable } from '../../lib/site/endpoints.ts'
import type { Registry } from '../../lib/site/limits.ts'
import { emptyReceipt } from '../../lib/site/receipt.ts'
import type { Check, Result } from '../../lib/steps/step.ts'
import { haproxyOf } from '../attacks/versions/debian.ts'
import { type GatewayOptions, type RunningGateway, startGateway, withoutLine } from '../lab/gateway.ts'
import { answering, notOk, proofs, reported } from '../lab/proofs.ts'
import { exchange, request } from '../lab/raw.ts'
import { type Recorder, startRecorder } from '../lab/recorder.ts'

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

const registry: Registry = {
  version: 1,
  keys: {
    bob: { created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(generateKey()) }], models: ['qwen3*'] },
  },
}
const settings = 'access: keys\ntimeouts: { first_byte: 60s }'

async function start(options: Omit<GatewayOptions, 'enginePort'>): Promise<RunningGateway> {
  gateway = await startGateway({ enginePort: engine.port, registry, ...options })
  return gateway
}

const report = (one: RunningGateway, checks: (target: Target) => Check[]) => reported(one, engine.port, checks)
const ofKeys = [
  ...[
    'connect.page',
    'keys.basic',
    'keys.counted',
    'keys.expired',
    'keys.groups',
    'keys.missing',
    'keys.missing-native',
    'keys.unknown',
  ],
  ...['limits.burst', 'limits.concurrent', 'limits.minute', 'limits.per-day'],
  ...['limits.handed-over', 'queue.slots'],
  ...['loading.slot', 'log.line', 'models.list', 'timeouts.first-byte', 'timeouts.whole'],
]
/** Those of which a part of a line is taken away, and not all of it. */
const partly = ['keys.basic', 'keys.expired', 'limits.handed-over', 'queue.slots']

describe('test.ts', () => {
  test('sees that the metrics are shown to whoever has no key', async () => {
    const observer = await startRecorder()
    const one = await start({
      settings: `${settings}\ngroups: [agents, metrics]\nkeyless: [agents]\nmetrics: { port: ${observer.port} }`,
      alter: (text) => text.replace(/^.*(an API key is needed|is not known here).*$/gm, ''),
    })
    const found = await report(one, (target) => hostileChecks(target, one.gateway))
    await observer.stop()
    expect(notOk(found)).toContainEqual(
      expect.objectContaining({
        id: 'hostile.lesson.vllm-42064.a-route-that-the-guard-forgot',
        saw: expect.stringMatching(/^200 instead/),
      }),
    )
  })

  test('proves each policy on the running gateway by keys of its own, and leaves none of them behind', async () => {
    const one = await start({ settings })
    const results = await report(one, proofs(one))
    expect(notOk(results)).toEqual([])
    expect(results.map(({ id }) => id)).toEqual(expect.arrayContaining(ofKeys))
    expect((await runningMap(one.machine, 'keys/keys.map'))?.size).toBe(1)
    expect((await runningMap(one.machine, 'keys/spent.map'))?.size).toBe(0)
  })

  test('tells its keys to a worker that a reload brings in its midst', async () => {
    const one = await start({ settings })
    const reload: Check = {
      id: 'reload',
      title: 'a reload',
      check: async () => {
        const configuration = one.rendered(`${settings}\nqueue: { max: 63 }`)
        await swap(one.machine, { receipt: emptyReceipt(), configuration, haproxy: one.program })
        return { is: 'ok', saw: '' }
      },
    }
    const results = await report(one, (target) => [reload, ...rows(target), reload, ...proofs(one)(target)])
    expect(notOk(results)).toEqual([])
    expect((await runningMap(one.machine, 'keys/keys.map'))?.size).toBe(1)
  })

  test('is not held back by limits of the settings that are lower than what it asks', async () => {
    const one = await start({ settings: 'limits: { per_minute: 1, concurrent: 1, per_day: 1s }' })
    const results = await report(one, (target) => [...rows(target), ...proofs(one)(target), ...rows(target)])
    expect(notOk(results)).toEqual([])
    expect(results.map(({ id }) => id)).toEqual(
      expect.arrayContaining(['limits.minute', 'limits.per-day', 'limits.address']),
    )
  })

  test('finds no fault where silence may be longer than the time to the first byte, or shorter', async () => {
    for (const times of ['first_byte: 5m, silence: 60s, whole: 30m', 'first_byte: 20s, silence: 60s']) {
      await gateway?.stop()
      const one = await start({ settings: `access: keys\ntimeouts: { ${times} }` })
      expect(notOk(await report(one, proofs(one)))).toEqual([])
    }
  })

  const alone = (Object.keys(groups) as Group[]).filter(openable)
  test.each(alone)('finds no fault where %s alone is open, and nothing hostile gets through', async (group) => {
    const observer = await startRecorder()
    try {
      const one = await start({ settings: `${settings}\ngroups: [${group}]\nmetrics: { port: ${observer.port} }` })
      const checks = (target: Target) => [...proofs(one)(target), ...hostileChecks(target, one.gateway)]
      expect(notOk(await report(one, checks))).toEqual([])
    } finally {
      await observer.stop()
    }
  })

  test('leaves no way in when it is killed: a key of it that has ended counts as nobody’s', async () => {
    const one = await start({ settings: 'limits: { per_minute: 1 }' })
    const [key, now] = [generateKey(), Math.floor(Date.now() / 1000)]
    const post = async () => {
      const headers = [`Host: ${one.host}`, `Authorization: Bearer ${key}`]
      return (await exchange(one, request('POST /v1/messages HTTP/1.1', headers, '{}'))).status
    }
    const left = (until: number) => new Map([[hashKey(key), recordOf('-test-free-left', until, {})]])
    await addRunning(one.machine, 'keys/keys.map', left(now - 1))
    expect([await post(), await post()]).toEqual([200, 429])
    await removeRunning(one.machine, 'keys/keys.map', left(0).keys())
    await addRunning(one.machine, 'keys/keys.map', left(now + 60))
    expect([await post(), await post()]).toEqual([200, 200])
    await keep(one.machine, registry, one.gateway.settings)
    expect((await runningMap(one.machine, 'keys/keys.map'))?.size).toBe(2)
    await addRunning(one.machine, 'keys/keys.map', new Map([['0', recordOf('-test-free-old', now - 1, {})]]))
    await keep(one.machine, registry, one.gateway.settings)
    expect((await runningMap(one.machine, 'keys/keys.map'))?.size).toBe(2)
  })

  test('sees that what everybody shares is counted, and is not held back by it', async (context) => {
    const [major, minor] = (await start({ settings })).version
    const haproxy = major === 2 && minor < 8 ? await haproxyOf('sid').catch(() => undefined) : undefined
    if (major === 2 && minor < 8 && !haproxy)
      return context.skip('no HAProxy that follows more than three counters is to be had')
    await gateway?.stop()
    const shared =
      'limits: { all: { per_minute: 3 }, groups: { anthropic: { burst: 1 } }, rows: { "POST /v1/responses": { burst: 1 } } }'
    const one = await start({ settings: `access: keys\n${shared}`, haproxy })
    const results = await report(one, (target) => [...rows(target), ...proofs(one)(target)])
    expect(notOk(results)).toEqual([])
    expect(results.map(({ id }) => id)).toEqual(expect.arrayContaining(['limits.all', 'limits.groups', 'limits.rows']))
    await gateway?.stop()
    const uncounted = await start({
      settings: `access: keys\n${shared}`,
      haproxy,
      alter: withoutLine(/sc-inc-gpc\(0,[345]\)/),
    })
    expect(notOk(await report(uncounted, proofs(uncounted))).map(({ id }) => id)).toEqual([
      'limits.all',
      'limits.groups',
      'limits.rows',
    ])
  })

  test('sees that bytes a second are counted of each person and group, and says so when they are not', async (context) => {
    const older = (await start({ settings })).version[0] < 3
    const haproxy = older ? await haproxyOf('trixie').catch(() => undefined) : undefined
    if (older && !haproxy) return context.skip('no HAProxy that can slow answers down is to be had')
    const paced = `access: keys\nlimits: { per_second: 1MB, groups: { anthropic: { per_second: 2MB } } }`
    const found: Result[][] = []
    for (const alter of [undefined, withoutLine(/set-bandwidth-limit/)]) {
      await gateway?.stop()
      const one = await start({ settings: paced, haproxy, alter })
      found.push(await report(one, (target) => proofs(one)(target).filter(({ id }) => id.startsWith('bandwidth.'))))
    }
    const states = (state: string) => ['bandwidth.person', 'bandwidth.anthropic'].map((id) => ({ id, state }))
    expect(found.map((results) => results.map(({ id, state }) => ({ id, state })))).toEqual([
      states('ok'),
      states('missed'),
    ])
  })

  test.each([
    ['connect.page', /use_backend connect/],
    ['keys.basic', / if \{ path \/connect \}/],
    ['keys.expired', / if \{ var\(txn\.left\) -m int gt 0 \}/],
    ['keys.groups', /may not use the group/],
    ['limits.minute', /may start .* a minute/],
    ['limits.burst', /in 10 seconds/],
    ['limits.concurrent', /requests running at once/],
    ['limits.per-day', /of this day/],
    ['models.list', /may not use the model/],
    ['keys.counted', /sc-inc-gpc0\(2\)/],
    ['limits.handed-over', / peers state$/gm],
    ['queue.slots', / maxconn 4/],
    ['loading.slot', /use-server loading/],
    ['log.line', /log stdout/],
    ['timeouts.first-byte', /set-timeout server/],
    ['timeouts.whole', /set-var-fmt\(txn\.stream\)/],
  ])('says so when %s is not as promised', async (id, lines) => {
    const one = await start({
      settings,
      alter: partly.includes(id) ? (text) => text.replace(lines, '') : withoutLine(lines),
    })
    const results = await report(one, (target) => proofs(one)(target).filter((check) => check.id === id))
    expect(results.map(({ state }) => state)).toEqual(['missed'])
  })
})

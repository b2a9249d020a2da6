import { readdirSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { nobody } from '../../lib/checks/hostile/form.ts'
import { expected, hostile } from '../../lib/checks/hostile/table.ts'
import { hostileChecks } from '../../lib/checks/hostile.ts'
import { withProbeKeys } from '../../lib/gateway/proofs/probes.ts'
import type { Target } from '../../lib/gateway/proofs/target.ts'
import type { Group } from '../../lib/site/endpoints.ts'
import { openGroups } from '../../lib/site/settings.ts'
import { observeAll, type Result } from '../../lib/steps/step.ts'
import type { Box } from '../box/box.ts'
import { eventually, type GatewayOptions, type RunningGateway, startGateway, withoutLine } from '../lab/gateway.ts'
import { illegal } from '../lab/judge.ts'
import { exchange } from '../lab/raw.ts'
import { type Recorder, startRecorder } from '../lab/recorder.ts'
import { type Running, startServer } from '../standins/ollama/harness.ts'
import { installedBox, type Seen } from './installed.ts'

let engine: Recorder
let gateway: RunningGateway | undefined

beforeAll(async () => {
  engine = await startRecorder()
})
afterAll(() => engine?.stop())
afterEach(async () => {
  await gateway?.stop()
  gateway = undefined
  engine.received.length = 0
})

async function start(options: Omit<GatewayOptions, 'enginePort'> = {}): Promise<RunningGateway> {
  gateway = await startGateway({ enginePort: engine.port, ...options })
  return gateway
}

const targetOf = (one: RunningGateway, groups?: Group[]): Target => ({
  ...{ address: one.address, port: one.port, host: one.host },
  engine: { address: '127.0.0.1', port: engine.port },
  groups: groups ?? openGroups(one.gateway.settings),
})

/** What test.ts --hostile would report of this gateway. */
const report = (one: RunningGateway, groups?: Group[]): Promise<Result[]> =>
  observeAll(hostileChecks(targetOf(one, groups), one.gateway), one.machine)

const missedOf = (results: Result[]): string[] => results.filter(({ state }) => state === 'missed').map(({ id }) => id)

describe('the hostile checks of test.ts', () => {
  test('all pass, and of all requests only the rows of the table arrive at the engine, stripped', async () => {
    const one = await start()
    const results = await report(one)
    expect(results.filter(({ state }) => state !== 'ok')).toEqual([])
    expect(results).toHaveLength(hostile.length)
    expect(new Set(results.map(({ id }) => id)).size).toBe(hostile.length)
    const ways = hostile.map((request) => expected(request, one.version).map(({ reaches }) => reaches))
    expect(engine.received.length).toBeGreaterThanOrEqual(ways.filter((all) => all.every(Boolean)).length)
    expect(engine.received.length).toBeLessThanOrEqual(ways.filter((all) => all.some(Boolean)).length)
    for (const request of engine.received) expect(illegal(one, request)).toBeUndefined()
  })

  test('without the rule that refuses what is no row they miss every advisory, and say to stop the proxy', async () => {
    const results = await report(await start({ alter: withoutLine(/if !row$|if !row \{ var\(txn\.closed\)/) }))
    for (const id of ['CVE-2024-37032', 'CVE-2025-63389', 'CVE-2026-7482', 'Malcolm#1055'])
      expect(missedOf(results).join()).toContain(id.toLowerCase().replace('#', '-'))
    const pull = results.find(({ id }) => id.startsWith('hostile.advisory.cve-2024-37032'))
    expect(pull).toMatchObject({ state: 'missed', remedy: expect.stringContaining('stop the gateway') })
  })

  test('a group that the settings close is no miss, one that is shut by mistake is', async () => {
    const one = await start({ settings: 'groups: [native]' })
    const results = await report(one)
    expect(missedOf(results)).toEqual([])
    expect(results.find(({ id }) => id === 'hostile.path.ok-chat')?.saw).toBe('403: openai is closed by the settings')
    const wrong = await report(one, ['openai', 'native'])
    expect(missedOf(wrong)).toContain('hostile.path.ok-chat')
  })

  test('an engine that is down is skipped where it would have answered, and the refusals still count', async () => {
    const one = await start()
    await engine.stop()
    try {
      const health = `GET /healthz HTTP/1.1\r\nHost: ${one.host}\r\n\r\n`
      await eventually('it is known to be down', async () => (await exchange(one, health)).status === 503)
      const results = await report(one)
      expect(results.find(({ id }) => id === 'hostile.path.ok-chat')?.state).toBe('skipped')
      expect(results.find(({ id }) => id === 'hostile.path.connect')?.state).toBe('ok')
      expect(missedOf(results)).toEqual([])
    } finally {
      await engine.start()
    }
  })

  test('a gateway that asks for keys is attacked with one, and other keys than that get nowhere', async () => {
    const one = await start({ settings: 'access: keys' })
    const { results, key } = await withProbeKeys(one.machine, one.gateway.settings, async (keys) => ({
      key: keys?.free ?? '',
      results: await observeAll(hostileChecks({ ...targetOf(one), keys }, one.gateway), one.machine),
    }))
    expect(missedOf(results)).toEqual([])
    expect(results.filter(({ saw }) => saw.endsWith('its key is none of ours')).length).toBeGreaterThan(2)
    expect(results.find(({ id }) => id === 'hostile.path.ok-chat')?.saw).toBe('200 from Ollama')
    expect(key).toMatch(/^rop_/)
    for (const request of engine.received) expect(illegal(one, request)).toBeUndefined()
    for (const { head } of engine.received) expect(head.text).not.toContain(key)
    const without = await report(one)
    expect(missedOf(without).length).toBeGreaterThan(50)
  })

  test.each(['judged_body: 1MB', 'judged_body: 4MB', 'body_limit: 1KB', 'body_limit: 1KB\nchunked_body: 4MB'])(
    'all pass where somebody has a list of models, so that buffers hold whole bodies, with %s',
    async (sizes) => {
      const bob = { created: '2026-01-01T00:00:00.000Z', hashes: [], models: ['qwen3*'] }
      const one = await start({ settings: `access: keys\n${sizes}`, registry: { version: 1, keys: { bob } } })
      // Its lists were made from what the engine has.
      engine.received.length = 0
      const results = await withProbeKeys(one.machine, one.gateway.settings, (keys, renew) =>
        observeAll(hostileChecks({ ...targetOf(one), keys }, one.gateway), one.machine, undefined, renew),
      )
      expect(results.filter(({ state }) => state !== 'ok')).toEqual([])
      for (const request of engine.received) expect(illegal(one, request)).toBeUndefined()
    },
  )

  test('no answer at all is a miss', async () => {
    const one = await start()
    const target = { ...targetOf(one), port: 1 }
    const [first] = await observeAll(hostileChecks(target, one.gateway).slice(0, 1), one.machine)
    expect(first).toMatchObject({ state: 'missed', saw: 'no connection' })
  })
})

describe('an engine without a gateway', () => {
  let ollama: Running

  beforeAll(async () => {
    ollama = await startServer()
  })
  afterAll(async () => void (await ollama?.stop()))

  const kept = () => readdirSync(ollama.home, { recursive: true, withFileTypes: true }).map(({ name }) => name)

  test('is not changed by any of them: they name no model, blob or file that can be', async () => {
    const at = { address: '127.0.0.1', port: ollama.port }
    const before = kept()
    for (const request of hostile)
      await exchange(
        at,
        request.bytes({ ...at, host: `127.0.0.1:${ollama.port}`, limit: 2 ** 25, chunked: 102_400, buffer: 2 ** 17 }),
        1,
        100,
      )
    expect(ollama.received().length).toBeGreaterThan(100)
    expect(kept()).toEqual(before)
    const answered = ollama.received().filter(({ event, status }) => event === 'answered' && status === 200)
    expect(answered.length).toBeGreaterThan(10)
  })

  test('a blob whose name is well formed would have stayed there', async () => {
    const before = kept()
    const digest = `sha256:${'0'.repeat(64)}`
    const head = `POST /api/blobs/${digest} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n\r\nGGUF`
    await exchange({ address: '127.0.0.1', port: ollama.port }, head)
    expect(kept().length).toBeGreaterThan(before.length)
  })

  test('every body that names a model names one that no Ollama takes', () => {
    const aim = { host: 'h', address: 'a', port: 1, limit: 1, chunked: 1, buffer: 1 }
    const named = hostile.flatMap((request) => [...request.bytes(aim).matchAll(/"(?:model|name)":"([^"]*)"/g)])
    expect(named.length).toBeGreaterThan(40)
    for (const [, name] of named) expect(name).toContain(nobody)
  })
})

describe('npx tsx test.ts --hostile', () => {
  let box: Box

  beforeAll(async () => {
    box = await installedBox()
  })
  afterAll(() => box?.close())

  test('passes on a Mac that is installed, and sends nothing else', async () => {
    const { code, stdout } = await box.script('test.ts', ['--hostile', '--json'])
    const { summary, results } = JSON.parse(stdout) as { summary: string; results: Seen[] }
    expect(results.filter(({ state }) => state !== 'ok')).toEqual([])
    expect({ code, summary: summary.slice(0, 14) }).toEqual({ code: 0, summary: 'ALL AS PROMISE' })
    expect(results.map(({ id }) => id.split('.')[0]).filter((part) => part !== 'hostile')).toEqual(['haproxy'])
    expect(results).toHaveLength(hostile.length + 1)
  })

  test('can be asked for one advisory', async () => {
    const only = ['--only', 'hostile.advisory.cve-2026-7482', '--list', '--json']
    const { stdout } = await box.script('test.ts', ['--hostile', ...only])
    expect(JSON.parse(stdout)).toHaveLength(4)
  })
})

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { hostileChecks } from '../../lib/checks/hostile.ts'
import { ratesOf } from '../../lib/commands/watch.ts'
import { policies } from '../../lib/gateway/policies/index.ts'
import { withProbeKeys } from '../../lib/gateway/proofs/probes.ts'
import { rows } from '../../lib/gateway/proofs/rows.ts'
import type { Target } from '../../lib/gateway/proofs/target.ts'
import { streams } from '../../lib/haproxy/streams.ts'
import { parseEnded } from '../../lib/observer/ended.ts'
import { isProbe, ownRequests } from '../../lib/observer/own-requests.ts'
import { bans } from '../../lib/people/bans.ts'
import { asOwn, probeWord } from '../../lib/people/own-probes.ts'
import { openGroups } from '../../lib/site/settings.ts'
import { observeAll } from '../../lib/steps/step.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { dial, exchange, request } from '../lab/raw.ts'
import { json, type Recorder, silent, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway | undefined

beforeAll(async () => {
  engine = await startRecorder(json())
})
afterAll(() => engine?.stop())
afterEach(async () => {
  await gateway?.stop()
  gateway = undefined
})

async function start(settings: string): Promise<RunningGateway> {
  gateway = await startGateway({ enginePort: engine.port, settings })
  return gateway
}

/** What test.ts asks, hostile requests and all. */
async function prove(one: RunningGateway): Promise<void> {
  const { settings } = one.gateway
  const target: Target = {
    ...{ address: one.address, port: one.port, host: one.host },
    engine: { address: '127.0.0.1', port: engine.port },
    groups: openGroups(settings),
    model: { name: 'm', capabilities: ['completion'] },
  }
  const checks = (all: Target) =>
    [...rows(all), ...policies(one.gateway).flatMap(({ proof }) => proof?.(all) ?? [])].filter(
      // They wait for the observer.
      ({ id }) => !['log.line', 'loading.slot', 'models.loading'].includes(id),
    )
  await withProbeKeys(one.machine, settings, (keys) =>
    observeAll(
      [...checks({ ...target, keys }), ...hostileChecks({ ...target, keys }, one.gateway)],
      asOwn(one.machine),
    ),
  )
}

/** Lines of the log that the observer would count. */
async function counted(one: RunningGateway): Promise<string[]> {
  const own = await ownRequests(one.machine)
  return one.log().filter((line) => {
    const read = parseEnded(line)
    return !read || !own(read)
  })
}

const asked = (one: RunningGateway, headers: string[], line = 'GET /v1/models') =>
  exchange(one, request(`${line} HTTP/1.1`, [`Host: ${one.host}`, ...headers]))

describe('what test.ts asks', () => {
  test.each([
    'access: keys\nlog: requests\nban_after: 40\nlimits: { per_minute: 60 }',
    'log: requests',
    'log: requests\nlimits: { per_minute: 60, concurrent: 3 }',
  ])(
    'is nobody’s: in no report, no rate and no ban (%s)',
    async (settings) => {
      const one = await start(settings)
      await prove(one)
      await eventually('the log is there', () => one.log().length > 200)
      expect(await counted(one)).toEqual([])
      const tables = await Promise.all(
        ['people', 'strangers'].map(async (name) =>
          one.machine.ask(`${one.home}/.haproxy/run/admin.sock`, `show table ${name}`),
        ),
      )
      expect(ratesOf(tables[0] ?? '')).toEqual([])
      if (settings.includes('keys')) expect(await bans(one.machine)).toEqual([])
      expect((await asked(one, ['Authorization: Bearer rop_wrong'])).status).toBe(settings.includes('keys') ? 401 : 200)
    },
    240_000,
  )

  test('with the observer off is not even written down, while what others ask is', async () => {
    const one = await start('log: requests\nobserver: off')
    await prove(one)
    await asked(one, [])
    await eventually('its line is there', () => one.log().some((line) => line.includes('/v1\\/models')))
    expect(await counted(one)).toEqual([expect.stringContaining('/v1\\/models')])
  })

  test('is known by a word that nobody else can know: one who makes up another is counted, and banned', async () => {
    const one = await start('access: keys\nlog: requests\nban_after: 40')
    const word = (await probeWord(one.machine)) ?? ''
    expect(word).toMatch(/^remote-ollama-proxy-test\/[0-9a-f]{32}$/)
    const made = `User-Agent: ${word.slice(0, -1)}`
    for (let at = 0; at < 42; at += 1) await asked(one, [made, 'Authorization: Bearer rop_wrong'])
    expect(await counted(one)).toHaveLength(42)
    expect(await bans(one.machine)).toHaveLength(1)
  })

  test('is not among what runs: without keys and limits, too', async () => {
    const one = await start('log: requests')
    engine.answer = silent
    const body = '{"model":"m"}'
    for (const agent of [await probeWord(one.machine), 'somebody'])
      (await dial(one)).send(
        request('POST /v1/chat/completions HTTP/1.1', [`Host: ${one.host}`, `User-Agent: ${agent}`], body),
      )
    try {
      await eventually('both run', async () => (await streams(one.machine)).length === 2)
      expect((await streams(one.machine)).filter(({ who }) => !isProbe(who))).toHaveLength(1)
    } finally {
      engine.answer = json()
    }
  })
})

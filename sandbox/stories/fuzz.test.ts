import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseEnded } from '../../lib/observer/ended.ts'
import { expandGroups, openRows, target } from '../../lib/site/endpoints.ts'
import { type Campaign, campaign, seedOf } from '../attacks/fuzz/campaign.ts'
import { connections } from '../attacks/fuzz/requests.ts'
import { authority, pem } from '../lab/certificates.ts'
import { freePort, startGateway, withoutLine } from '../lab/gateway.ts'
import { type Recorder, startRecorder } from '../lab/recorder.ts'

/** The same in every run, unless FUZZ_SEED names another. */
const seed = seedOf(11_434)
const settings = 'log: requests'

let engine: Recorder

beforeAll(async () => {
  engine = await startRecorder()
})
afterAll(() => engine?.stop())

/** A campaign against a gateway of its own, and every line that it logged. */
async function attacked(count: number, alter?: (text: string) => string): Promise<Campaign & { log: string[] }> {
  const gateway = await startGateway({ enginePort: engine.port, settings, alter })
  try {
    const done = await campaign({ gateway, engine, count, seed })
    return { ...done, log: gateway.log() }
  } finally {
    await gateway.stop()
  }
}

describe('random connections', () => {
  test(`of 3,000 nothing reaches the engine but rows of ours in our form (seed ${seed})`, async () => {
    const done = await attacked(3_000)
    expect(done.failure).toBeUndefined()
    expect(done.sent).toBe(3_000)
    expect(done.ms).toBeLessThan(60_000)
    // They get far enough to mean something: every row is reached, and every kind of refusal seen. (426 needs an Upgrade without a
    // body, which is rare here: from 3.2 on HAProxy answers 400 to the others.)
    for (const row of openRows(expandGroups(['agents'])))
      expect(done.reached, 'reached').toHaveProperty([`${row.method} ${target(row, 'hf.co/u/m:q4')}`])
    for (const status of [200, 400, 403, 413, 415, 421]) expect(done.statuses[status]).toBeGreaterThan(3)
    expect(done.log.length).toBeGreaterThan(2_500)
    for (const line of done.log) expect(parseEnded(line), line).toBeDefined()
  })

  test(`of 1,000 by https the same holds (seed ${seed})`, async () => {
    const port = await freePort('127.0.0.1')
    const gateway = await startGateway({
      enginePort: engine.port,
      settings: `${settings}\ntls: { studio: own-ca }\nlisteners: { tailnet: { tls_port: ${port} } }`,
      certificates: { 'studio.pem': pem(authority('a test').server('studio')) },
    })
    try {
      const by = { port, tls: { servername: 'studio' } }
      const done = await campaign({ gateway, engine, count: 1_000, seed, by })
      expect(done.failure).toBeUndefined()
      for (const status of [200, 400, 403, 421]) expect(done.statuses[status], `${status}`).toBeGreaterThan(3)
      for (const line of gateway.log()) expect(parseEnded(line), line).toBeDefined()
    } finally {
      await gateway.stop()
    }
  })

  test('are the same bytes for the same seed', () => {
    const sample = (number: number) => fc.sample(connections, { seed: number, numRuns: 50 })
    expect(sample(seed)).toEqual(sample(seed))
    expect(sample(seed)).not.toEqual(sample(seed + 1))
  })
})

describe('a gateway with a hole is found out, and the smallest request that shows it is named', () => {
  const holes: [string, (text: string) => string, RegExp][] = [
    ['every header passes', withoutLine(/del-header/), /foreign headers: .*seed \d+\): ".*HTTP\/1\.1/],
    ['Host passes', withoutLine(/set-header host/), /Host: studio.*\): ".*Host: studio/],
    [
      'paths are compared by their beginnings',
      (text) => text.replace(/map_str\(((?:\\ |\S)+\/routes\.map)\)/, 'map_beg($1)'),
      /no row: .*\): "/,
    ],
    [
      'any model’s name is one',
      (text) => text.replace(/\{ path -m reg '\^\/v1\/models[^']*' \}/, ''),
      /no row: GET \/v1\/models\/.*\): "GET \/v1\/models\//,
    ],
    ['HTTP/1.0 is taken', withoutLine(/req\.ver 1\.1/), /version: .*HTTP\/1\.0/],
  ]

  test.each(holes)('%s', async (_title, alter, found) => {
    const { failure } = await attacked(3_000, alter)
    expect(failure).toMatch(found)
    expect(failure?.length).toBeLessThan(400)
  })
})

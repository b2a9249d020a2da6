import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../lab/gateway.ts'
import { type Pair, startPair, whyNoPair } from '../lab/pair.ts'
import { both, gap, master, other } from '../lab/pair-events.ts'

const why = whyNoPair()
/** ms between two adverts of Keepalived */
const advert = 300

describe.skipIf(why !== undefined).each([
  ['IPv4', false],
  ['IPv6', true],
])(`two gateways with one address: %s${why ? ` (skipped: ${why})` : ''}`, (_family, ipv6) => {
  let pair: Pair
  beforeAll(async () => {
    pair = await startPair({ ipv6 })
  })
  afterAll(async () => {
    await pair?.close()
  })
  afterEach(() => {
    expect(both(pair)).toBeLessThanOrEqual(advert)
  })

  test('a gateway that starts ten seconds before it has the address serves when it comes', async () => {
    await pair.a.startHaproxy()
    await pair.b.startHaproxy()
    const since = performance.now()
    await eventually('ten seconds are over', () => performance.now() - since > 10_000)
    expect(pair.samples()).toEqual([])
    // Whoever is first has it, and the higher priority of the other takes nothing.
    await pair.b.startKeepalived()
    expect(await master(pair)).toBe('b')
    await pair.a.startKeepalived()
    expect(await master(pair)).toBe('b')
  })

  test('Keepalived that is stopped leaves the address within a second, and a stream is reset', async () => {
    const side = await master(pair)
    const stream = await pair.stream()
    expect(await gap(pair, side, () => pair[side].keepalived?.kill('SIGTERM'))).toBeLessThan(1000)
    expect(await stream.ended).toBe(56)
    await pair[side].startKeepalived()
    expect(await master(pair)).toBe(other(side))
  })

  test('HAProxy that is killed is replaced within 2.5 seconds, and nothing moves when it is back', async () => {
    const side = await master(pair)
    const stream = await pair.stream()
    expect(await gap(pair, side, () => pair[side].kill())).toBeLessThan(2500)
    expect(await stream.ended).not.toBe(0)
    await pair[side].startHaproxy()
    const since = performance.now()
    await eventually('five seconds are over', () => performance.now() - since > 5000)
    expect(await master(pair)).toBe(other(side))
  })

  test('Keepalived that is killed leaves the address within 2.5 seconds', async () => {
    const side = await master(pair)
    const stream = await pair.stream()
    expect(await gap(pair, side, () => pair[side].keepalived?.kill('SIGKILL'))).toBeLessThan(2500)
    expect(await stream.ended).toBe(56)
    await pair[side].startKeepalived()
    expect(await master(pair)).toBe(other(side))
  })

  test('a cut cable costs less than 2.5 seconds, and nothing moves when it is back', async () => {
    const side = await master(pair)
    expect(await gap(pair, side, () => pair[side].link('down'))).toBeLessThan(2500)
    pair[side].link('up')
    expect(await master(pair)).toBe(other(side))
  })

  test('a reload of the one that has it, and of the one that has not, goes unnoticed', async () => {
    const side = await master(pair)
    const stream = await pair.stream()
    const from = Date.now()
    for (const one of [side, other(side)] as const) await pair[one].reload()
    const words = stream.words()
    await eventually('the stream goes on', () => stream.words() > words + 5)
    expect(await master(pair)).toBe(side)
    expect(pair.samples().filter(({ ms, side: whose }) => ms > from && whose !== side)).toEqual([])
    expect(pair.client('curl', '-s', '-m', '2', `${pair.url('vip')}/healthz`)).toBe('ok')
  })
})

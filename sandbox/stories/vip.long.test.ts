import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../lab/gateway.ts'
import { at, type Pair, type Side, startPair, whyNoPair } from '../lab/pair.ts'

const why = whyNoPair()
/** ms between two adverts of Keepalived */
const advert = 300
let pair: Pair

const other = (side: Side): Side => (side === 'a' ? 'b' : 'a')

/** Which gateway has the address, once one alone has it and answers, and both could have it. */
async function master(): Promise<Side> {
  let found: Side | undefined
  await eventually('one gateway has the address, and answers', () => {
    found = (['a', 'b'] as const).find((side) => pair[side].holds())
    return found !== undefined && !pair[other(found)].holds() && pair.samples().at(-1)?.side === found
  })
  return found ?? 'a'
}

/** ms without an answer from what is done to the master until the other gateway answers. */
async function gap(side: Side, work: () => unknown): Promise<number> {
  await work()
  await eventually(`${other(side)} answers`, () => pair.samples().at(-1)?.side === other(side))
  const all = pair.samples()
  const last = all.findLastIndex((sample) => sample.side === side)
  return (all[last + 1]?.ms ?? Number.POSITIVE_INFINITY) - (all[last]?.ms ?? 0)
}

/** The longest time in ms for which the cards of both had the address. */
function both(): number {
  const [mine, theirs] = [pair.a.times(), pair.b.times()]
  const shared = mine.flatMap((one) =>
    theirs.map((two) => Math.min(one.until, two.until) - Math.max(one.from, two.from)),
  )
  return Math.max(0, ...shared)
}

describe.skipIf(why !== undefined)(`two gateways with one address${why ? ` (skipped: ${why})` : ''}`, () => {
  beforeAll(async () => {
    pair = await startPair()
  })
  afterAll(async () => {
    await pair?.close()
  })
  afterEach(() => {
    expect(both()).toBeLessThanOrEqual(advert)
  })

  test('a gateway that starts ten seconds before it has the address serves when it comes', async () => {
    await pair.a.startHaproxy()
    await pair.b.startHaproxy()
    const since = performance.now()
    await eventually('ten seconds are over', () => performance.now() - since > 10_000)
    expect(pair.samples()).toEqual([])
    await Promise.all([pair.a.startKeepalived(), pair.b.startKeepalived()])
    expect(await master()).toBe('a')
  })

  test('Keepalived that is stopped leaves the address within a second, and a stream is reset', async () => {
    const side = await master()
    const stream = await pair.stream()
    expect(await gap(side, () => pair[side].keepalived?.kill('SIGTERM'))).toBeLessThan(1000)
    expect(await stream.ended).toBe(56)
    await pair[side].startKeepalived()
    expect(await master()).toBe(other(side))
  })

  test('HAProxy that is killed is replaced within 2.5 seconds, and nothing moves when it is back', async () => {
    const side = await master()
    const stream = await pair.stream()
    expect(await gap(side, () => pair[side].kill())).toBeLessThan(2500)
    expect(await stream.ended).not.toBe(0)
    await pair[side].startHaproxy()
    const since = performance.now()
    await eventually('five seconds are over', () => performance.now() - since > 5000)
    expect(await master()).toBe(other(side))
  })

  test('Keepalived that is killed leaves the address within 2.5 seconds', async () => {
    const side = await master()
    const stream = await pair.stream()
    expect(await gap(side, () => pair[side].keepalived?.kill('SIGKILL'))).toBeLessThan(2500)
    expect(await stream.ended).toBe(56)
    await pair[side].startKeepalived()
    expect(await master()).toBe(other(side))
  })

  test('a cut cable costs less than 2.5 seconds, and a stream is reset when the cable is back', async () => {
    const side = await master()
    const stream = await pair.stream()
    expect(await gap(side, () => pair[side].link('down'))).toBeLessThan(2500)
    pair[side].link('up')
    expect(await stream.ended).toBe(56)
    expect(await master()).toBe(other(side))
  })

  test('a reload of the one that has it, and of the one that has not, goes unnoticed', async () => {
    const side = await master()
    const stream = await pair.stream()
    const from = Date.now()
    for (const one of [side, other(side)] as const) await pair[one].reload()
    const words = stream.words()
    await eventually('the stream goes on', () => stream.words() > words + 5)
    expect(await master()).toBe(side)
    expect(pair.samples().filter(({ ms, side: whose }) => ms > from && whose !== side)).toEqual([])
    expect(pair.client('curl', '-s', '-m', '2', `http://${at.vip}:12000/healthz`)).toBe('ok')
  })
})

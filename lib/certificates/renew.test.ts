import { describe, expect, it } from 'vitest'
import { issued } from '../../test/certificates.ts'
import { memoryHost } from '../../test/memory-host.ts'
import { places } from '../platform/here.ts'
import { parseSettings } from '../site/settings.ts'
import { findingOf } from './checks.ts'
import { judge } from './judge.ts'
import { memories, renew } from './renew.ts'
import { heldFor, pemFile } from './served.ts'

const name = 'a.lan'
const settings = parseSettings(`tls: { ${name}: { chain: /tls/chain.pem, key: ~/key.pem } }`, 'settings.yaml')
const day = 86_400_000
const made = (days = 90, begins = -60_000) => issued([name], { days, begins })

function machine(files: { chain: string; leaf: { key: string } }) {
  const host = memoryHost({
    files: new Map([
      ['/tls/chain.pem', files.chain],
      ['/Users/ada/key.pem', files.leaf.key],
    ]),
  })
  return {
    host,
    put: (next: typeof files) => host.files.set('/tls/chain.pem', next.chain).set('/Users/ada/key.pem', next.leaf.key),
  }
}

describe('files of one’s own', () => {
  it('are taken as soon as they are newer, and not again', async () => {
    const [one, two] = [made(), made()]
    const { host, put } = machine(one)
    expect([await renew(host, settings, name), await renew(host, settings, name)]).toEqual([true, false])
    put(two)
    expect(await renew(host, settings, name)).toBe(true)
    expect((await heldFor(host, name))?.serial).toBe(judge(two.pem, { name, source: '' }).serial)
  })

  it('that are bad leave what is in use, are told of at once, and taken once they are mended', async () => {
    const { host, put } = machine(made())
    await renew(host, settings, name)
    const before = host.files.get(pemFile(host, name))
    put(made(-1, -3 * day))
    await expect(renew(host, settings, name)).rejects.toThrow(
      /\(\/tls\/chain\.pem and ~\/key\.pem\) was not taken: it expired/,
    )
    expect(host.files.get(pemFile(host, name))).toBe(before)
    const { trial } = (await memories(host))[name] ?? {}
    expect(findingOf({ name, held: await heldFor(host, name), shown: [], trial }, false)).toMatchObject({
      is: 'advice',
      saw: expect.stringMatching(/^89 days left, and the last try brought no new one: .* it expired/),
    })
    put(made())
    expect(await renew(host, settings, name)).toBe(true)
    expect((await memories(host))[name]).toEqual({ from: 'files' })
  })

  it('that are not there are named', async () => {
    const { host } = machine(made())
    host.files.delete('/Users/ada/key.pem')
    await expect(renew(host, settings, name)).rejects.toThrow(
      /its key ~\/key\.pem is not there; put it there, or change tls/,
    )
  })
})

describe('a source that was asked in vain', () => {
  const tailscale = parseSettings(`tls: { ${name}: tailscale }`, 'settings.yaml')
  const tried = (at: number, next: number) => {
    const host = memoryHost()
    const trial = { fault: 'The last fault.', at: Date.now() + at, next: Date.now() + next }
    host.files.set(`${places(host).state}/certificates.json`, JSON.stringify({ [name]: { trial } }))
    return host
  }

  it.each([
    ['is left alone until its time has come', -day, day, /The last fault\./],
    ['is asked again then', -day, -1, /Tailscale is not installed/],
    ['is asked again at once when that was by a clock that was ahead', 9 * day, 10 * day, /Tailscale is not installed/],
  ])('%s', async (_what, at, next, words) => {
    await expect(renew(tried(at, next), tailscale, name)).rejects.toThrow(words)
  })

  it('is asked at once by whoever types it', async () => {
    await expect(renew(tried(-day, day), tailscale, name, { now: true })).rejects.toThrow(/not installed/)
  })
})

describe('status', () => {
  const held = (days: number, of = 90) =>
    judge(issued([name], { days, begins: (days - of) * day }).pem, { name, source: '' })
  const door = { address: '192.0.2.1', port: 443 }
  const seen = (facts: ReturnType<typeof held>, renews: boolean, shown = [{ door, facts }]) =>
    findingOf({ name, held: facts, shown }, renews)

  it('advises from a third of its life on for files, and a little later where it was to be renewed', () => {
    expect([seen(held(31), false).is, seen(held(29), false).is]).toEqual(['ok', 'advice'])
    expect([seen(held(29), true).is, seen(held(26), true).is]).toEqual(['ok', 'advice'])
  })

  it('misses what is not there, has expired, is for another name, or is not what is served', () => {
    const good = held(60)
    expect(findingOf({ name, shown: [] }, true)).toMatchObject({ is: 'missed', saw: 'a.lan has no certificate yet' })
    expect(findingOf({ name, held: good, shown: [] }, true, Date.now() + 61 * day)).toMatchObject({
      is: 'missed',
      saw: expect.stringMatching(/^the certificate for a\.lan expired on/),
    })
    expect(findingOf({ name: 'b.lan', held: good, shown: [] }, true)).toMatchObject({
      is: 'missed',
      saw: 'the certificate for b.lan is for a.lan',
    })
    const other = held(60)
    expect(seen(good, true, [{ door, facts: other }])).toMatchObject({
      is: 'missed',
      saw: `the certificate ${good.serial} is on disk, and 192.0.2.1:443 serves ${other.serial}`,
    })
    expect(findingOf({ name, held: good, shown: [{ door, why: 'it hangs up' }] }, true)).toMatchObject({
      is: 'missed',
      saw: '192.0.2.1:443 shows none (it hangs up)',
    })
    expect(seen(good, true)).toMatchObject({
      is: 'ok',
      saw: expect.stringMatching(/^59 days left, serial [0-9A-F]+, on 192\.0\.2\.1:443$/),
    })
  })
})

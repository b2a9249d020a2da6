import { afterAll, describe, expect, it } from 'vitest'
import { limitExamples, settingExamples } from '../../lib/site/examples.ts'
import { Macs, programs } from '../attacks/matrix/campaign.ts'
import { combinations, factors, refused } from '../attacks/matrix/combinations.ts'
import { type Combination, refusals } from '../attacks/matrix/refusals.ts'
import { smallest } from '../attacks/matrix/smallest.ts'
import { cannot, patience, titled } from './witness.ts'

const versions = ['2.6', '3.0', '3.2', '3.4']
const seed = '1'
const isRefused = (one: Combination): boolean => refusals.some(({ when }) => when?.(one))
const texts = ([path, value]: [string, unknown]) => `${path}=${JSON.stringify(value)}`

describe('the array of combinations', () => {
  it('has any two values together that are not refused together', () => {
    const rows = combinations(seed, versions)
    const seen = new Set<string>()
    for (const row of rows) {
      const all = Object.entries(row).map(texts)
      for (const one of all) for (const other of all) seen.add(`${one} ${other}`)
    }
    const values = Object.entries(factors(versions)).flatMap(([path, list]) =>
      list.filter((value) => value !== 'absent').map((value): [string, unknown] => [path, value]),
    )
    const missing = values.flatMap((one, at) =>
      values
        .slice(at + 1)
        .filter((other) => other[0] !== one[0] && !isRefused(Object.fromEntries([['haproxy', '3.4'], one, other])))
        .filter((other) => !seen.has(`${texts(one)} ${texts(other)}`))
        .map((other) => `${texts(one)} ${texts(other)}`),
    )
    expect(missing).toEqual([])
    expect(rows.filter(isRefused)).toEqual([])
  })

  it('is the same for the same seed, and another for another', () => {
    expect(combinations(seed, versions)).toEqual(combinations(seed, versions))
    expect(combinations(seed, versions)).not.toEqual(combinations('2', versions))
  })

  it('knows every setting and every limit', () => {
    const known = Object.keys(factors(versions))
    expect(known).toEqual(expect.arrayContaining(Object.keys(settingExamples)))
    expect(known).toEqual(expect.arrayContaining(Object.keys(limitExamples).map((name) => `key.${name}`)))
  })

  it('has one combination for each kind of refusal', () => {
    expect(refused(versions).length).toBe(refusals.length)
  })

  it('is made smaller to what is red', async () => {
    const whole = { haproxy: '2.6', ...Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`s${at}`, at])) }
    let asked = 0
    const least = await smallest(whole, async (one) => {
      asked += 1
      return 's7' in one && 's22' in one
    })
    expect(least).toEqual({ haproxy: '2.6', s7: 7, s22: 22 })
    expect(asked).toBeLessThan(40)
  })
})

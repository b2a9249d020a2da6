import { afterAll, describe, expect, it } from 'vitest'
import { limitExamples, settingExamples } from '../../lib/site/examples.ts'
import { Macs } from '../attacks/matrix/campaign.ts'
import { allowed, combinations, factors, refused } from '../attacks/matrix/combinations.ts'
import { missing } from '../attacks/matrix/covering.ts'
import { right } from '../attacks/matrix/laptop.ts'
import { type Combination, refusals } from '../attacks/matrix/refusals.ts'
import { smallest } from '../attacks/matrix/smallest.ts'
import { haproxy } from '../box/tools.ts'
import { cannot, patience, titled } from './witness.ts'

const versions = ['2.6', '3.0', '3.2', '3.4']
/** The same in every run, unless MATRIX_SEED names another. */
const seed = process.env.MATRIX_SEED ?? '11434'
const isRefused = (one: Combination): boolean => refusals.some(({ when }) => when?.(one))

describe('the array of combinations', () => {
  it.each([versions, ['2.6']].map((list) => ({ list })))(
    'has any two values together that are not refused together, with HAProxy $list',
    ({ list }) => {
      const all = factors(list)
      const nothing = Object.fromEntries(Object.keys(all).map((name) => [name, 'absent']))
      const rows = combinations(seed, list)
      const open = missing(
        all,
        rows.map((row) => ({ ...nothing, ...row })),
      )
      expect(open.map((pair) => Object.fromEntries(pair)).filter(allowed)).toEqual([])
      expect(rows.filter(isRefused)).toEqual([])
      expect(rows.length).toBeLessThan(160)
    },
  )

  it('is the same for the same seed, and another for another', () => {
    const [one, again, other] = [seed, seed, 'other'].map((text) => combinations(text, ['2.6']))
    expect(one).toEqual(again)
    expect(one).not.toEqual(other)
  })

  it('knows every setting and every limit', () => {
    const known = Object.keys(factors(versions))
    expect(known).toEqual(expect.arrayContaining(Object.keys(settingExamples)))
    expect(known).toEqual(expect.arrayContaining(Object.keys(limitExamples).map((name) => `key.${name}`)))
  })

  it('has one combination for each kind of refusal', () => {
    expect(refused(versions).length).toBe(refusals.filter(({ example }) => !example.system).length)
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

describe('what the laptop must get', () => {
  it.each<[object, string, number[]]>([
    [{}, 'none', [200]],
    [{ groups: ['embeddings'] }, 'none', [403]],
    [{ access: 'keys' }, 'none', [401]],
    [{ access: 'keys' }, 'good', [200]],
    [{ access: 'keys' }, 'wrong', [401]],
    [{ access: 'keys', keyless: ['agents'] }, 'wrong', [200]],
    [{ access: 'either', laptop: 'ann@example.com', people: { 'ann@example.com': {} } }, 'none', [200]],
    [{ access: 'either', laptop: 'a stranger', people: { 'ann@example.com': {} } }, 'none', [401]],
    [{ access: 'either', laptop: 'tag:ci', people: { 'ann@example.com': {} } }, 'none', [401]],
    [{ laptop: 'tag:ci', people: { 'tag:ci': { groups: ['embeddings'] } } }, 'none', [403]],
  ])('with %j and the key %s is %j', (combination, key, statuses) => {
    expect(right(combination as Combination, key as 'none')).toEqual(statuses)
  })
})

describe.skipIf(cannot)(titled(`a handful of combinations (seed ${seed})`), async () => {
  const usual = cannot ? undefined : await haproxy()
  const version = usual?.version.split('.').slice(0, 1).join('.') ?? ''
  const macs = new Macs(new Map(usual ? [[version, usual]] : []))
  afterAll(() => macs.close())
  const handful = combinations(seed, [version]).slice(0, 1)

  it.each(handful.map((combination, at) => ({ number: at + 1, combination })))(
    'number $number lives as promised',
    async ({ combination }) => expect(await macs.live(combination)).toEqual({ is: 'green' }),
    2 * patience,
  )

  it('what is listed as refused is refused, for the reason that is listed, before anything is changed', async () => {
    const [metrics] = refused([version])
    expect(await macs.live(metrics ?? {})).toEqual({ is: 'refused', why: refusals[0]?.why })
  })
})

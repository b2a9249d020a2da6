import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { settingExamples } from '../../lib/site/examples.ts'
import { combinations } from '../attacks/matrix/combinations.ts'
import { installedDebian } from '../attacks/matrix/debian.ts'
import type { Ground } from '../attacks/matrix/ground.ts'
import { live } from '../attacks/matrix/life.ts'
import { type Combination, refusals } from '../attacks/matrix/refusals.ts'
import { usualRelease } from '../linux/releases.ts'
import { whyNot } from '../linux/why.ts'

const why = whyNot()
/** The same in every run, unless MATRIX_SEED names another. */
const seed = process.env.MATRIX_SEED ?? '11434'
const haproxy = usualRelease().version === '12' ? '2.6' : '3.0'

const listener = (one: Combination, name: string): boolean => Object.hasOwn(one.listeners ?? {}, name)

/** An address that two gateways have in turn, and a listener there. */
const pair = (at: number, listeners: object): Combination => ({ listeners, vip: settingExamples.vip?.[at] })
const lan = { addresses: ['192.168.78.1', '192.168.78.100'], sources: ['192.168.78.0/24'], port: 8444 }
const outward = { addresses: ['fd00:78::1', 'fd00:78::100'], certificates: 'optional', port: 8444 }

/** What is to be lived with on Linux at least once: which combination, and what is laid over it. */
const kinds: Record<string, [is: (one: Combination) => boolean, more?: Combination]> = {
  'a firewall before a LAN that comes by https': [(one) => one.firewall === 'on' && listener(one, 'lan')],
  'an address of a pair by IPv4': [(one) => one.firewall !== 'on', pair(0, { lan })],
  'an address of a pair by IPv6 on the internet, behind a firewall': [
    (one) => one.firewall === 'on' && one.role !== 'gateway',
    pair(1, { public: outward }),
  ],
  'no engine of its own': [(one) => one.role === 'gateway'],
  'the internet on a port that is root’s': [(one) => JSON.stringify(one.listeners ?? '').includes('"port":443')],
  'a folder of models that is named': [(one) => one.models_folder !== undefined && one.role !== 'gateway'],
}

/** The first combination of each kind. */
function handful(): [string, Combination][] {
  const all = combinations(seed, [haproxy], 'linux')
  return Object.entries(kinds).map(([kind, [is, more]]) => {
    const found = all.filter(is).map((one) => ({ ...one, ...more }))
    const first = found.find((one) => !refusals.some(({ when }) => when?.(one)))
    if (!first) throw new Error(`no combination has ${kind}`)
    return [kind, first]
  })
}

describe.skipIf(why !== undefined)(
  `combinations of settings on Debian (seed ${seed})${why ? ` (skipped: ${why})` : ''}`,
  () => {
    let ground: Ground
    beforeAll(async () => {
      ground = await installedDebian()
    })
    afterAll(() => ground?.close())

    it.each(handful())('with %s everything lives as promised', async (_kind, combination) => {
      expect(await live(ground, combination)).toEqual({ is: 'green' })
    })

    it('an address of a pair that no listener has is refused, before anything is changed', async () => {
      const refusal = refusals.find(({ example }) => example.system === 'linux')
      expect(await live(ground, refusal?.example ?? {})).toEqual({ is: 'refused', why: refusal?.why })
    })
  },
)

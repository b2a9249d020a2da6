import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seedOf } from '../attacks/fuzz/campaign.ts'
import { explains, faults, judge, reasons, reasonsIn, type Survey, surely, survey } from '../attacks/mutate/campaign.ts'
import { type Recorder, startRecorder } from '../lab/recorder.ts'

/** Another tenth with another FUZZ_SEED. */
const seed = seedOf(11_434)

let engines: [Recorder, Recorder]
let all: Survey

beforeAll(async () => {
  engines = await Promise.all([startRecorder(), startRecorder()])
  all = await survey(engines[0])
})
afterAll(async () => {
  for (const engine of engines ?? []) await engine.stop()
})

describe('what is taken away from the gateway', () => {
  test('are all its rules, the parts of their conditions, and the entries of its maps', () => {
    const gone = all.mutants.map(({ policy, gone }) => `${policy} | ${gone}`)
    expect(gone.length).toBeGreaterThan(250)
    for (const one of [
      'connections | tailnet: tcp-request connection reject if !known_source !own_source',
      'rows | routes.map: GET:/api/tags',
      'queue | inference: maxconn 8 of server engine',
      'shape | tailnet: http-request deny status 400',
      'keys | tailnet: !keyless of',
      'rewrite | tailnet: http-request set-header host',
      'tls | tailnet: http-request deny status 421',
      'connections | tailnet: acl own_source src -f FILES/self.lst',
    ])
      expect(
        gone.some((text) => text.startsWith(one)),
        one,
      ).toBe(true)
  })

  test(`is noticed, or explained in docs/mutations.md: a tenth of it (seed ${seed})`, async () => {
    const tenth = fc.sample(fc.shuffledSubarray(all.mutants, { minLength: Math.ceil(all.mutants.length / 10) }), {
      seed,
      numRuns: 1,
    })[0]
    const chosen = tenth?.slice(0, Math.ceil(all.mutants.length / 10)) ?? []
    const verdicts = await judge(engines, all, chosen)
    expect(verdicts.length).toBeGreaterThan(25)
    expect(faults(all, verdicts)).toEqual([])
    expect(verdicts.filter(({ by }) => by).length).toBeGreaterThan(15)
  })
})

describe('docs/mutations.md', () => {
  test('gives every reason a sentence, and none for a rule that guards the rows', () => {
    expect(reasons().length).toBeGreaterThan(10)
    for (const { why } of reasons()) expect(why).toMatch(/^.{25,}\.$/)
    const guards = /deny status (403|421|400)|del-header|routes\.map/
    // What a newer HAProxy refuses by itself may be explained for that one.
    const everywhere = reasons().filter(({ versions }) => versions === 'all')
    expect(everywhere.filter(({ pattern }) => guards.test(pattern) && !pattern.includes(' of '))).toEqual([])
  })

  test('fails the run by a survivor without a reason, by a reason that was refuted, and by one that explains nothing', () => {
    const [mutant] = all.mutants
    if (!mutant) throw new Error('nothing to take away')
    const reason = { policy: mutant.policy, pattern: mutant.gone, versions: 'all', why: 'Because.' }
    expect(faults(all, [{ mutant }])).toEqual([expect.stringContaining('nobody notices')])
    expect(faults(all, [{ mutant, by: 'someone', reason }])).toEqual([
      expect.stringContaining('explained, but noticed'),
    ])
    expect(faults({ ...all, mutants: [] }, [])).toContainEqual(expect.stringContaining('explains nothing'))
    expect(faults(all, [{ mutant, by: 'someone' }])).toEqual([])
    expect(faults(all, [{ mutant, reason }])).toEqual([])
  })

  test('is stale only where the same is noticed each time, and not by what a busy machine is late with', async () => {
    const told = (...complaints: (string | undefined)[]) => surely(async () => complaints.shift())
    expect(
      await told(
        'an idle connection: closed',
        'an idle connection: no answer',
        'an idle connection: closed',
        'an idle connection: closed',
      ),
    ).toBe('an idle connection: closed')
    expect(await told('an idle connection: closed', undefined)).toBeUndefined()
    expect(await told('an idle connection: closed', 'a slow body: 504')).toBeUndefined()
    expect(await told(undefined)).toBeUndefined()
  })

  test('is a table whose cells may hold bars, and a reason is for one policy', () => {
    const [reason] = reasonsIn('| queue | `a \\| b` | >= 3.2 | It is. |\n| broken |')
    expect(reason).toEqual({ policy: 'queue', pattern: 'a | b', versions: '>= 3.2', why: 'It is.' })
    if (!reason) throw new Error('no reason')
    const gone = 'inference: a | b c'
    expect(explains(reason, { gone, policy: 'queue' })).toBe(true)
    expect(explains(reason, { gone, policy: 'rows' })).toBe(false)
    expect(explains({ ...reason, pattern: 'inference: … c' }, { gone, policy: 'queue' })).toBe(true)
    expect(explains({ ...reason, pattern: 'b … a' }, { gone, policy: 'queue' })).toBe(false)
  })
})

import { describe, expect, it } from 'vitest'
import { verdict } from '../commands/prove.ts'
import { counts, junit, tap } from './results.ts'
import type { Result } from './step.ts'

const result = (id: string, state: Result['state']): Result => ({
  id,
  title: `${id} holds`,
  state,
  saw: `saw <${id}> & "more"`,
  remedy: state === 'missed' ? 'do this' : undefined,
  ms: 3,
})
const all = [
  result('a.ok', 'ok'),
  result('a.missed', 'missed'),
  result('a.advice', 'advice'),
  result('a.skipped', 'skipped'),
]

describe('results as text for programs', () => {
  it('TAP counts advice as passed and says why something was skipped', () => {
    expect(
      tap(all)
        .split('\n')
        .filter((line) => /^(ok|not ok|1\.\.)/.test(line)),
    ).toEqual([
      '1..4',
      'ok 1 - a.ok a.ok holds',
      'not ok 2 - a.missed a.missed holds',
      'ok 3 - a.advice a.advice holds # TODO advice: saw <a.advice> & "more"',
      'ok 4 - a.skipped a.skipped holds # SKIP saw <a.skipped> & "more"',
    ])
  })

  it('JUnit escapes what was seen and names the failure', () => {
    const xml = junit(all)
    expect(xml).toContain('failures="1"')
    expect(xml).toContain('skipped="1"')
    expect(xml).toContain('&lt;a.missed&gt;')
  })

  it('are counted by what they mean', () => {
    expect(counts(all)).toEqual({ passed: 1, missed: 1, advice: 1, skipped: 1 })
  })
})

describe('the verdict', () => {
  const inference = { id: 'a.skipped', title: '', inference: true, check: async () => ({ is: 'ok', saw: '' }) as const }

  it('of a miss is exit 1', () => expect(verdict(all, []).code).toBe(1))
  it('cannot be mistaken for a pass when no model answered: exit 5', () => {
    const said = verdict([result('a.ok', 'ok'), result('a.skipped', 'skipped')], [inference])
    expect(said.code).toBe(5)
    expect(said.text).toMatch(/^NOT PROVEN: 1\./)
  })
  it('of what the settings do not open leaves nothing unproven', () => {
    const all = [result('a.ok', 'ok'), result('a.skipped', 'skipped')]
    expect(verdict(all, [{ ...inference, closed: true }]).code).toBe(0)
    expect(verdict(all, [{ ...inference, closed: true }, { ...inference }]).code).toBe(5)
  })
  it('of all that passed is exit 0, advice or not', () =>
    expect(verdict([result('a.ok', 'ok'), result('b', 'advice')], []).code).toBe(0))
})

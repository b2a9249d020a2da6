import { describe, expect, it, vi } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { converge, missed, observeAll, ok, type Step, withdraw } from './step.ts'

const step = (changes: Partial<Step>): Step => ({
  id: 'a.step',
  title: 'A step',
  check: async () => ok('fine'),
  apply: async () => {},
  ...changes,
})

describe('a step', () => {
  it('that holds already is not applied', async () => {
    const apply = vi.fn(async () => {})
    expect((await converge(step({ apply }), memoryHost())).state).toBe('ok')
    expect(apply).not.toHaveBeenCalled()
  })

  it('is applied when missed, and checked again', async () => {
    let there = false
    const result = await converge(
      step({
        check: async () => (there ? ok('there') : missed('not there', 'do')),
        apply: async () => {
          there = true
        },
      }),
      memoryHost(),
    )
    expect([result.state, result.saw]).toEqual(['done', 'there'])
  })

  it('that settles late is waited for', async () => {
    let looks = 0
    const check = async () => (++looks > 3 ? ok('late') : missed('not yet', 'wait'))
    expect((await converge(step({ check, settlesWithin: 1000 }), memoryHost())).state).toBe('done')
  })

  it('that fails keeps the reason and says what to do next', async () => {
    const result = await converge(
      step({ check: async () => missed('no', 'x'), apply: async () => Promise.reject(new Error('disk full')) }),
      memoryHost(),
    )
    expect(result).toMatchObject({ state: 'missed', saw: 'disk full' })
    expect(result.remedy).toContain('install.ts')
  })

  it('counts as removed only when it is gone', async () => {
    const stays = step({ undo: async () => {} })
    expect((await withdraw(stays, memoryHost())).state).toBe('missed')
    expect(
      (await withdraw(step({ undo: async () => {}, check: async () => missed('gone', '') }), memoryHost())).state,
    ).toBe('removed')
    expect(await withdraw(step({ keeps: 'valuable' }), memoryHost())).toMatchObject({ state: 'kept', saw: 'valuable' })
  })

  it('whose ground is missed is skipped, with the reason', async () => {
    const first = { id: 'first', title: 'First', check: async () => missed('no', 'x') }
    const second = { id: 'second', title: 'Second', needs: ['first'], check: async () => ok('never asked') }
    const results = await observeAll([first, second], memoryHost())
    expect(results[1]).toMatchObject({ state: 'skipped', saw: 'rests on first' })
  })

  it('that breaks is a miss, not a crash', async () => {
    const results = await observeAll(
      [{ id: 'x', title: 'X', check: async () => Promise.reject(new Error('boom')) }],
      memoryHost(),
    )
    expect(results[0]).toMatchObject({ state: 'missed', saw: expect.stringContaining('boom') })
  })
})

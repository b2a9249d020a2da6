import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../../test/memory-host.ts'
import type { RawAnswer } from '../../host/host.ts'
import { observe } from '../../steps/step.ts'
import { timeLimits } from './timed.ts'

const engine = { address: '127.0.0.1', port: 11434 }
const target = {
  ...{ ...engine, host: '127.0.0.1:11434', engine, groups: ['openai' as const] },
  model: { name: 'qwen3:0.6b', capabilities: ['completion'] },
}

const whole = (beginMs: number): Partial<RawAnswer> => ({ pieces: [{ ms: beginMs, text: '' }], ms: beginMs + 20 })
const late: Partial<RawAnswer> = { status: 504 }

/** What a proof says of these answers, the last of which comes again and again. */
async function said(id: string, ...answers: Partial<RawAnswer>[]): Promise<string | undefined> {
  const left = [...answers]
  const probe = async (): Promise<RawAnswer> => ({
    ...{ end: 'complete', status: 200, headers: {}, body: '', pieces: [], ms: 5 },
    ...(left.length > 1 ? left.shift() : left[0]),
  })
  const check = timeLimits(target, true).find((one) => one.id === id)
  return check && (await observe(check, { ...memoryHost(), probe })).state
}

describe('the proof of the time to the first byte', () => {
  it('takes one answer that was too late, since a fast one may overtake a millisecond', async () => {
    expect(await said('timeouts.first-byte', late)).toBe('ok')
    expect(await said('timeouts.first-byte', whole(2), whole(300), late)).toBe('ok')
  })

  it('is skipped where a model always begins too soon for a limit to be seen', async () => {
    expect(await said('timeouts.first-byte', whole(3))).toBe('skipped')
  })

  it('misses the limit where no answer was too late, and where another one came', async () => {
    expect(await said('timeouts.first-byte', whole(80))).toBe('missed')
    expect(await said('timeouts.first-byte', { status: 502 })).toBe('missed')
  })
})

describe('the proof of the time of a whole answer', () => {
  it('takes an answer that was cut, and none that never ended', async () => {
    expect(await said('timeouts.whole', { end: 'cut', ms: 1500 })).toBe('ok')
    expect(await said('timeouts.whole', { end: 'timeout', ms: 60_000 })).toBe('missed')
    expect(await said('timeouts.whole', whole(5_000))).toBe('missed')
  })
})

import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import type { Target } from '../gateway/proofs/target.ts'
import type { Look, RawAnswer } from '../host/host.ts'
import { observe } from '../steps/step.ts'
import { streaming } from './streaming.ts'

const engine = { address: '127.0.0.1', port: 11434 }
const target: Target = {
  ...{ address: '100.64.0.1', port: 11434, host: '100.64.0.1:11434', engine },
  groups: ['openai'],
  model: { name: 'qwen3:0.6b', capabilities: ['completion'] },
}

/** So many events, spread over so many ms. */
function spread(events: number, ms: number): RawAnswer {
  const pieces = Array.from({ length: events }, (_, at) => ({ ms: 5 + (at * ms) / (events - 1), text: 'data: {}\n\n' }))
  return { end: 'complete', status: 200, headers: {}, body: '', pieces, ms: 5 + ms }
}

type Round = { direct: RawAnswer; proxied: RawAnswer }

/** Answers the rounds of the check in their order, the last one for ever, and keeps how many tokens were asked for. */
async function check(...rounds: [Round, ...Round[]]) {
  const limits: number[] = []
  const probe: Look['probe'] = async ({ address, body }) => {
    const direct = address === engine.address
    if (direct) limits.push((JSON.parse(`${body}`) as { max_tokens: number }).max_tokens)
    const round = rounds[limits.length - 1] ?? rounds.at(-1) ?? rounds[0]
    return direct ? round.direct : round.proxied
  }
  const unbuffered = streaming(target).find(({ id }) => id === 'streaming.no-buffering')
  if (!unbuffered) throw new Error('no such check')
  const { state, saw } = await observe(unbuffered, { ...memoryHost(), probe })
  return { state, saw, limits }
}

const quick = { direct: spread(17, 14), proxied: spread(17, 0) }

describe('streaming.no-buffering', () => {
  it('does not judge an answer that was over too soon, and asks for a longer one before it says so', async () => {
    expect(await check(quick)).toEqual({
      state: 'skipped',
      saw: 'too quick to tell: 17 events over 0 ms (from Ollama itself over 14 ms)',
      limits: [16, 128, 128],
    })
  })

  it('passes when the longer answer came word by word', async () => {
    const whole = await check(quick, { direct: spread(128, 110), proxied: spread(128, 108) })
    expect(whole).toMatchObject({ state: 'ok', limits: [16, 128] })
  })

  it('is missed when also the longer answer came at once', async () => {
    const whole = await check(quick, { direct: spread(128, 110), proxied: spread(128, 0) })
    expect(whole).toMatchObject({ state: 'missed', saw: expect.stringContaining('at once'), limits: [16, 128, 128] })
  })

  it('is missed in one round with a slow model, whose words are far apart', async () => {
    const whole = await check({ direct: spread(17, 6_000), proxied: { ...spread(17, 0), ms: 6_000 } })
    expect(whole).toMatchObject({ state: 'missed', limits: [16] })
  })

  it('takes one good round for proof, since a busy machine can delay words', async () => {
    const stalled = { direct: spread(17, 400), proxied: spread(17, 100) }
    expect(await check(stalled, { direct: spread(17, 400), proxied: spread(17, 390) })).toMatchObject({ state: 'ok' })
  })
})

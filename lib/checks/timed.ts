import type { Look, RawAnswer } from '../host.ts'
import type { ProbeKeys } from '../keys/probes.ts'
import { type Check, type Finding, missed, ok, skipped } from '../step.ts'
import { can } from './asking.ts'
import { bearer, type Target } from './target.ts'

const path = '/v1/chat/completions'

/** A long answer in a stream. */
const counting = (look: Look, target: Target, key: keyof ProbeKeys): Promise<RawAnswer> =>
  look.probe({
    ...{ address: target.address, port: target.port, method: 'POST', target: path },
    headers: { host: target.host, 'content-type': 'application/json', ...bearer(target, key) },
    body: JSON.stringify({
      ...{ model: target.model?.name, stream: true, max_tokens: 600 },
      messages: [{ role: 'user', content: 'Count from 1 to 300, in words.' }],
    }),
    timeoutMs: 60_000,
  })

function timed(target: Target, check: Omit<Check, 'check'>, see: (look: Look) => Promise<Finding>): Check {
  return {
    ...check,
    needs: ['openai.chat-stream'],
    inference: true,
    check: async (look) => (target.model && can(target, 'completion') ? see(look) : skipped('no model is installed')),
  }
}

/** That the limits of time end an answer: one key has a millisecond to the first byte, another a second for the whole. */
export function timeLimits(target: Target, observed: boolean): Check[] {
  if (!target.groups.includes('openai')) return []
  const first = timed(
    target,
    { id: 'timeouts.first-byte', title: 'An answer that does not begin in its time is 504' },
    async (look) => {
      const { status, body } = await counting(look, target, 'hasty')
      return status === 504 ? ok('504') : missed(`${status} ${body.slice(0, 100)}`, 'Run install.ts again.')
    },
  )
  const whole = timed(
    target,
    { id: 'timeouts.whole', title: 'An answer that takes longer than it may is cut' },
    async (look) => {
      const { end, ms, status } = await counting(look, target, 'brief')
      const saw = `${end} after ${(ms / 1000).toFixed(1)} s`
      if (end === 'cut') return ok(saw)
      if (status === 200 && ms < 3000) return skipped('this model’s longest answer is over too soon')
      return missed(`${status} ${saw}`, 'See what status.ts says of the observer.')
    },
  )
  return observed ? [first, whole] : [first]
}

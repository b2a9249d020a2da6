import type { Look, RawAnswer } from '../../host/host.ts'
import type { Endpoint } from '../../site/endpoints.ts'
import { type Check, type Finding, missed, ok, skipped, unexplained } from '../../steps/step.ts'
import { can } from './asking.ts'
import type { ProbeKeys } from './probe-keys.ts'
import { busy, taken } from './refused.ts'
import { bearer, modelRows, type Target } from './target.ts'

/** Rows that take the same question. */
const chats = ['/v1/chat/completions', '/v1/messages', '/api/chat']

/** A long answer in a stream. */
const counting = (look: Look, target: Target, { method, path }: Endpoint, key: keyof ProbeKeys): Promise<RawAnswer> =>
  look.probe({
    ...{ address: target.address, port: target.port, method, target: path },
    headers: { host: target.host, 'content-type': 'application/json', ...bearer(target, key) },
    body: JSON.stringify({
      ...{ model: target.model?.name, stream: true, max_tokens: 600 },
      messages: [{ role: 'user', content: 'Count from 1 to 300, in words.' }],
    }),
    timeoutMs: 60_000,
  })

interface Timed {
  id: string
  title: string
  key: keyof ProbeKeys
  see(answer: RawAnswer): Finding
}

const timed = (target: Target, row: Endpoint, { id, title, key, see }: Timed): Check => ({
  ...{ id, title, inference: true },
  needs: ['haproxy.service'],
  async check(look) {
    if (!target.model || !can(target, 'completion')) return skipped('no model that chats is installed')
    const answer = await counting(look, target, row, key)
    return (await busy(look, answer)) ? taken : see(answer)
  },
})

/** An answer that is cut before its first byte is a connection that ends, or what HAProxy makes of it. */
function cutInTime({ end, ms, status, body }: RawAnswer): Finding {
  const saw = `${status || end} after ${(ms / 1000).toFixed(1)} s`
  const whole = end === 'complete' && status === 200
  if (!whole && ms >= 1000 && (end !== 'complete' || status === 502)) return ok(saw)
  if (whole && ms < 3000) return skipped('this model’s longest answer is over too soon')
  return missed(`${saw} ${body.slice(0, 100)}`.trim(), 'See what status.ts says of the observer.')
}

/** That the limits of time end an answer: one key has a millisecond to the first byte, another a second for the whole. */
export function timeLimits(target: Target, observed: boolean): Check[] {
  const row = modelRows(target).find(({ path }) => chats.includes(path))
  if (!row) return []
  const first = timed(target, row, {
    id: 'timeouts.first-byte',
    title: 'An answer that does not begin in its time is 504',
    key: 'hasty',
    see: ({ status, error, body }) =>
      status === 504 ? ok('504') : missed(`${status || error} ${body.slice(0, 100)}`.trim(), unexplained),
  })
  const whole = timed(target, row, {
    id: 'timeouts.whole',
    title: 'An answer that takes longer than it may is cut',
    key: 'brief',
    see: cutInTime,
  })
  return observed ? [first, whole] : [first]
}

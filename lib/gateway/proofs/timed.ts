import type { Look, RawAnswer } from '../../host/host.ts'
import type { Endpoint } from '../../site/endpoints.ts'
import { type Check, type Finding, missed, ok, skipped, unexplained } from '../../steps/step.ts'
import { can, tokens } from './asking.ts'
import type { ProbeKeys } from './probe-keys.ts'
import { busy, taken } from './refused.ts'
import { bearer, modelRows, type Target } from './target.ts'

/** Rows that take the same question. */
const chats = ['/v1/chat/completions', '/v1/messages', '/api/chat']

/** A long answer in a stream, or the beginning of one. */
const counting = (
  look: Look,
  target: Target,
  { method, path }: Endpoint,
  key: keyof ProbeKeys,
  most = 600,
): Promise<RawAnswer> =>
  look.probe({
    ...{ address: target.address, port: target.port, method, target: path },
    headers: { host: target.host, 'content-type': 'application/json', ...bearer(target, key) },
    body: JSON.stringify({
      ...{ model: target.model?.name, stream: true, max_tokens: most },
      messages: [{ role: 'user', content: 'Count from 1 to 300, in words.' }],
    }),
    timeoutMs: 60_000,
  })

interface Timed {
  id: string
  title: string
  needs?: string[]
  see(look: Look): Promise<Finding>
}

const timed = (target: Target, { id, title, needs = [], see }: Timed): Check => ({
  ...{ id, title, inference: true },
  needs: ['haproxy.service', ...needs],
  check: async (look) =>
    target.model && can(target, 'completion') ? see(look) : skipped('no model that chats is installed'),
})

/** Answers that are waited for until one is too late: HAProxy looks at its clock only after what has come, and for a moment it may have had no processor. */
const tries = 5
/** ms to the first byte that no HAProxy sleeps through each time */
const surely = 25

/** Whether the millisecond of a key is heeded. */
async function tooLate(look: Look, target: Target, row: Endpoint): Promise<Finding> {
  let slowest = 0
  for (let at = 0; at < tries; at += 1) {
    const answer = await counting(look, target, row, 'hasty', tokens)
    if (await busy(look, answer)) return taken
    const { status, error, body, pieces } = answer
    if (status === 504) return ok('504')
    slowest = Math.max(slowest, pieces[0]?.ms ?? 0)
    if (status !== 200 || (at === tries - 1 && slowest >= surely))
      return missed(`${status || error} ${body.slice(0, 100)}`.trim(), unexplained)
  }
  return skipped(`this model begins within ${Math.ceil(slowest)} ms, too soon for a limit to be seen`)
}

/** An answer that is cut before its first byte is a connection that ends, or what HAProxy makes of it. */
function cutInTime({ end, ms, status, body }: RawAnswer): Finding {
  const saw = `${status || end} after ${(ms / 1000).toFixed(1)} s`
  const whole = end === 'complete' && status === 200
  if (!whole && ms >= 1000 && (end === 'cut' || status === 502)) return ok(saw)
  if (whole && ms < 3000) return skipped('this model’s longest answer is over too soon')
  return missed(`${saw} ${body.slice(0, 100)}`.trim(), unexplained)
}

/** That the limits of time end an answer: one key has a millisecond to the first byte, another a second for the whole. */
export function timeLimits(target: Target, observed: boolean): Check[] {
  const row = modelRows(target).find(({ path }) => chats.includes(path))
  if (!row) return []
  const first = timed(target, {
    id: 'timeouts.first-byte',
    title: 'An answer that does not begin in its time is 504',
    see: (look) => tooLate(look, target, row),
  })
  const whole = timed(target, {
    id: 'timeouts.whole',
    title: 'An answer that takes longer than it may is cut',
    needs: ['observer.service'],
    async see(look) {
      const answer = await counting(look, target, row, 'brief')
      return (await busy(look, answer)) ? taken : cutInTime(answer)
    },
  })
  return observed ? [first, whole] : [first]
}

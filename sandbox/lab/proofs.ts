import { policies } from '../../lib/gateway/policies/index.ts'
import { withProbeKeys } from '../../lib/gateway/proofs/probes.ts'
import type { Target } from '../../lib/gateway/proofs/target.ts'
import { loaded } from '../../lib/observer/duties/loaded.ts'
import { nodes } from '../../lib/observer/duties/nodes.ts'
import { overlong } from '../../lib/observer/duties/overlong.ts'
import { listing } from '../../lib/observer/serving.ts'
import { asOwn } from '../../lib/people/own-probes.ts'
import { openGroups } from '../../lib/site/settings.ts'
import { type Check, observeAll, type Result } from '../../lib/steps/step.ts'
import type { RunningGateway } from './gateway.ts'
import { type Answer, events, json } from './recorder.ts'

/** An engine as far as the proofs of policies ask one. */
export const answering: Answer = (wire, received) => {
  if (/^\/api\/(ps|tags)$/.test(received.target)) return json('{"models":[]}')(wire, received)
  if (received.target === '/v1/models') return json('{"object":"list","data":[]}')(wire, received)
  const stream = received.body.includes('"stream":true')
  const count = received.body.includes('"max_tokens":16,') ? 5 : 200
  // No model begins within a millisecond.
  if (stream) setTimeout(() => events({ count, gap: 20 })(wire, received), 50)
  else json()(wire, received)
}

/** What test.ts would report of these checks, with the duties of the observer that they rest on. */
export async function reported(
  one: RunningGateway,
  enginePort: number,
  checks: (target: Target) => Check[],
): Promise<Result[]> {
  const target: Target = {
    ...{ address: one.address, port: one.port, host: one.host },
    engine: { address: '127.0.0.1', port: enginePort },
    groups: openGroups(one.gateway.settings),
    model: { name: 'm', capabilities: ['completion'] },
  }
  const of = () => one.gateway.settings
  const lists = listing(() => ({ ...of(), engine: { port: enginePort } }))
  const duties = [loaded(of), nodes(of), overlong(), lists]
  const once = () => Promise.all(duties.map((duty) => duty.run(one.machine)))
  await once()
  let last = Promise.resolve<unknown>(undefined)
  const timer = setInterval(() => {
    last = last.then(once)
  }, 500)
  try {
    return await withProbeKeys(one.machine, one.gateway.settings, (keys, renew) =>
      observeAll(checks({ ...target, keys }), asOwn(one.machine), undefined, renew),
    )
  } finally {
    clearInterval(timer)
    await last
  }
}

/** What each policy lets test.ts ask. */
export const proofs = (one: RunningGateway) => (target: Target) =>
  policies(one.gateway).flatMap((policy) => policy.proof?.(target) ?? [])

export const notOk = (results: Result[]) => results.filter(({ state }) => state !== 'ok')

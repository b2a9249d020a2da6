import type { Host } from '../../host/host.ts'
import { type NodeError, readErrors, writeErrors } from '../../nodes/errors.ts'
import { type Standing, seen, seenBy } from '../../nodes/standing.ts'
import { nodesOf, spreads } from '../../site/nodes.ts'
import type { Settings } from '../../site/settings.ts'
import type { Duty } from '../duty.ts'
import type { Ended } from '../ended.ts'
import type { Taker } from '../requests.ts'

/** HAProxy tells in whole seconds since when a node is down, so the moment is told a little differently each time (ms). */
const same = 3000

/** Notes what went wrong last with each node, and when: it was down, or broke an answer. `rop nodes` still says it when all is well again. */
export function nodeErrors(settings: () => Settings, now = Date.now): Duty & Taker {
  const broken = new Map<string, NodeError>()
  return {
    name: 'errors of nodes',
    everyMs: 1500,
    take(requests) {
      for (const request of requests) {
        const what = breaking(request)
        if (request.node && what) broken.set(request.node, { what, at: ended(request, now) })
      }
    },
    async run(host: Host) {
      if (!spreads(settings())) return
      const known = await readErrors(host)
      const down = seenBy(settings(), await seen(host)).flatMap((one) => downSince(one, now()))
      const errors = { ...known }
      for (const [name, error] of [...broken, ...down]) if (isNewer(error, errors[name])) errors[name] = error
      broken.clear()
      const names = new Set(nodesOf(settings()).map(({ name }) => name))
      const left = Object.fromEntries(Object.entries(errors).filter(([name]) => names.has(name)))
      if (JSON.stringify(left) !== JSON.stringify(known)) await writeErrors(host, left)
    },
  }
}

const isNewer = (one: NodeError, known: NodeError | undefined): boolean =>
  known === undefined || one.at > known.at + same || (one.at > known.at - same && one.what !== known.what)

const ended = ({ time, totalMs }: Ended, now: () => number): number =>
  (Date.parse(time) || now()) + Math.max(0, totalMs)

/** How an answer of a node failed, if it did. */
function breaking({ end, status }: Ended): string | undefined {
  if (end === 'engine broke') return 'it broke an answer off'
  if (end === 'engine silent') return 'it kept a request waiting too long'
  return end === 'done' && status >= 500 ? `it answered ${status}` : undefined
}

const downSince = ({ node, state, since, fault }: Standing, now: number): [string, NodeError][] =>
  state === 'down' ? [[node.name, { what: fault ?? 'it was down', at: now - (since ?? 0) * 1000 }]] : []

import { engineLoad } from '../../haproxy/runtime.ts'
import type { Look, RawAnswer } from '../../host/host.ts'
import type { Endpoint } from '../../site/endpoints.ts'
import { type Check, missed, ok, skipped, unexplained } from '../../steps/step.ts'
import { familyOf } from '../base-urls.ts'
import { bearer, json, type Target } from './target.ts'

/** Bodies that a row answers without a model doing anything. */
const harmless: Record<string, string> = { '/api/show': '{"model":"no-such-model"}' }

/** Sends a row, or what must be refused, with a body that harms nobody should it get through. */
export const probe = (
  look: Look,
  target: Target,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body = harmless[path] ?? '{}',
): Promise<RawAnswer> =>
  look.probe({
    address: target.address,
    port: target.port,
    method,
    target: path,
    headers: { host: target.host, 'content-type': 'application/json', ...bearer(target), ...headers },
    body: method === 'POST' ? body : undefined,
  })

/** A row that asks a model: an engine answers an empty body without asking one, and nodes are told apart by one, which then gets what it cannot take. */
export const probeModel = (
  look: Look,
  target: Target,
  { method, path }: Pick<Endpoint, 'method' | 'path'>,
  headers: Record<string, string>,
): Promise<RawAnswer> => {
  const untakable = { model: target.model?.name ?? '', messages: 1, prompt: 1, input: 1 }
  return probe(look, target, method, path, headers, target.several ? JSON.stringify(untakable) : undefined)
}

/** Whether an answer says nothing of what was asked, since every slot of the engine is taken: it says so itself, or never came while others wait. */
export async function busy(look: Look, { status, end, body }: RawAnswer): Promise<boolean> {
  if (end === 'timeout') return ((await engineLoad(look))?.waiting ?? 0) > 0
  return (
    status === 429 &&
    /requests are waiting already|every slot is taken|no slot came free|all slots stayed busy/.test(body)
  )
}

export const taken = skipped('every slot is taken, and others wait')

/** Whether an answer is the gateway's own refusal, in the family's shape. */
export function isRefusal(answer: RawAnswer, path: string): boolean {
  if (answer.status !== 403) return false
  if (answer.body === '') return true
  const body = json(answer) as { error?: unknown } | undefined
  const text = familyOf(path) === 'api' ? body?.error : (body?.error as { message?: string } | undefined)?.message
  return typeof text === 'string' && text.startsWith('Gateway: ')
}

export interface Refused {
  id: string
  title: string
  status: number
  method?: string
  path?: string
  /** words of the refusal, where the status alone could be another one's */
  says?: string
  headers: Record<string, string>
  needs?: string[]
}

/** One request that a policy must refuse with its own status. */
export function refusedAs(target: Target, what: Refused): Check {
  const { id, title, status, method = 'GET', path = '/api/version', says = '', headers, needs = [] } = what
  return {
    id,
    title,
    needs: ['haproxy.service', ...needs],
    async check(look) {
      const answer = await probe(look, target, method, path, headers)
      const good = answer.status === status && /"Gateway: |^$/.test(answer.body) && answer.body.includes(says)
      return good
        ? ok(`${status}`)
        : missed(`${answer.status || answer.error} ${answer.body.slice(0, 100)}`.trim(), unexplained)
    },
  }
}

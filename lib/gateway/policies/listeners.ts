import { bitOf } from '../../people/records.ts'
import { expandGroups } from '../../site/endpoints.ts'
import { hasRequired } from '../listeners.ts'
import type { Gateway, Listener, Policy } from '../policy.ts'
import { listenerProofs } from '../proofs/listeners.ts'
import { refuse } from '../refusal.ts'
import { challenge } from './keys.ts'

const narrow = ({ groups }: Listener): boolean => groups !== undefined

/** `listener` -> the bits of the groups that are open there. An admin key changes models from anywhere but the internet. */
const bits = ({ name, groups = [] }: Listener): string =>
  `${name} ${[...expandGroups(groups), ...(name === 'public' ? [] : (['manage'] as const))].reduce((sum, group) => sum + bitOf(group), 0)}\n`

const said = '%[var(txn.method),json(utf8s)] %[var(txn.path),json(utf8s)]'

const groupRules = [
  'http-request set-var(txn.here) so_name,map_str({{files}}/listeners.map)',
  'http-request set-var(txn.bits) var(txn.here),add(0) if { var(txn.here) -m found }',
  'http-request set-var(txn.bit) var(txn.row),field(3,|),add(0)',
  'http-request set-var(txn.reached) var(txn.bits),and(txn.bit) if { var(txn.here) -m found }',
  refuse({
    status: 403,
    message: `${said} is not enabled at this address of the server (group: %[var(txn.group)]).`,
    when: ['{ var(txn.here) -m found } !{ var(txn.reached) -m int gt 0 }'],
  }),
]

/** The handshake asked for one, but a session that is taken up again may be of a listener that did not (haproxy-news.md §4a), so every request is asked. */
const certified = refuse({
  status: 401,
  message: 'a client certificate that is known here is needed; the owner of this server makes one.',
  when: ['certified_only !{ var(txn.certified) -m found }'],
  headers: challenge,
})

/** What is otherwise on one listener than on the others. */
export function listeners(gateway: Gateway): Policy {
  const own = gateway.listeners.filter(narrow)
  return {
    name: 'listeners',
    lines: {
      authenticate: hasRequired(gateway) ? [certified] : [],
      allow: own.length > 0 ? groupRules : [],
    },
    files: own.length > 0 ? { 'listeners.map': own.map(bits).join('') } : {},
    proof: (target) => gateway.listeners.slice(1).flatMap((listener) => listenerProofs(target, listener, gateway)),
  }
}

import { bitOf } from '../../people/records.ts'
import { expandGroups } from '../../site/endpoints.ts'
import { byName, certificateUse, hasRequired } from '../listeners.ts'
import type { Gateway, Listener, Policy } from '../policy.ts'
import { listenerProofs } from '../proofs/listeners.ts'
import { askedHere } from '../proofs/pair.ts'
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
const certified = (condition: string): string =>
  refuse({
    status: 401,
    message: 'a client certificate that is known here is needed; the owner of this server makes one.',
    when: [`${condition} !{ var(txn.certified) -m found }`],
    headers: challenge,
  })

const usesFile = (name: string): string => `certificates-${name}.map`

/** The same by the name that was asked for; one that has no certificate of its own is looked up as the wildcard above it. */
const certifiedByName = ({ name }: Listener): string[] => [
  `http-request set-var(txn.use) var(txn.asked),map_str({{files}}/${usesFile(name)}) if { so_name ${name} }`,
  `http-request set-var(txn.use) var(txn.asked),regsub(^[^.]+,*),map_str({{files}}/${usesFile(name)}) if { so_name ${name} } !{ var(txn.use) -m found }`,
]

const requiredByName = ({ settings }: Gateway, listener: Listener): boolean =>
  byName(listener) && Object.keys(settings.tls).some((name) => certificateUse(listener, name) === 'required')

const uses = ({ settings }: Gateway, listener: Listener): string =>
  Object.keys(settings.tls)
    .map((name) => `${name} ${certificateUse(listener, name)}\n`)
    .join('')

/** What is otherwise on one listener than on the others. */
export function listeners(gateway: Gateway): Policy {
  const own = gateway.listeners.filter(narrow)
  const byNames = gateway.listeners.filter((listener) => requiredByName(gateway, listener))
  return {
    name: 'listeners',
    lines: {
      authenticate: [
        ...(hasRequired(gateway) ? [certified('certified_only')] : []),
        ...byNames.flatMap(certifiedByName),
        ...(byNames.length > 0 ? [certified('{ var(txn.use) -m str required }')] : []),
      ],
      allow: own.length > 0 ? groupRules : [],
    },
    files: {
      ...(own.length > 0 && { 'listeners.map': own.map(bits).join('') }),
      ...Object.fromEntries(byNames.map((listener) => [usesFile(listener.name), uses(gateway, listener)])),
    },
    proof: (target) =>
      gateway.listeners
        .slice(1)
        .flatMap((one) => askedHere(gateway, one, (listener) => listenerProofs(target, listener, gateway))),
  }
}

import { nodesIn } from '../../nodes.ts'
import type { Gateway } from '../../policy.ts'

/** By what agents call a session (clients.md; nodes.md §5): Claude Code, opencode, Codex old and new. */
const headers = ['x-claude-code-session-id', 'x-session-id', 'session-id', 'session_id']
/** The same in a body: Codex, Claude Code; else what begins a conversation. */
const fields = ['$.prompt_cache_key', '$.metadata.user_id']
const beginning = ['$.messages[0].content', '$.messages[1].content']

const missing = '!{ var(txn.talk) -m found }'

const inBody = (path: string): string =>
  `http-request set-var(txn.talk) req.body,json_query('${path}') if inference ${missing}`

/** What HAProxy keeps of it is a digest: no session's name, and no words of anybody. */
const rules = [
  ...headers.map(
    (name) => `http-request set-var(txn.talk) req.fhdr(${name}) if inference ${missing} { req.fhdr(${name}) -m found }`,
  ),
  ...fields.map(inBody),
  ...beginning.map(
    (path, at) => `http-request set-var(txn.opening${at}) req.body,json_query('${path}') if inference ${missing}`,
  ),
  `http-request set-var(txn.talk) var(txn.opening0),concat(|,txn.opening1) if inference ${missing} { var(txn.opening0) -m found }`,
  'http-request unset-var(txn.opening0) if inference',
  'http-request unset-var(txn.opening1) if inference',
  'http-request set-var(txn.talk) var(txn.talk),concat(|,txn.model),concat(|,txn.who),sha1,hex if inference { var(txn.talk) -m found }',
]

const on = (gateway: Gateway): boolean => gateway.settings.affinity === 'on' && nodesIn(gateway).length > 1

/** Which conversation a request goes on with, so that it finds its cache where it began. */
export const conversation = {
  of: (gateway: Gateway): string[] => (on(gateway) ? rules : []),
  stored: (gateway: Gateway): string[] =>
    on(gateway) ? ['stick store-request var(txn.talk) table conversations if { var(txn.talk) -m found }'] : [],
}

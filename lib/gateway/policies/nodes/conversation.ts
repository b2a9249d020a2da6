import { nodesIn } from '../../nodes.ts'
import type { Gateway } from '../../policy.ts'
import { bodyText } from './body-text.ts'

/** By what agents call a session (clients.md; nodes.md §5): Codex old and new, opencode, Claude Code. The last that is there counts. */
const headers = ['session_id', 'session-id', 'x-session-id', 'x-claude-code-session-id']
/** The same in a body, Codex and Claude Code: the name by which it is found, and its path. To read a path HAProxy goes through the whole body, letter by letter, so the name is looked for first. */
const fields = [
  { name: 'prompt_cache_key', path: '$.prompt_cache_key' },
  { name: 'user_id', path: '$.metadata.user_id' },
]

/** A JSON object or list with all that is in it. */
const nested = String.raw`[[{](?:[^]"{}[]++|"(?:[^"\\]++|\\.)*+"|(?&whole))*+[]}]`
/** What begins a conversation: its first two messages, or its first. One pass, whatever the body holds: nothing that was gone through is tried another way. Of a body without messages nothing is kept. */
const beginning = String.raw`(?s)^(?>.*?"messages"\s*+:\s*+\[)\s*+(?<whole>${nested})(?:\s*+,\s*+((?&whole)))?+.*$|^.*$`
/** The same, of which only the end is kept: what a person said first is there, behind what an agent says to every model. */
const end = String.raw`(?s)^(?>.*?"messages"\s*+:\s*+\[)\s*+(?<whole>${nested})(?:\s*+,\s*+(?&whole))?+(?<=(.{8000})).*$|^.*$`
/** Marks what was kept. */
const mark = '='

const missing = '!{ var(req.talk) -m found }'

/** A text within double quotes in HAProxy's configuration. */
const quoted = (text: string): string => text.replace(/[\\"$]/g, '\\$&')

const opening = 'var(req.opening)'

/** What a pattern keeps of the body. */
const kept = (pattern: string, groups: string, condition: string): string =>
  `http-request set-var(req.opening) "${bodyText.is},regsub('${quoted(pattern)}','${quoted(mark + groups)}')" if ${condition}`

/** What HAProxy keeps of it is a digest: no session's name, and no words of anybody. Of messages, which may be long, only a hash is digested. */
const rules = [
  ...headers.map((name) => `http-request set-var(req.talk) req.fhdr(${name})`),
  ...bodyText.kept(`inference ${missing} !{ ${bodyText.is} -m found }`),
  ...fields.map(
    ({ name, path }) =>
      `http-request set-var(req.talk) ${bodyText.is},json_query('${path}') if { ${bodyText.is} -m reg '"${name}"' } ${missing}`,
  ),
  kept(beginning, '\\1\\2', missing),
  // Where it is more than HAProxy can hold beside the body (from 3.4 on 16 KB), not even the mark is there.
  kept(end, '\\2', `${missing} !{ ${opening} -m beg ${mark} }`),
  `http-request set-var(req.talk) ${opening},xxh64 if ${missing} { ${opening} -m beg ${mark} } { ${opening} -m len gt 1 }`,
  'http-request unset-var(req.opening)',
  'http-request set-var(txn.talk) var(req.talk),concat(|,txn.model),concat(|,txn.who),sha1,hex if inference',
  'http-request unset-var(req.talk)',
]

const on = (gateway: Gateway): boolean => gateway.settings.affinity === 'on' && nodesIn(gateway).length > 1

/** Which conversation a request goes on with, so that it finds its cache where it began. */
export const conversation = {
  of: (gateway: Gateway): string[] => (on(gateway) ? rules : []),
  stored: (gateway: Gateway): string[] =>
    on(gateway) ? ['stick store-request var(txn.talk) table conversations if { var(txn.talk) -m found }'] : [],
}

import { record } from '../../people/records.ts'
import { asksKeys, identifies } from '../../site/settings.ts'
import type { Gateway, Policy } from '../policy.ts'
import { listed } from '../proofs/limited.ts'
import { refuse } from '../refusal.ts'
import { waitForBody } from './buffers.ts'

/** The word model as a JSON key in any mix of case and escapes, as Go's decoder would take it. */
const anyModel = '"(?i:m|\\\\u00[46]d)(?i:o|\\\\u00[46]f)(?i:d|\\\\u00[46]4)(?i:e|\\\\u00[46]5)(?i:l|\\\\u00[46]c)"'
const pair = `(?!${anyModel})(?&s)\\s*+:\\s*+(?&v)\\s*+`
const value =
  '(?&s)|[-+.0-9a-zA-Z]++|\\{\\s*+(?:(?&s)\\s*+:\\s*+(?&v)\\s*+(?:,\\s*+(?&s)\\s*+:\\s*+(?&v)\\s*+)*+)?+\\}|\\[\\s*+(?:(?&v)\\s*+(?:,\\s*+(?&v)\\s*+)*+)?+\\]'

/** What a pattern calls `(?&s)` and `(?&v)`: a JSON string, and any value. */
export const jsonParts = `(?(DEFINE)(?<s>"(?:[^"\\\\]++|\\\\.)*+")(?<v>${value}))`

/**
 * One JSON object that names its model exactly once, plainly, at the top level, and nothing behind it: what HAProxy reads
 * is then what Ollama decodes. Possessive throughout, so its time is linear (model-pattern.md).
 */
export const bodyPattern = [
  '(?s)\\A\\s*+\\{\\s*+',
  `(?:${pair},\\s*+)*+`,
  '"model"\\s*+:\\s*+"[A-Za-z0-9._:/-]{1,200}+"\\s*+',
  `(?:,\\s*+${pair})*+`,
  '\\}\\s*+\\z',
  jsonParts,
].join('')

const kilobytes = (bytes: number): string => `${Math.round(bytes / 1024)} KB`

/** Without the rules below a list of models is worth nothing: its list may be younger than the running configuration. */
const unjudged = refuse({
  status: 503,
  message: 'the model list of %[var(txn.who)] is not in force yet; the owner runs rop apply.',
  when: [`known { ${record.models} -m str list }`],
  headers: { 'retry-after': '60' },
})

const told = (settings: Gateway['settings']): boolean => asksKeys(settings) || identifies(settings)

/** Whether somebody who is told apart has a list of models. */
export const judges = ({ settings, listed }: Gateway): boolean => listed === true && told(settings)

/** Keys and people with a list of models: nothing that names another one gets past, and nothing that HAProxy cannot judge whole. */
export function models(gateway: Gateway): Policy {
  const { judged_body: limit } = gateway.settings
  if (!told(gateway.settings)) return { name: 'models', lines: {} }
  if (!judges(gateway)) return { name: 'models', lines: { limit: [unjudged] } }
  return {
    name: 'models',
    lines: {
      limit: [
        `http-request set-var(txn.list) ${record.models} if known`,
        'acl listed var(txn.list) -m str list',
        'acl bodied method POST',
      ],
      inspect: [
        refuse({
          status: 411,
          message: 'under a model list a request must send Content-Length.',
          when: ['listed bodied !{ req.fhdr(content-length) -m found }'],
        }),
        refuse({
          status: 413,
          message: `under a model list a request may send ${kilobytes(limit)} at most (judged_body in settings.yaml).`,
          when: [`listed bodied { req.body_size gt ${limit} }`],
        }),
        ...waitForBody('', 'listed bodied'),
        'http-request set-var(txn.held) req.body_len if listed bodied',
        'http-request set-var(txn.missing) req.body_size,sub(txn.held) if listed bodied',
        refuse({
          status: 413,
          message: `under a model list a request may send ${kilobytes(limit)} at most (judged_body in settings.yaml).`,
          when: ['{ var(txn.missing) -m int gt 0 }'],
        }),
        refuse({
          status: 403,
          message:
            'a model list holds for %[var(txn.who)], so the body must be one JSON object that names its model once, in plain letters.',
          when: ['listed bodied !{ req.body -m reg -f {{files}}/body.re }'],
        }),
        "http-request set-var(txn.model) req.body,json_query('$.model'),lower if listed bodied",
        // json_query looks 20 levels deep at most (seen with 2.6.12).
        refuse({
          status: 403,
          message: 'the body nests too deep before its model; let the model come first.',
          when: ['listed bodied !{ var(txn.model) -m found }'],
        }),
        'http-request set-var(txn.model) path,bytes(11),url_dec,lower if listed { path_beg /v1/models/ }',
        'http-request set-var-fmt(txn.pick) "%[var(txn.who)]|%[var(txn.model)]" if listed { var(txn.model) -m found }',
        'http-request set-var(txn.picked) var(txn.pick),map_str({{keys}}/models.map) if { var(txn.pick) -m found }',
        refuse({
          status: 403,
          message: '%[var(txn.who)] may not use the model %[var(txn.model),json(utf8s)].',
          when: [
            'listed bodied !{ var(txn.picked) -m found }',
            'listed { path_beg /v1/models/ } !{ var(txn.picked) -m found }',
          ],
        }),
      ],
    },
    files: { 'body.re': `${bodyPattern}\n` },
    proof: listed,
  }
}

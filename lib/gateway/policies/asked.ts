import type { Policy } from '../policy.ts'
import { waitForBody } from './buffers.ts'

/** How much of a large body is waited for to find its model; smaller ones are here whole (bodies.ts). */
const enough = 65_536

/** The letters of a model's name as HAProxy, its maps and its commands take them. */
export const plainModel = '^[a-z0-9._:/-]{1,200}$'

/**
 * Which model a request asks, as far as it can be seen: for the log, the table of streams and the choice of a slot. Only plain
 * letters, since it stands in answers of HAProxy's sockets. Nothing is refused by it; that is models.ts's.
 */
export const asked = (): Policy => ({
  name: 'asked',
  lines: {
    inspect: [
      ...waitForBody(`at-least ${enough} `, 'inference'),
      "http-request set-var(txn.model) req.body,json_query('$.model'),lower if inference !{ var(txn.model) -m found }",
      `http-request unset-var(txn.model) if !{ var(txn.model) -m reg ${plainModel} }`,
    ],
  },
})

import { z } from 'zod'
import { json } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { places } from '../platform/here.ts'

const schema = z.record(z.string(), z.object({ what: z.string(), at: z.number() }))

/** What went wrong last with a node, and when (ms since 1970). */
export type NodeError = z.infer<typeof schema>[string]

const fileOf = (look: Look): string => `${places(look).state}/node-errors.json`

/** The last error of each node that had one, by name; the observer notes them. */
export async function readErrors(look: Look): Promise<Record<string, NodeError>> {
  const { data } = schema.safeParse(json((await look.read(fileOf(look))) ?? ''))
  return data ?? {}
}

/** Keeps them for `rop nodes`. */
export const writeErrors = (host: Host, errors: Record<string, NodeError>): Promise<void> =>
  host.write(fileOf(host), `${JSON.stringify(errors)}\n`, 0o600, { flush: false })

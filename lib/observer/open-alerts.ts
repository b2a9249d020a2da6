import { z } from 'zod'
import { json } from '../host/command.ts'
import type { Look } from '../host/host.ts'
import { places } from '../platform/here.ts'
import { ageOf, readSign, staleAfter } from './sign.ts'

const alert = z.object({
  /** the id of the check that sees it */
  id: z.string(),
  /** ms since 1970 */
  since: z.number(),
  /** what is wrong, a sentence */
  text: z.string(),
  /** what helps */
  next: z.string(),
  /** what is true again when it is over */
  title: z.string(),
})

/** Something that is wrong now and was told. */
export type Alert = z.infer<typeof alert>

/** Where the observer keeps those that are open, the gravest first. */
export const alertsFile = (look: Look): string => `${places(look).state}/alerts.json`

/** Those that were open when the observer last looked; none where the file is missing or of an older install. */
export async function heldAlerts(look: Look): Promise<Alert[]> {
  const found = z.array(alert).safeParse(json((await look.read(alertsFile(look))) ?? '[]'))
  return found.success ? found.data : []
}

/** Those that are open now: what an observer wrote that lives no longer is old. */
export async function openAlerts(look: Look): Promise<Alert[]> {
  const held = await heldAlerts(look)
  if (held.length === 0) return []
  const sign = await readSign(look)
  return sign && ageOf(sign) < staleAfter ? held : []
}

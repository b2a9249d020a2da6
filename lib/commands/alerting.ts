import { realLook } from '../host/host.ts'
import { typed } from '../host/typed.ts'
import { type Alert, openAlerts } from '../observer/open-alerts.ts'
import type { Flags } from './arguments.ts'
import { complain } from './screens/wrap.ts'

/** An open alert in one line, before whatever a command says; programs that read JSON see none. */
export async function beginWithAlert(flags: Flags): Promise<void> {
  if (flags.json || flags.tap) return
  const open = await openAlerts(realLook()).catch(() => [])
  const line = lineOf(open)
  if (line) complain(line)
}

/** The gravest one with its time, and how many more there are. */
export function lineOf([first, ...more]: Alert[], now = new Date()): string | undefined {
  if (!first) return undefined
  const since = new Date(first.since)
  const [day, time] = [since.toLocaleDateString('sv'), since.toLocaleTimeString('sv').slice(0, 5)]
  const when = day === now.toLocaleDateString('sv') ? time : `${day} ${time}`
  return `! Since ${when}: ${first.text} ${first.next}${more.length > 0 ? ` (${more.length} more: ${typed('doctor')})` : ''}`
}

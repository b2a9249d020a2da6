import type { Host } from '../host/host.ts'
import { tryNotification } from '../observer/tried.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'

/** Sends one at the first install, before the proof, and gives what is to be said of it; over ssh nobody would see it. */
export async function firstNotification(host: Host, machine: Machine, { mode, settings }: Setup): Promise<string> {
  const wanted = mode === 'proxy' && settings.observer === 'on' && settings.alerts.notification && !machine.ssh
  if (!wanted || !(await tryNotification(host))) return ''
  return 'No notification seen just now? Set alerts.webhook, or allow them (docs/see.md).'
}

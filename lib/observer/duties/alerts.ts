import { z } from 'zod'
import type { Host } from '../../host/host.ts'
import { places, platformOf } from '../../platform/here.ts'
import type { Settings } from '../../site/settings.ts'
import { observe, type Result } from '../../steps/step.ts'
import { alarms } from '../anomalies.ts'
import type { Duty } from '../duty.ts'

const file = (host: Host): string => `${places(host).state}/alerts.json`
const known = z.array(z.string())

/** Tells each anomaly once, when it begins; what is on is remembered over a restart. Nothing when nobody wants to be told. */
export function alerts(settings: () => Settings): Duty {
  return {
    name: 'alerts',
    everyMs: 30_000,
    async run(host) {
      const wanted = settings()
      if (!wanted.alerts.notification && wanted.alerts.webhook === undefined) return
      const results = await Promise.all(alarms(wanted).map((check) => observe(check, host)))
      const on = results.filter(({ state }) => state === 'advice' || state === 'missed')
      const before = await told(host)
      const now = on.map(({ id }) => id)
      // Remembered first: an event that cannot be told is not told again and again.
      if (now.join() !== before.join()) await host.write(file(host), `${JSON.stringify(now)}\n`)
      const begun = on.filter(({ id }) => !before.includes(id))
      const ended = await Promise.allSettled(begun.flatMap((result) => tell(host, wanted, result)))
      for (const one of ended) if (one.status === 'rejected') throw one.reason
    },
  }
}

async function told(host: Host): Promise<string[]> {
  const text = await host.read(file(host))
  try {
    return known.parse(JSON.parse(text ?? '[]'))
  } catch {
    return []
  }
}

/** Each way by itself: one that fails takes no other with it. */
function tell(host: Host, { alerts: wanted }: Settings, { id, title, saw, remedy }: Result): Promise<unknown>[] {
  const text = `Not so: ${title} (${saw}). ${remedy ?? ''}`
  return [
    ...(wanted.notification ? [platformOf(host).facts.notify(host, 'remote-ollama-proxy', text)] : []),
    ...(wanted.webhook !== undefined ? [hooked(host, wanted.webhook, { event: id, text })] : []),
  ]
}

async function hooked(host: Host, address: string, event: object): Promise<void> {
  await host.post(address, event, undefined, 10_000).catch(() => {
    throw new Error(`alerts.webhook: nobody takes them at ${address}`)
  })
}

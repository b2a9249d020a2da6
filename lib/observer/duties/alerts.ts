import type { Host } from '../../host/host.ts'
import { platformOf } from '../../platform/here.ts'
import type { Settings } from '../../site/settings.ts'
import { observe, type Result } from '../../steps/step.ts'
import { type Alarm, alarms } from '../anomalies.ts'
import type { Duty } from '../duty.ts'
import { type Alert, alertsFile, heldAlerts } from '../open-alerts.ts'

type Seen = [alarm: Alarm, result: Result]

const isOn = ([, { state }]: Seen): boolean => state === 'advice' || state === 'missed'

/**
 * Keeps what is wrong as open alerts, where every command reads them, and tells each once when it begins and once when it is
 * over. What is seen for the first time may be a restart, so it counts when it is seen again. What cannot be looked at stays as it was.
 */
export function alerts(settings: () => Settings): Duty {
  let doubted = new Set<string>()
  return {
    name: 'alerts',
    everyMs: 15_000,
    async run(host) {
      const wanted = settings()
      const seen = await Promise.all(
        (await alarms(host, wanted)).map(async (alarm): Promise<Seen> => [alarm, await observe(alarm, host)]),
      )
      const before = await heldAlerts(host)
      const held = (id: string) => before.find((alert) => alert.id === id)
      const open = seen.flatMap(([alarm, result]): Alert[] => {
        const known = held(result.id)
        if (result.state === 'skipped' && known) return [known]
        if (!isOn([alarm, result]) || !(known || doubted.has(result.id))) return []
        return [known ?? opened(alarm, result)]
      })
      doubted = new Set(seen.filter(isOn).map(([, { id }]) => id))
      await report(host, wanted, before, open)
    },
  }
}

const opened = ({ alarm }: Alarm, { id, title, saw, remedy = '' }: Result): Alert => ({
  ...{ id, title, since: Date.now(), next: remedy },
  text: `${alarm} (${saw}).`,
})

async function report(host: Host, wanted: Settings, before: Alert[], open: Alert[]): Promise<void> {
  const without = (all: Alert[], others: Alert[]) => all.filter(({ id }) => !others.some((other) => other.id === id))
  const [begun, over] = [without(open, before), without(before, open)]
  if (begun.length + over.length === 0) return
  // Remembered first: an event that cannot be told is not told again and again.
  await host.write(alertsFile(host), `${JSON.stringify(open)}\n`)
  const ended = await Promise.allSettled([
    ...begun.flatMap(({ id, text, next }) => tell(host, wanted, { event: id, state: 'open', text: `${text} ${next}` })),
    ...over.flatMap(({ id, title }) =>
      tell(host, wanted, { event: id, state: 'over', text: `All right again: ${title}.` }),
    ),
  ])
  for (const one of ended) if (one.status === 'rejected') throw one.reason
}

/** What somebody is told. */
interface Event {
  event: string
  state: 'open' | 'over'
  text: string
}

/** Each way by itself: one that fails takes no other with it. */
function tell(host: Host, { alerts: wanted }: Settings, event: Event): Promise<unknown>[] {
  const { notify } = platformOf(host).facts
  return [
    ...(wanted.notification && notify ? [notify(host, 'remote-ollama-proxy', event.text)] : []),
    ...(wanted.webhook !== undefined ? [hooked(host, wanted.webhook, event)] : []),
  ]
}

async function hooked(host: Host, address: string, event: Event): Promise<void> {
  await host.post(address, event, undefined, 10_000).catch(() => {
    throw new Error(`alerts.webhook: nobody takes them at ${address}`)
  })
}

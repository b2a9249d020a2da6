import { backendOf, serviceKeysMap } from '../gateway/services.ts'
import { mapText } from '../haproxy/map-text.ts'
import { rowOf, setRunningMaps } from '../haproxy/runtime.ts'
import type { Host, Look } from '../host/host.ts'
import { typed } from '../host/typed.ts'
import { keyFault, pathOf } from '../nodes/keys.ts'
import { places } from '../platform/here.ts'
import type { Settings } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { advice, again, type Check, missed, ok, type Step } from '../steps/step.ts'

type Wanted = Pick<Settings, 'services'>

const named = ({ services }: Wanted) => Object.entries(services).map(([name, one]) => ({ ...one, name }))
const fileOf = (look: Look): string => `${places(look).keyMaps}/${serviceKeysMap}`

async function keysOf(look: Look, settings: Wanted): Promise<Map<string, string>> {
  const pairs = await Promise.all(
    named(settings).map(async ({ name, key }): Promise<[string, string][]> => {
      if (key === undefined || (await keyFault(look, { name, key }, 'service'))) return []
      return [[name, ((await look.read(pathOf(look, key))) ?? '').trim()]]
    }),
  )
  return new Map(pairs.flat())
}

/** Tells the gateway with which key each service is asked: the file first, then every worker. Throws `Stop` (exit 5) where the gateway does not confirm it. */
export async function renewServiceKeys(host: Host, settings: Wanted): Promise<void> {
  if (named(settings).length === 0) return
  const keys = await keysOf(host, settings)
  await host.write(fileOf(host), mapText(keys), 0o600, { flush: false })
  await setRunningMaps(host, [[`keys/${serviceKeysMap}`, keys]])
}

/** What settings name for services, found before anything is changed. */
const keysReadable = (settings: Wanted): Check => ({
  id: 'services.keys',
  title: 'The keys of the services can be read, by nobody else',
  exit: 3,
  async check(look) {
    for (const service of named(settings)) {
      const fault = await keyFault(look, service, 'service')
      if (fault) return missed(fault, `Put it there, or change services in settings.yaml; then ${typed('apply')}.`)
    }
    return ok('those that are named are there')
  },
})

/** What services need before a configuration that names them. */
export function serviceSteps({ settings }: Pick<Setup, 'settings'>): (Check | Step)[] {
  if (named(settings).length === 0) return []
  return [
    keysReadable(settings),
    {
      id: 'haproxy.services',
      ahead: true,
      title: 'The gateway knows the keys of its services',
      check: async (look) =>
        (await look.read(fileOf(look))) === mapText(await keysOf(look, settings))
          ? ok(`${named(settings).length} services`)
          : missed('the gateway was not told of its services yet, or a key has changed', again),
      apply: (host) => renewServiceKeys(host, settings),
    },
  ]
}

/** A service that is down is no miss: the engines answer, and it comes back by itself. */
export const serviceChecks = ({ settings }: Pick<Setup, 'settings'>): Check[] =>
  named(settings).length === 0
    ? []
    : [
        {
          id: 'services.up',
          title: 'Every service answers the gateway',
          needs: ['haproxy.service'],
          async check(look) {
            const stat = (await look.ask(places(look).adminSocket, 'show stat')) ?? ''
            const up = (name: string) => rowOf(stat, backendOf({ id: name }), name)?.status?.startsWith('UP')
            const down = named(settings).filter(({ name }) => !up(name))
            const [first] = down
            if (!first)
              return ok(
                named(settings)
                  .map(({ name }) => name)
                  .join(', '),
              )
            return advice(
              down.map(({ name, backend }) => `${name} does not answer at ${backend}`).join('; '),
              `Start it, or change services in settings.yaml and run ${typed('apply')}; its people are told to try again.`,
            )
          },
        },
      ]

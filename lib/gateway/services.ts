import type { ApiKind } from '../site/service-kinds.ts'
import type { Service } from '../site/services.ts'
import { certificateUse } from './listeners.ts'
import type { Gateway, Listener } from './policy.ts'

/** What services listen on beyond the listeners themselves: further ports of their addresses, https on all of them. */
export interface Door extends Listener {
  /** services that are reached there */
  services: Service[]
}

const https = (listener: Listener, port: number): Listener => ({ ...listener, port, tls: true })

/** The listeners that a service names; of the tailnet's two that by https, where there is one on its port. */
function listenersFor({ listeners }: Gateway, service: Service): Listener[] {
  return service.listeners.flatMap((name) => {
    const secured = name === 'tailnet' ? listeners.find((one) => one.name === 'tailnet-tls') : undefined
    const own = secured && (service.port ?? secured.port) === secured.port ? secured : undefined
    return own ?? listeners.find((one) => one.name === name) ?? []
  })
}

/** Whether a service is reached on the listener's own port, beside the gateway itself. */
const shares = (listener: Listener, { port }: Service): boolean =>
  listener.tls === true && (port ?? listener.port) === listener.port

/** Services by the listener on whose own port they are. */
export const shared = (gateway: Gateway): [Listener, Service][] =>
  (gateway.services ?? []).flatMap((service) =>
    listenersFor(gateway, service)
      .filter((listener) => shares(listener, service))
      .map((listener): [Listener, Service] => [listener, service]),
  )

/** Every further port with who may come there. */
export function doorsOf(gateway: Gateway): Door[] {
  const doors = new Map<string, Door>()
  for (const service of gateway.services ?? [])
    for (const listener of listenersFor(gateway, service)) {
      if (shares(listener, service)) continue
      const port = service.port ?? listener.port
      const key = `${listener.name}:${port}`
      const door = doors.get(key) ?? { ...https(listener, port), services: [] }
      door.services.push(service)
      doors.set(key, door)
    }
  return [...doors.values()]
}

/** Every place where a service is reached, in the order of its listeners. */
export const placesOf = (gateway: Gateway, service: Service): Listener[] =>
  listenersFor(gateway, service).map((listener) =>
    shares(listener, service) ? listener : https(listener, service.port ?? listener.port),
  )

/** The name under `tls` that a service is reached by: its own, or the wildcard that covers it. */
export const certifiedName = ({ settings }: Pick<Gateway, 'settings'>, { name }: Pick<Service, 'name'>): string =>
  Object.hasOwn(settings.tls, name) ? name : name.replace(/^[^.]+/, '*')

/** The first place where a service is reached without a client certificate; undefined where there is none. */
export const openPlaceOf = (gateway: Gateway, service: Service): Listener | undefined =>
  placesOf(gateway, service).find((one) => certificateUse(one, certifiedName(gateway, service)) !== 'required')

/** All that is listened on. */
export const everyListener = (gateway: Gateway): Listener[] => [...gateway.listeners, ...doorsOf(gateway)]

/** The name of a service's backend. */
export const backendOf = ({ id }: Pick<Service, 'id'>): string => `service-${id}`

/** `method:path` as a regular expression; a variable part is one segment that does not begin with a dot. */
export const rowPattern = (row: string): string => {
  const [method, path = ''] = row.split(' ')
  const exact = path.replaceAll('.', '\\.').replaceAll('{name}', '[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}')
  return `^${method}:${exact}$`
}

/** Every row of a kind with the group that a key must have, and whether a model works on it. */
export const rowsOf = (kind: ApiKind) =>
  Object.entries(kind.rows).flatMap(([group, { inference, metadata }]) => [
    ...inference.map((row) => ({ row, group: group as keyof typeof kind.rows, backend: 'inference' })),
    ...metadata.map((row) => ({ row, group: group as keyof typeof kind.rows, backend: 'metadata' })),
  ])

/** What reaches a service as its key, in the folder of the maps that outlive a configuration. */
export const serviceKeysMap = 'services-keys.map'

/** Connections that each port of services takes, beside the 2000 of the gateway itself. */
export const doorConnections = 1000

import type { Look, RawAnswer } from '../../host/host.ts'
import type { Service } from '../../site/services.ts'
import type { Listener } from '../policy.ts'

/** A service where it is reached. */
export interface Place {
  service: Service
  listener: Listener
}

/** What it is asked there, and what with. */
export interface Asked extends Place {
  method?: string
  path: string
  headers?: Record<string, string>
}

/** Asks a service by its name, from this machine. */
export const askService = (
  look: Look,
  { service, listener, method = 'GET', path, headers }: Asked,
): Promise<RawAnswer> =>
  look.probe({
    ...{ address: listener.addresses[0] ?? '', port: listener.port, method, target: path, tlsName: service.name },
    headers: { host: `${service.name}:${listener.port}`, ...headers },
    body: ['POST', 'PUT', 'PATCH'].includes(method) ? '{}' : undefined,
  })

/** What came, in short. */
export const seen = ({ status, error, end, body }: RawAnswer): string =>
  `${status || (error ?? `no answer (${end})`)} ${body.slice(0, 100)}`.trim()

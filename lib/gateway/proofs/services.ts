import type { Look, RawAnswer } from '../../host/host.ts'
import { typed } from '../../host/typed.ts'
import type { ApiKind, PageKind } from '../../site/service-kinds.ts'
import type { Service } from '../../site/services.ts'
import { type Check, type Finding, missed, ok, unexplained } from '../../steps/step.ts'
import type { Gateway, Listener } from '../policy.ts'
import { placesOf } from '../services.ts'
import { bearer, type Target } from './target.ts'

/** Where a service is asked, and what with. */
export interface Asked {
  service: Service
  listener: Listener
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

const seen = ({ status, error, end, body }: RawAnswer): string =>
  `${status || (error ?? `no answer (${end})`)} ${body.slice(0, 100)}`.trim()

/** Whether a status is the one, or between the two, that a recipe names. */
const isWithin = (status: number, wanted: number | string): boolean => {
  const [from = 0, to = from] = `${wanted}`.split('-').map(Number)
  return status >= from && status <= to
}

/** What test.ts asks of each service, where it is reached first; who may come there is proven with the listeners. */
export const serviceProofs = (target: Target, gateway: Gateway): Check[] =>
  (gateway.services ?? []).flatMap((service) => {
    const [listener] = placesOf(gateway, service)
    if (!listener || listener.certificates === 'required') return []
    const check = (id: string, title: string, ask: Check['check']): Check => ({
      id: `services.${service.id}-${id}`,
      title: `${service.id}: ${title}`,
      needs: ['haproxy.service'],
      check: ask,
    })
    const { kind } = service
    const asked = { service, listener }
    return [
      ...(kind.is === 'page' ? ofPage(asked, kind, check) : ofApi(asked, kind, target, check)),
      check('host', 'another Host than that of the handshake is refused', (look) =>
        status(look, { ...asked, path: '/', headers: { host: target.host } }, [421]),
      ),
    ]
  })

type Make = (id: string, title: string, ask: Check['check']) => Check

async function status(look: Look, asked: Asked, wanted: number[]): Promise<Finding> {
  const answer = await askService(look, asked)
  return wanted.includes(answer.status) ? ok(`${answer.status}`) : missed(seen(answer), unexplained)
}

/** Whoever finds it silent is told where it should be. */
function silent({ backend, kind }: Service, answer: RawAnswer): Finding {
  return missed(
    seen(answer),
    `Start ${kind.what} at ${backend}, or change services in settings.yaml and run ${typed('apply')}.`,
  )
}

const ofPage = (asked: Omit<Asked, 'path'>, kind: PageKind, check: Make): Check[] => [
  check('answers', 'the page comes', async (look) => {
    const answer = await askService(look, { ...asked, path: kind.proof.path })
    return isWithin(answer.status, kind.proof.status) ? ok(`${answer.status}`) : silent(asked.service, answer)
  }),
  check('origin', 'a WebSocket from a page of another origin is refused', (look) =>
    status(
      look,
      { ...asked, path: kind.websockets[0] ?? '/', headers: { ...upgrade, origin: 'https://somewhere.example' } },
      [kind.websockets.length > 0 ? 403 : 426],
    ),
  ),
  ...(kind.proof.socket === undefined
    ? []
    : [check('socket', 'a WebSocket opens', (look) => opened(look, asked, kind.proof.socket ?? '/'))]),
]

const upgrade = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
}

async function opened(look: Look, { service, listener }: Omit<Asked, 'path'>, path: string): Promise<Finding> {
  const host = `${service.name}${listener.port === 443 ? '' : `:${listener.port}`}`
  const headers = Object.entries({ host, origin: `https://${host}`, ...upgrade }).map(
    ([name, one]) => `${name}: ${one}`,
  )
  const { come } = await look.raw({
    address: listener.addresses[0] ?? '',
    port: listener.port,
    bytes: Buffer.from(`GET ${path} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`),
    enough: (bytes) => bytes.includes('\r\n\r\n'),
    tlsName: service.name,
  })
  const [line = ''] = come.toString('latin1').split('\r\n')
  return / 101 /.test(line) ? ok('101') : missed(line || 'no answer', unexplained)
}

const asks = ({ access }: Listener): boolean => access === 'keys' || access === 'either'

const ofApi = (asked: Omit<Asked, 'path'>, kind: ApiKind, target: Target, check: Make): Check[] => {
  const [method = 'GET', path = '/'] = kind.proof.split(' ')
  return [
    check('answers', 'a row is answered', async (look) => {
      const answer = await askService(look, { ...asked, method, path, headers: bearer(target) })
      if (answer.body.includes('a web page came instead'))
        return missed(
          `a web page answers at ${asked.service.backend}`,
          `Give the service kind: page, or the backend where ${kind.what} listens, and run ${typed('apply')}.`,
        )
      return answer.status === 200 ? ok('200') : silent(asked.service, answer)
    }),
    ...(asks(asked.listener)
      ? [
          check('key', 'nobody gets in without a key', (look) =>
            status(look, { ...asked, method, path, headers: { accept: 'application/json' } }, [401, 403]),
          ),
        ]
      : []),
    ...kind.closed.slice(0, 3).map((row) => closedRow(asked, row, target, check)),
  ]
}

const slug = (row: string): string =>
  row
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')

const closedRow = (asked: Omit<Asked, 'path'>, row: string, target: Target, check: Make): Check => {
  const [method = 'GET', path = '/'] = row.split(' ')
  return check(`closed-${slug(row)}`, `${row} is closed, with a key, too`, async (look) => {
    const answer = await askService(look, { ...asked, method, path, headers: bearer(target) })
    const own = answer.body.includes('Gateway: ') || answer.body === ''
    return [400, 403, 404].includes(answer.status) && own ? ok(`${answer.status}`) : missed(seen(answer), unexplained)
  })
}

/** Every row of the recipes that must not get through, for `test --hostile`. */
export const hostileToServices = (target: Target, gateway: Gateway): Check[] =>
  (gateway.services ?? []).flatMap((service) => {
    const [listener] = placesOf(gateway, service)
    const { kind } = service
    if (!listener || listener.certificates === 'required' || kind.is !== 'api') return []
    return kind.closed.map((row) =>
      closedRow({ service, listener }, row, target, (id, title, ask) => ({
        id: `hostile.services.${service.id}.${id}`,
        title: `Hostile request to ${service.id}: ${title}`,
        needs: ['haproxy.service'],
        check: ask,
      })),
    )
  })

import type { Look, RawAnswer } from '../../host/host.ts'
import { typed } from '../../host/typed.ts'
import type { ApiKind, PageKind } from '../../site/service-kinds.ts'
import type { Service } from '../../site/services.ts'
import { type Check, type Finding, missed, ok, unexplained } from '../../steps/step.ts'
import type { Gateway, Listener } from '../policy.ts'
import { openPlaceOf, placesOf } from '../services.ts'
import { askedHere } from './pair.ts'
import { type Asked, askService, type Place, seen } from './service-asked.ts'
import { bearer, type Target } from './target.ts'
import { arrives, comesBack, foreignRefused, opens } from './visitors.ts'

/** Whether a status is the one, or between the two, that a recipe names. */
const isWithin = (status: number, wanted: number | string): boolean => {
  const [from = 0, to = from] = `${wanted}`.split('-').map(Number)
  return status >= from && status <= to
}

/** What test.ts asks of each service, where it is first reached without a client certificate; who may come there is proven with the listeners. */
export function serviceProofs(target: Target, gateway: Gateway): Check[] {
  const { services = [] } = gateway
  const places = services.flatMap((service) => placesOf(gateway, service).map((listener) => ({ service, listener })))
  return services.flatMap((service) => {
    const place = openPlaceOf(gateway, service)
    return place ? askedHere(gateway, place, (listener) => proofsAt({ service, listener }, target, places)) : []
  })
}

function proofsAt(asked: Place, target: Target, places: Place[]): Check[] {
  const { kind, id: service } = asked.service
  const check: Make = (id, title, ask, after = []) => ({
    id: `services.${service}-${id}`,
    title: `${service}: ${title}`,
    needs: ['haproxy.service', ...after.map((one) => `services.${service}-${one}`)],
    check: ask,
  })
  return [
    ...(kind.is === 'page' ? ofPage(asked, kind, check, places) : ofApi(asked, kind, target, check)),
    check('host', 'another Host than that of the handshake is refused', (look) =>
      status(look, { ...asked, path: '/', headers: { host: target.host } }, [421]),
    ),
  ]
}

/** `after` are checks of the same service on which this one rests. */
type Make = (id: string, title: string, ask: Check['check'], after?: string[]) => Check

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

const ofPage = (asked: Place, kind: PageKind, check: Make, places: Place[]): Check[] => [
  check('answers', 'the page comes', async (look) => {
    const answer = await askService(look, { ...asked, path: kind.proof.path })
    return isWithin(answer.status, kind.proof.status) ? ok(`${answer.status}`) : silent(asked.service, answer)
  }),
  check('arrives', 'whoever opens it arrives', (look) => arrives(look, asked), ['answers']),
  check('origin', 'a WebSocket from a page of another origin is refused', (look) => foreignRefused(look, asked, kind)),
  ...(kind.proof.socket === undefined
    ? []
    : [check('socket', 'a WebSocket opens', (look) => opens(look, asked, kind.proof.socket ?? '/'), ['answers'])]),
  ...(kind.callback === undefined
    ? []
    : [
        check('sign-in', 'a login by a provider comes back to it', (look) => comesBack(look, asked, kind, places), [
          'answers',
        ]),
      ]),
]

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
    const listener = openPlaceOf(gateway, service)
    const { kind } = service
    if (!listener || kind.is !== 'api') return []
    return kind.closed.map((row) =>
      closedRow({ service, listener }, row, target, (id, title, ask) => ({
        id: `hostile.services.${service.id}.${id}`,
        title: `Hostile request to ${service.id}: ${title}`,
        needs: ['haproxy.service'],
        check: ask,
      })),
    )
  })

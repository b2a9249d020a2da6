import type { Look, RawAnswer } from '../../host/host.ts'
import type { PageKind } from '../../site/service-kinds.ts'
import { advice, type Finding, missed, ok, unexplained } from '../../steps/step.ts'
import { type Asked, askService, type Place, seen } from './service-asked.ts'

/** A page is asked as a browser does. */
const browser = { accept: 'text/html' }
/** Hops after which a browser gives up is 20; a page needs two or three. */
const most = 8

const originOf = ({ service, listener }: Place): string =>
  `https://${service.name}${listener.port === 443 ? '' : `:${listener.port}`}`

/** Where an answer leads, from where it was asked; undefined when nowhere. */
function leadsTo({ status, headers }: RawAnswer, from: string): URL | undefined {
  const { location } = headers
  return status >= 300 && status < 400 && location && URL.canParse(location, from) ? new URL(location, from) : undefined
}

/** Whether whoever opens the page arrives somewhere: one that takes its https for http, or another name for its own, sends its reader in circles. */
export async function arrives(look: Look, place: Place): Promise<Finding> {
  const origin = originOf(place)
  const been: string[] = []
  let at = new URL('/', origin)
  for (let hop = 0; hop < most; hop += 1) {
    been.push(at.href)
    const answer = await askService(look, { ...place, path: `${at.pathname}${at.search}`, headers: browser })
    const next = leadsTo(answer, at.href)
    if (next === undefined) return ok(`${at.pathname} gives ${answer.status || 'no answer'}`)
    const insecure = next.protocol === 'http:' && next.hostname === place.service.name
    if (insecure || been.includes(next.href)) return nowhere(place, at, next)
    if (next.origin !== origin) return ok(`it leads to ${next.host}`)
    at = next
  }
  return nowhere(place, new URL('/', origin), at)
}

const nowhere = (place: Place, from: URL, to: URL): Finding =>
  missed(
    `${from.href} leads to ${to.href}, so a browser arrives nowhere`,
    `Tell ${place.service.kind.what} that its own address is ${originOf(place)}, and restart it.`,
  )

type Asking = Omit<Asked, 'path'>

/** Asks the provider what a browser would ask it; one that is behind this gateway is asked here, since its name may lead past this machine. */
function askProvider(look: Look, url: URL, places: Place[]): Promise<RawAnswer> {
  const path = `${url.pathname}${url.search}`
  const here = places.find((place) => originOf(place) === url.origin)
  if (here) return askService(look, { ...here, path, headers: browser })
  const secure = url.protocol === 'https:'
  return look.probe({
    ...{ address: url.hostname, port: Number(url.port) || (secure ? 443 : 80), method: 'GET', target: path },
    ...{ headers: { host: url.host, ...browser }, ...(secure ? { tlsName: url.hostname } : {}) },
  })
}

const isDown = ({ status }: RawAnswer): boolean => status >= 500 || status === 0

/** Whether the provider takes the request for a login to which the page leads. */
async function taken(look: Look, url: URL, { service }: Place, places: Place[]): Promise<Finding> {
  const answer = await askProvider(look, url, places)
  if (isDown(answer))
    return advice(
      `nobody can sign in now: ${url.host} gives ${answer.status || seen(answer)}`,
      `Start the provider of the logins, or see why this machine does not reach it; who is signed in, keys and APIs go on without it.`,
    )
  return answer.status === 400
    ? missed(
        `${url.host} refuses the login: 400`,
        `Allow the redirect URI ${url.searchParams.get('redirect_uri')} at the provider, for the client id that ${service.kind.what} has.`,
      )
    : ok(`by ${url.host}`)
}

/** Whether a login by a provider comes back to this page. `places` are those of all services here. */
export async function comesBack(
  look: Look,
  asked: Asking,
  { login, callback = '' }: PageKind,
  places: Place[],
): Promise<Finding> {
  const answer = await askService(look, { ...asked, path: login, headers: browser })
  const right = `${originOf(asked)}${callback}`
  if (isDown(answer))
    return advice(
      `nobody can sign in now: ${login} gives ${seen(answer)}`,
      'Look whether the provider of the logins answers the page; keys and APIs go on without it.',
    )
  const provider = leadsTo(answer, right)
  const uri = provider?.searchParams.get('redirect_uri')
  if (!provider || !uri) return ok(`no provider is set up there (${login} gives ${answer.status})`)
  if (uri === right) return taken(look, provider, asked, places)
  return missed(
    `${provider.host} would send who has signed in to ${uri}`,
    `Set the redirect URI to ${right}, in ${asked.service.kind.what} and at the provider.`,
  )
}

const upgrade = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
}

/** Whether a WebSocket from a page of another origin is refused, before the service is asked. */
export async function foreignRefused(look: Look, asked: Asking, { websockets }: PageKind): Promise<Finding> {
  const headers = { ...upgrade, origin: 'https://somewhere.example' }
  const answer = await askService(look, { ...asked, path: websockets[0] ?? '/', headers })
  const wanted = websockets.length > 0 ? 403 : 426
  return answer.status === wanted ? ok(`${wanted}`) : missed(seen(answer), unexplained)
}

/** Whether a WebSocket from the page itself opens. */
export async function opens(look: Look, place: Place, path: string): Promise<Finding> {
  const origin = originOf(place)
  const headers = { host: new URL(origin).host, origin, ...upgrade }
  const lines = Object.entries(headers).map(([name, one]) => `${name}: ${one}\r\n`)
  const { come } = await look.raw({
    address: place.listener.addresses[0] ?? '',
    port: place.listener.port,
    bytes: Buffer.from(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`),
    enough: (bytes) => bytes.includes('\r\n\r\n'),
    tlsName: place.service.name,
  })
  const [line = ''] = come.toString('latin1').split('\r\n')
  return / 101 /.test(line)
    ? ok('101')
    : missed(line || 'no answer', `Have ${place.service.kind.what} take WebSockets from ${origin}.`)
}

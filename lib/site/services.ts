import { isIP } from 'node:net'
import { z } from 'zod'
import { didYouMean } from './nearest.ts'
import { namesOfNode } from './nodes.ts'
import { type Kind, type Kinds, type ServiceListener, serviceListeners } from './service-kinds.ts'
import { certificateName, covers } from './tls.ts'

const nameWords = 'a name in small letters such as chat (letters, digits, hyphens; 31 at most)'
const portWords = 'a port from 1 to 65535, without quotes'
const backendWords = 'a name or an address with its port, such as ui.example.net:8080 or [fd00::7]:8080'

/** A place as `name:port`; a wildcard, as a program listens on, is none. */
function isPlace(text: string): boolean {
  const [, bracketed, host = '', port] = /^(?:\[([0-9a-f:.]+)\]|([\w-]+(?:\.[\w-]+)*)):(\d{1,5})$/i.exec(text) ?? []
  if (Number(port) < 1 || Number(port) > 65_535 || port === undefined) return false
  if (bracketed !== undefined) return isIP(bracketed) === 6 && !/^[0:.]*$/.test(bracketed)
  return isIP(host) === 0 ? !/^[\d.]+$/.test(host) : !/^[0.]*$/.test(host)
}

const service = z.strictObject({
  kind: z.string(),
  name: certificateName.refine((name) => !name.startsWith('*'), 'one name; which wildcard covers it stands under tls'),
  port: z.int(portWords).min(1, portWords).max(65_535, portWords).optional(),
  backend: z.string(backendWords).refine(isPlace, backendWords),
  listeners: z.array(z.enum(serviceListeners)).min(1, 'at least one of tailnet, lan, public').default(['tailnet']),
  key: z
    .string('file:PATH')
    .regex(/^file:(~\/|\/)\S+$/, 'file:PATH, a file for its owner alone that holds the key; no key stands in settings')
    .optional(),
  sign_in: z.string().optional(),
})

/** Programs of other kinds behind the gateway, each under a name and port of its own. */
export const services = z.record(z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, nameWords), service)

type Services = z.infer<typeof services>

/** A service as the gateway's rules have it. */
export interface Service extends Omit<Services[string], 'kind' | 'sign_in'> {
  /** what the owner calls it */
  id: string
  kind: Kind
  /** the page on which its people sign in, as a URL */
  signIn?: string
}

/** What decides where services are reached. */
interface Around {
  services: Services
  port: number
  hosts: string[]
  nodes: Record<string, unknown>
  tls: Record<string, unknown>
  listeners: {
    tailnet?: { tls_port: number }
    lan?: { port?: number; plain: boolean; addresses: string[] }
    public?: { port?: number; addresses: string[] }
  }
}

/** A listener's own port, and whether it speaks https. */
function ownDoor({ listeners, port }: Around, name: ServiceListener): { port: number; tls: boolean } | undefined {
  const { tailnet, lan, public: open } = listeners
  if (name === 'tailnet') return tailnet && { port: tailnet.tls_port, tls: true }
  if (name === 'lan') return lan && { port: lan.port ?? port, tls: !lan.plain }
  return open && { port: open.port ?? port, tls: true }
}

/** Every service with its kind. Of a kind that is not known there is none: `serviceFaults` refuses it. */
export function servicesOf(settings: Around, kinds: Kinds): Service[] {
  return Object.entries(settings.services).flatMap(([id, { kind: name, sign_in, ...rest }]) => {
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined
    const signIn = sign_in === undefined ? undefined : loginOf(settings, kinds, sign_in)
    return kind ? [{ id, kind, ...rest, ...(signIn ? { signIn } : {}) }] : []
  })
}

/** Where a page's people sign in; at its port on the listener that comes first. */
function loginOf(settings: Around, kinds: Kinds, id: string): string | undefined {
  const page = settings.services[id]
  const kind = kinds[page?.kind ?? '']
  if (page === undefined || kind?.is !== 'page') return undefined
  const port = page.port ?? ownDoor(settings, page.listeners[0] ?? 'tailnet')?.port
  return `https://${page.name}${port === 443 ? '' : `:${port}`}${kind.login}`
}

/** Names under tls that are the gateway's own: a service's is not, unless it stands under hosts or is a node's, too. */
export const ownNames = (settings: Pick<Around, 'tls' | 'services' | 'hosts' | 'nodes'>): string[] => {
  const theirs = new Set(Object.values(settings.services).map(({ name }) => name))
  const ours = gatewayNames(settings)
  return Object.keys(settings.tls).filter((name) => !name.startsWith('*') && (!theirs.has(name) || ours.includes(name)))
}

/** A fault of services beside other settings: the path of the setting, and what is wrong. */
export interface ServiceFault {
  path: string[]
  message: string
}

/** What services must not be together with other settings. */
export function serviceFaults(settings: Around): ServiceFault[] {
  const all = Object.entries(settings.services)
  return all.flatMap(([id, one], at) => {
    const fault = (field: string, message: string): ServiceFault => ({ path: ['services', id, field], message })
    const before = all.slice(0, at)
    return [
      ...(Object.keys(settings.tls).some((pattern) => covers(pattern, one.name))
        ? []
        : [fault('name', `a certificate is needed: name ${one.name}, or a wildcard that covers it, under tls`)]),
      ...one.listeners.flatMap((listener) => {
        const message = doorFault(settings, one, listener, before)
        return message ? [fault(message.field, message.words)] : []
      }),
      ...signInFault(settings, one).map((words) => fault('sign_in', words)),
    ]
  })
}

type Wrong = { field: 'name' | 'port' | 'listeners'; words: string }

/** Why a service cannot be reached on a listener as it is written; undefined when it can. */
function doorFault(
  settings: Around,
  one: Services[string],
  listener: ServiceListener,
  before: [string, Services[string]][],
): Wrong | undefined {
  const own = ownDoor(settings, listener)
  const port = one.port ?? own?.port
  if (listener !== 'tailnet' && !own)
    return { field: 'listeners', words: `there is no listeners.${listener} in settings.yaml` }
  if (port === undefined)
    return {
      field: 'port',
      words: 'a port is needed, since the tailnet has none by https (listeners.tailnet.tls_port)',
    }
  const held = heldBy(settings, listener, port)
  if (held) return { field: 'port', words: `another port than ${port}: ${held}` }
  const twin = before.find(
    ([, other]) =>
      other.name === one.name &&
      other.listeners.includes(listener) &&
      (other.port ?? ownDoor(settings, listener)?.port) === port,
  )
  if (twin) return { field: 'name', words: `another name or port than ${twin[0]}: both would be ${one.name}:${port}` }
  return own?.port === port && gatewayNames(settings).includes(one.name)
    ? { field: 'name', words: `another name or port: ${one.name}:${port} is the gateway itself (hosts, nodes)` }
    : undefined
}

/** Who speaks plain http on a port where a service would speak https, or has it alone. */
function heldBy(settings: Around, listener: ServiceListener, port: number): string | undefined {
  const { lan, public: open } = settings.listeners
  if (listener === 'tailnet') return port === settings.port ? 'it speaks plain http there' : undefined
  if (listener === 'lan' && lan?.plain && port === (lan.port ?? settings.port)) return 'it speaks plain http there'
  if (listener === 'public' && port === 80) return 'authorities ask there for the proof of names'
  const mine = (listener === 'lan' ? lan : open)?.addresses ?? []
  const other = listener === 'lan' ? open : lan
  const taken = other && (other.port ?? settings.port) === port && other.addresses.some((one) => mine.includes(one))
  return taken ? `listeners.${listener === 'lan' ? 'public' : 'lan'} has it on the same address` : undefined
}

const gatewayNames = ({ hosts, nodes }: Pick<Around, 'hosts' | 'nodes'>): string[] => [
  ...hosts,
  ...Object.keys(nodes).flatMap((name) => namesOfNode({ name }, hosts)),
]

function signInFault({ services }: Around, { sign_in: id }: Services[string]): string[] {
  if (id === undefined || Object.hasOwn(services, id)) return []
  return [`the name of a service that is a page${didYouMean(id, Object.keys(services))}`]
}

/** What recipes say against how a service is written. */
export function kindFaults(settings: Around, kinds: Kinds): ServiceFault[] {
  return Object.entries(settings.services).flatMap(([id, one]) => {
    const kind = Object.hasOwn(kinds, one.kind) ? kinds[one.kind] : undefined
    const fault = (field: string, message: string): ServiceFault => ({ path: ['services', id, field], message })
    const known = Object.keys(kinds)
    if (!kind) return [fault('kind', `one of ${known.join(', ')}${didYouMean(one.kind, known)}`)]
    const closed = one.listeners.filter((listener) => !kind.listeners.includes(listener))
    const login = one.sign_in === undefined ? undefined : kinds[settings.services[one.sign_in]?.kind ?? '']
    return [
      ...closed.map((name) => fault('listeners', `${one.kind} is never on ${name}: programs of your own ask it`)),
      ...(one.key && kind.is === 'page' ? [fault('key', `none, since ${one.kind} is a page with its own login`)] : []),
      ...(one.sign_in && kind.is === 'page' ? [fault('sign_in', `none, since ${one.kind} signs in by itself`)] : []),
      ...(login && login.is !== 'page'
        ? [fault('sign_in', `a service that is a page; ${one.sign_in} is ${login.what}`)]
        : []),
    ]
  })
}

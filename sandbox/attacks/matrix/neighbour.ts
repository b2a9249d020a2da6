import { connect } from 'node:tls'
import { expandGroups } from '../../../lib/site/endpoints.ts'
import { covers } from '../../../lib/site/tls.ts'
import { httpOver } from '../../box/dial.ts'
import type { Machine } from '../../box/init.ts'
import type { Ground } from './ground.ts'
import { right } from './laptop.ts'
import type { Combination } from './refusals.ts'

interface Listener {
  addresses?: string[]
  port?: number
  tls_port?: number
  plain?: boolean
  from?: string[]
  sources?: string[]
  access?: string
  groups?: string[]
  certificates?: string | Record<string, string>
}

/** What somebody shows: nothing, a key that is known or not, a client certificate that is, or one that was. */
export type Shown = 'none' | 'good' | 'wrong' | 'certificate' | 'revoked'

const certified = (shown: Shown): shown is 'certificate' | 'revoked' => shown === 'certificate' || shown === 'revoked'

/** What opens a client certificate. */
export interface Pass {
  pfx: Buffer
  passphrase: string
}

/** The listeners of a combination, by name. */
export const listenersOf = ({ listeners }: Combination): [string, Listener][] =>
  Object.entries((listeners ?? {}) as Record<string, Listener>)

/** What a listener says of client certificates for the name that is asked for here. */
function certificatesFor(combination: Combination, { certificates = 'none' }: Listener): string {
  return typeof certificates === 'string' ? certificates : (certificates[nameOf(combination) ?? ''] ?? 'none')
}

/** Whether somebody may show a client certificate somewhere. */
export const asksCertificates = (combination: Combination): boolean =>
  listenersOf(combination).some(([, listener]) => certificatesFor(combination, listener) !== 'none')

/** The networks of these examples that the neighbour is in, by the family of the address that it asks. */
const near = { 4: /^192\.168\.(78\.(0\/24|2)|0\.0\/16)$/, 6: /^fd00:78:/ } as const

/** The statuses that are right for a list of models asked at this address of a listener; 0 where nobody answers. */
export function rightAt(
  combination: Combination,
  [name, listener]: [string, Listener],
  address: string,
  shown: Shown,
): number[] {
  const { groups = ['agents'], keyless = [] } = combination as { groups?: string[]; keyless?: string[] }
  const { from, sources = from, access } = listener
  if (sources && !sources.some((source) => near[address.includes(':') ? 6 : 4].test(source))) return [0]
  if (certificatesFor(combination, listener) === 'required' && !certified(shown)) return [0]
  if (secure([name, listener]) && isService(combination)) return name === 'public' && hidden(combination) ? [0] : [421]
  const holds = (list: string[]) => expandGroups(list).includes('openai')
  const open = holds(groups) && holds(listener.groups ?? groups)
  const known = shown === 'good' || shown === 'certificate'
  if (known || access === 'from') return [open ? 200 : 403]
  if (name === 'inside' && holds(keyless)) return [open ? 200 : 403]
  return [401, 403]
}

/** A name that certificates of a combination are for, and no wildcard. */
const nameOf = ({ tls }: Combination): string | undefined =>
  Object.keys((tls ?? {}) as object).find((name) => !name.startsWith('*'))

/** Whether that name is a service's alone, so that the gateway answers to none under it. */
function isService({ services, hosts = [], ...rest }: Combination): boolean {
  const name = nameOf(rest)
  const theirs = Object.values((services ?? {}) as Record<string, { name: string }>).some((one) => one.name === name)
  return theirs && !(hosts as unknown[]).includes(name)
}

/** The names of these services are not for the internet: there nobody shakes hands for them, unless another certificate covers them. */
const hidden = ({ services, tls }: Combination): boolean => {
  const name = nameOf({ tls }) ?? ''
  const outward = Object.values((services ?? {}) as Record<string, { name: string; listeners?: string[] }>).some(
    (one) => one.name === name && one.listeners?.includes('public'),
  )
  return !outward && !Object.keys((tls ?? {}) as object).some((other) => other !== name && covers(other, name))
}

const secure = ([name, { plain }]: [string, Listener]): boolean => name !== 'inside' && plain !== true

interface Call {
  from: Machine
  address: string
  port: number
  /** by https, for this name */
  name?: string
  key?: string
  pass?: Pass
}

/** The status of a list of models; 0 where no answer comes. */
async function called(ground: Ground, { from, address, port, name, key, pass }: Call): Promise<number> {
  const socket = await ground.dial(from, address, port).catch(() => undefined)
  if (!socket) return 0
  const wire = name ? connect({ socket, servername: name, rejectUnauthorized: false, ...pass }) : socket
  const own = name ?? (address.includes(':') ? `[${address}]` : address)
  const headers = { host: `${own}:${port}`, ...(key ? { authorization: `Bearer ${key}` } : {}) }
  const answer = httpOver(wire, address, port, { path: '/v1/models', headers })
  return answer.then(
    ({ status }) => status,
    () => 0,
  )
}

interface Asking {
  call: Call
  wanted: number[]
}

/** Every address of every listener beyond the tailnet's plain one, and what is right there. */
function asking(ground: Ground, combination: Combination, shown: Shown): Asking[] {
  const name = nameOf(combination)
  return listenersOf(combination).flatMap(([kind, listener]): Asking[] => {
    const port = listener.port ?? Number(combination.port ?? 11434)
    if (kind === 'tailnet')
      return certified(shown)
        ? []
        : [
            {
              call: { from: 'laptop', address: ground.address, port: Number(listener.tls_port), name },
              wanted: isService(combination) ? [421] : right(combination, shown),
            },
          ]
    if (certified(shown) && certificatesFor(combination, listener) === 'none') return []
    return (listener.addresses ?? []).map((address) => ({
      call: { from: 'neighbour', address, port, ...(secure([kind, listener]) && { name }) },
      wanted: rightAt(combination, [kind, listener], address, shown),
    }))
  })
}

/** What comes of a list of models at each listener; undefined when all of it is as it should be. */
export async function askedThere(
  ground: Ground,
  combination: Combination,
  shown: Shown,
  means: { key?: string; pass?: Pass },
): Promise<string | undefined> {
  for (const { call, wanted } of asking(ground, combination, shown)) {
    const status = await called(ground, { ...call, ...means })
    if (!wanted.includes(status))
      return `GET /v1/models at ${call.address}:${call.port} (shown: ${shown}): ${status} instead of ${wanted.join(' or ')}`
  }
  return undefined
}

import type { CertificateUse } from '../site/listeners.ts'
import { ownNames } from '../site/services.ts'
import type { Settings } from '../site/settings.ts'
import type { Gateway, Listener } from './policy.ts'

/** Everybody, where a listener says no sources. */
const anywhere: string[] = []

/** What listeners of a kind are never without: whoever comes over them is asked for a key, or has a client certificate. */
const strictNames = ['lan', 'public']

/** All listeners that the settings give, that of the tailnet first. */
export function listenersOf({ listeners, port, access }: Settings, tailnet: Omit<Listener, 'access'>): Listener[] {
  const { tailnet: own, inside, lan, public: open } = listeners
  const first: Listener = { ...tailnet, access: access === 'tailnet' ? 'from' : access }
  return [
    first,
    ...(own ? [{ ...first, name: 'tailnet-tls', port: own.tls_port, tls: true }] : []),
    ...(inside ? [{ port, ...inside, name: 'inside', sources: inside.from }] : []),
    ...(lan ? [{ port, ...lan, name: 'lan', tls: !lan.plain, relays: lan.proxy_protocol?.from }] : []),
    ...(open
      ? [{ port, ...open, name: 'public', sources: anywhere, tls: true, relays: open.proxy_protocol?.from }]
      : []),
  ]
}

/** Whether the gateway listens in more than one way, so that a rule has to ask in which. */
export const several = ({ listeners }: Gateway): boolean => listeners.length > 1

const namesOf = ({ listeners }: Gateway, which: (listener: Listener) => boolean): string =>
  listeners
    .filter(which)
    .map(({ name }) => name)
    .join(' ')

const onTailnet = ({ name }: Listener): boolean => name.startsWith('tailnet')
const asks = ({ access }: Listener): boolean => access === 'keys' || access === 'either'

/** Names of the conditions by which rules tell the ways apart in which a request came. */
const conditions: [condition: string, which: (listener: Listener) => boolean][] = [
  ['from_tailnet', onTailnet],
  ['unasked', (listener) => !asks(listener)],
  ['strict', ({ name }) => strictNames.includes(name)],
  ['outside', ({ name }) => name === 'public'],
  ['certified_only', ({ certificates }) => certificates === 'required'],
]

/** HAProxy's conditions for the listeners that there are. */
export const conditionLines = (gateway: Gateway): string[] =>
  conditions.flatMap(([condition, which]) => {
    // Only where people of the tailnet count beside keys.
    if (condition === 'from_tailnet' && gateway.settings.access !== 'either') return []
    const names = namesOf(gateway, which)
    return names ? [`acl ${condition} so_name ${names}`] : []
  })

/** Whether there is a listener of this kind. */
export const hasStrict = (gateway: Gateway): boolean => gateway.listeners.some(({ name }) => strictNames.includes(name))
export const hasPublic = (gateway: Gateway): boolean => gateway.listeners.some(({ name }) => name === 'public')
export const hasTls = ({ listeners, services = [] }: Gateway): boolean =>
  services.length > 0 || listeners.some(({ tls }) => tls)
export const hasRequired = (gateway: Gateway): boolean =>
  gateway.listeners.some(({ certificates }) => certificates === 'required')

/** Whether a listener says for each name whether it asks for a client certificate. */
export const byName = (listener: Listener): listener is Listener & { certificates: Record<string, CertificateUse> } =>
  typeof listener.certificates === 'object'

/** Whether a listener asks for a client certificate under a name of `tls`. */
export const certificateUse = (listener: Pick<Listener, 'certificates'>, name: string): CertificateUse => {
  const { certificates = 'none' } = listener
  return typeof certificates === 'string' ? certificates : (certificates[name] ?? 'none')
}

/** The first name of the gateway's own that can be asked for at a listener without a client certificate; undefined where there is none. */
export const openName = (settings: Settings, listener: Listener): string | undefined =>
  ownNames(settings).find((name) => certificateUse(listener, name) !== 'required')

/** The same rules under one condition more; of lines that declare a condition nothing changes. */
export const under = (condition: string, rules: string[]): string[] =>
  rules.map((rule) => {
    if (!/^(http|tcp)-/.test(rule)) return rule
    const at = rule.lastIndexOf(' if ')
    if (at <= Math.max(rule.lastIndexOf("'"), rule.lastIndexOf('"'))) return `${rule} if ${condition}`
    const ways = rule.slice(at + 4).split(' or ')
    return `${rule.slice(0, at)} if ${ways.map((way) => `${condition} ${way}`).join(' or ')}`
  })

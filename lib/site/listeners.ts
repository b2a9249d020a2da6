import { isIP } from 'node:net'
import { z } from 'zod'
import { group } from './group.ts'

const portWords = 'a port from 1 to 65535, without quotes'
const port = z.int(portWords).min(1, portWords).max(65_535, portWords)

/** One spelling for each address, with brackets around one of IPv6. */
export const canonical = (address: string): string =>
  isIP(address) === 6 ? new URL(`http://[${address}]/`).hostname : address

/** An address as the system writes it (RFC 5952), since it is compared with what the system says. */
export const plain = (address: string): string => canonical(address).replace(/^\[|\]$/g, '')

/** All addresses at once in any spelling, multicast, broadcast, link-local (which needs a card's name). */
const notOne = /^[0:.]*$|:0\.0\.0\.0$|^(22[4-9]|23\d|255)\.|^ff|^fe[89ab]/i

/** Whether a text is one address that a program can listen on. */
export const isUnicast = (address: string): boolean => isIP(address) !== 0 && !notOne.test(address)

const addressFault = (text: string): string | undefined => {
  if (isIP(text) === 0)
    return /[*/]/.test(text)
      ? 'one address; a wildcard or a network is never listened on'
      : 'an address such as 192.168.1.10'
  if (/^127\.0\.0\.1$|^::1$/.test(text)) return 'an address that others reach; 127.0.0.1 is the engine’s'
  return isUnicast(text) ? undefined : 'one address of this machine; a wildcard is never listened on'
}

const judged = (judge: (text: string) => string | undefined) =>
  z.string('an address in quotes, such as "192.168.1.10"').superRefine((text, context) => {
    const message = judge(text)
    if (message) context.addIssue({ code: 'custom', message })
  })

const addresses = z
  .array(judged(addressFault).transform(plain), 'addresses in brackets, such as [192.168.1.10]')
  .min(1, 'at least one address of this machine')

/** A network's address and how many of its bits count; undefined when it is none. */
export function network(text: string): { address: string; bits: number; family: 4 | 6 } | undefined {
  const [, address = '', bits] = /^([0-9a-f.:]+)(?:\/(\d{1,3}))?$/i.exec(text) ?? []
  const family = isIP(address)
  if (family !== 4 && family !== 6) return undefined
  const most = family === 4 ? 32 : 128
  const counted = bits === undefined ? most : Number(bits)
  return counted <= most ? { address, bits: counted, family } : undefined
}

/** Networks whose widest has so many bits (IPv4, IPv6). */
const networks = (least: readonly [number, number], words: string) =>
  z
    .array(
      judged((text) => {
        const found = network(text)
        if (!found) return 'an address or a network such as 192.168.1.0/24'
        return found.bits < least[found.family === 4 ? 0 : 1] ? words : undefined
      }),
      'addresses or networks in brackets, such as [192.168.1.0/24]',
    )
    .min(1, 'at least one address or network')

const anotherMachine = 'the address of another machine; this one asks itself without such a header'

const relayFault = (text: string): string | undefined => {
  if (isIP(text) === 0) return 'one address such as 192.168.1.1; not every machine of a network is believed'
  return isUnicast(text) && !['127.0.0.1', '::1'].includes(text) ? undefined : anotherMachine
}

/** Machines that say in a header of their own for whom they connect (haproxy.org/download/3.0/doc/proxy-protocol.txt). */
const proxyProtocol = z
  .strictObject(
    {
      from: z
        .array(judged(relayFault), 'addresses in brackets, such as [192.168.1.1]')
        .min(1, 'at least one address of a machine in front of this one'),
    },
    '{ from: [ADDRESS, …] }, the machines whose PROXY header is believed',
  )
  .optional()

const groups = z
  .array(group, 'at least one group in brackets, such as [agents]')
  .min(1, 'at least one group')
  .optional()

const onlyKeys = (words: string) => z.literal('keys', words).default('keys')

const certificateWords = 'none, optional (a client certificate or a key) or required'
const certificateUse = z.enum(['none', 'optional', 'required'], certificateWords)

/** What is asked of whoever shakes hands: one word for all names, or a word a name. */
const certificates = z
  .union([certificateUse, z.record(z.string(), certificateUse)], `${certificateWords}, or one of them for each name`)
  .default('none')

/** Whether a client certificate is asked for: not at all, beside a key, or always. */
export type CertificateUse = z.infer<typeof certificateUse>

/** Where else than on the tailnet the gateway listens: each on named addresses, with its own rule of who may connect and what is asked of them. */
export const listeners = z.strictObject({
  tailnet: z.strictObject({ tls_port: port }).optional(),
  inside: z
    .strictObject({
      addresses,
      port: port.optional(),
      from: networks(
        [24, 120],
        'a network of /24 (IPv6: /120) at most; what is wider is no machine that you know by name',
      ),
      access: z.enum(['keys', 'from'], 'keys, or from (whoever is named under from needs none)').default('keys'),
      groups,
    })
    .optional(),
  lan: z
    .strictObject({
      addresses,
      port: port.optional(),
      sources: networks([8, 32], 'a network of /8 (IPv6: /32) at most; for everybody there is listeners.public'),
      access: onlyKeys('keys: whoever is on a LAN is asked for a key (or certificates: required)'),
      groups,
      certificates,
      plain: z.boolean('true or false').default(false),
      proxy_protocol: proxyProtocol,
    })
    .optional(),
  public: z
    .strictObject({
      addresses,
      port: port.optional(),
      access: onlyKeys('keys: whoever comes from the internet is asked for a key (or certificates: required)'),
      groups,
      certificates,
      proxy_protocol: proxyProtocol,
    })
    .optional(),
})

export type Listeners = z.infer<typeof listeners>

/** A fault of listeners beside other settings: the path of the setting, and what is wrong. */
export interface ListenerFault {
  path: string[]
  message: string
}

const tlsWanted = (but = ''): string =>
  `a certificate is needed here, so that no key goes in clear: name one under tls${but}`

/** What listeners must not be together with other settings. */
export function listenerFaults(listeners: Listeners, tls: Record<string, unknown>, usual: number): ListenerFault[] {
  const { tailnet, inside, lan, public: open } = listeners
  const named = Object.keys(tls).length > 0
  const faults: (ListenerFault | false | undefined)[] = [
    tailnet && !named && { path: ['listeners', 'tailnet'], message: tlsWanted() },
    tailnet?.tls_port === usual && {
      path: ['listeners', 'tailnet', 'tls_port'],
      message: 'another port than port: one port speaks either https or plain http',
    },
    lan &&
      !lan.plain &&
      !named && {
        path: ['listeners', 'lan'],
        message: tlsWanted(', or say plain: true where you trust everybody on that network to listen in'),
      },
    lan?.plain &&
      lan.certificates !== 'none' && {
        path: ['listeners', 'lan', 'certificates'],
        message: 'none, since plain http has no certificates',
      },
    open && !named && { path: ['listeners', 'public'], message: tlsWanted() },
    ...unnamed(listeners, tls),
    inside &&
      open && {
        path: ['listeners', 'inside'],
        message: 'plain http is never beside listeners.public; leave one of them out',
      },
    ...twice(listeners, usual),
    ...ofItself(listeners),
  ]
  return faults.flatMap((fault) => fault || [])
}

/** A word for a name that no certificate is for would never count. */
const unnamed = ({ lan, public: open }: Listeners, tls: Record<string, unknown>): ListenerFault[] =>
  Object.entries({ lan, public: open }).flatMap(([kind, listener]) =>
    Object.keys(typeof listener?.certificates === 'object' ? listener.certificates : {})
      .filter((name) => !Object.hasOwn(tls, name))
      .map((name) => ({
        path: ['listeners', kind, 'certificates', name],
        message: `a name under tls${Object.keys(tls).length > 0 ? `: ${Object.keys(tls).join(', ')}` : ''}`,
      })),
  )

/** A machine asks itself from the address that it asks. */
function ofItself({ lan, public: open }: Listeners): ListenerFault[] {
  return Object.entries({ lan, public: open }).flatMap(([name, listener]) => {
    const own = listener?.addresses.map(canonical) ?? []
    return (listener?.proxy_protocol?.from ?? []).flatMap((address, at) =>
      own.includes(canonical(address))
        ? [
            {
              path: ['listeners', name, 'proxy_protocol', 'from', `${at}`],
              message: anotherMachine,
            },
          ]
        : [],
    )
  })
}

/** Addresses that two listeners, or one twice, would listen on with the same port. */
function twice({ inside, lan, public: open }: Listeners, usual: number): ListenerFault[] {
  const seen = new Set<string>()
  return Object.entries({ inside, lan, public: open }).flatMap(([name, listener]) =>
    (listener?.addresses ?? []).flatMap((address, at) => {
      const place = `${canonical(address)} ${listener?.port ?? usual}`
      const again = seen.has(place)
      seen.add(place)
      const message = 'an address that no other listener has with the same port'
      return again ? [{ path: ['listeners', name, 'addresses', `${at}`], message }] : []
    }),
  )
}

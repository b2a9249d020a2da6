import { isIP } from 'node:net'
import { z } from 'zod'
import { canonical, isUnicast, type Listeners, plain } from './listeners.ts'
import type { Machine } from './machine.ts'
import { isLoopback } from './nodes.ts'

const addressWords = 'an address in quotes, such as "192.168.1.100"'
const address = z.string(addressWords).refine(isUnicast, addressWords).transform(plain)

const whole = (least: number, most: number) => {
  const words = `a number from ${least} to ${most}`
  return z.int(words).min(least, words).max(most, words)
}

const interfaceWords = 'a network card such as eth0, as `ip address` calls it'

/** One address that two gateways have in turn (RFC 5798): the one with the higher priority first, and then whoever has it. */
export const vip = z
  .strictObject({
    address,
    interface: z.string(interfaceWords).regex(/^[A-Za-z0-9_.-]{1,15}$/, interfaceWords),
    router_id: whole(1, 255).default(51),
    /** the other gateway's own address */
    peer: address,
    priority: whole(1, 254),
    /** TCP port of this machine's own address where the other gateway tells what it has counted */
    peers_port: whole(1, 65_535).default(11_438),
    /** what each of the two has of the slots of a node, and, where their HAProxys cannot add up what runs, of a limit at once */
    at_once: z
      .enum(['half', 'whole'], {
        error: 'half (both gateways are asked at the same time) or whole (clients come by the VIP alone)',
      })
      .default('half'),
  })
  .optional()

/** The certificate by which two gateways know each other, with its key, in the folder of the certificates. No name of `tls` has such a file. */
export const pairCertificate = 'two_gateways.pem'

export type Vip = NonNullable<z.infer<typeof vip>>

interface VipFault {
  path: string[]
  message: string
}

/** Addresses that Tailscale gives (tailscale.com/kb/1015, kb/1033). */
const ofTailnet = /^100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|^fd7a:115c:a1e0:/i

/** Every address that a listener names. */
const listened = ({ inside, lan, public: open }: Listeners): string[] =>
  [inside, lan, open].flatMap((listener) => listener?.addresses ?? [])

/** Every port that a listener has; `usual` is that of those which name none. */
const ports = ({ tailnet, inside, lan, public: open }: Listeners, usual: number): number[] => [
  usual,
  ...(tailnet ? [tailnet.tls_port] : []),
  ...[inside, lan, open].flatMap((listener) => listener?.port ?? []),
]

/** What a VIP must not be together with other settings. */
export function vipFaults({ vip, listeners, port }: { vip?: Vip; listeners: Listeners; port: number }): VipFault[] {
  if (!vip) return []
  const { address, peer, peers_port: told } = vip
  const fault = (setting: string, message: string) => [{ path: ['vip', setting], message }]
  return [
    ...(ofTailnet.test(address)
      ? fault('address', 'an address of a LAN: on a tailnet each machine has its own addresses alone (docs/ha.md)')
      : []),
    ...(isLoopback(address) ? fault('address', `an address of a LAN: ${address} is every machine’s own`) : []),
    ...(isIP(peer) !== isIP(address) ? fault('peer', `IPv${isIP(address)}, as the address is`) : []),
    ...(canonical(peer) === canonical(address)
      ? fault('peer', 'the other gateway’s own address, which it keeps whoever has the VIP')
      : []),
    ...(listened(listeners).some((one) => canonical(one) === canonical(peer))
      ? fault('peer', 'an address of the other gateway; a listener of this one has it')
      : []),
    ...(ports(listeners, port).includes(told)
      ? fault('peers_port', 'another port than those of listeners: only the other gateway comes to it')
      : []),
  ]
}

/** Whether an address is the one that two gateways have in turn. */
export const isVip = ({ vip }: { vip?: Vip }, address: string): boolean =>
  vip !== undefined && canonical(address) === canonical(vip.address)

/** Whether some listener is reached by the VIP. */
export const listensOnVip = (settings: { vip?: Vip; listeners: Listeners }): boolean =>
  listened(settings.listeners).some((address) => isVip(settings, address))

/** This machine's own address on the card of the VIP, from which it speaks to the other gateway; undefined where the card has none. */
export const ownAddress = (machine: Pick<Machine, 'addresses'>, { address, interface: card }: Vip) =>
  machine.addresses.find(
    (one) =>
      one.device === card &&
      canonical(one.address) !== canonical(address) &&
      one.family === (address.includes(':') ? 6 : 4) &&
      !/^fe[89ab]/i.test(one.address),
  )

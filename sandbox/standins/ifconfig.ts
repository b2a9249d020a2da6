import { networkInterfaces } from 'node:os'
import type { Box, MacState } from './box.ts'
import { complain, say } from './system.ts'

interface Address {
  address: string
  family: 4 | 6
  netmask?: string
  mac?: string
  scope?: number
  /** what macOS says of it behind everything else */
  flag?: string
}

type Devices = Map<string, Address[]>

/** Tailscale's ranges: 100.64.0.0/10 and fd7a:115c:a1e0::/48 (tailscale.com/kb/1015, kb/1033). */
function isTailnet(address: string): boolean {
  const [first, second = 0] = address.split('.').map(Number)
  return /^fd7a:115c:a1e0:/i.test(address) || (first === 100 && second >= 64 && second <= 127)
}

function plain(address: string): Address {
  return { address, family: address.includes(':') ? 6 : 4 }
}

function pretended(fake: Record<string, string[]>): Devices {
  return new Map(Object.entries(fake).map(([device, addresses]) => [device, addresses.map(plain)]))
}

function real(): Devices {
  return new Map(
    Object.entries(networkInterfaces()).map(([device, infos = []]) => [
      device === 'lo' ? 'lo0' : device,
      infos
        .filter(({ address }) => !isTailnet(address))
        .map(({ address, family, netmask, mac, scopeid }) => ({
          address,
          family: family === 'IPv4' ? 4 : 6,
          netmask,
          mac,
          scope: scopeid,
        })),
    ]),
  )
}

/** What the tunnel carries: nothing unless Tailscale runs. A box without a namespace shows what it is told. */
function tunnel(mac: MacState): Address[] {
  if (mac.tailscale.variant === 'absent' || mac.tailscale.state !== 'Running') return []
  if (mac.fakeAddresses) return [mac.tailscale.ipv4, mac.tailscale.ipv6].filter(Boolean).map(plain)
  const all = Object.values(networkInterfaces()).flatMap((infos = []) => infos.map(({ address }) => address))
  const found = all.filter(isTailnet).map(plain)
  return mac.network.ipv6 === 'tentative' ? [...found, { ...plain(mac.tailscale.ipv6), flag: 'tentative' }] : found
}

function devices(mac: MacState): Devices {
  const found = mac.fakeAddresses ? pretended(mac.fakeAddresses) : real()
  const own = mac.network.device.startsWith('utun') ? mac.network.device : 'utun4'
  found.delete(own)
  if (mac.tailscale.variant !== 'absent') found.set(own, tunnel(mac))
  return found
}

function hex(netmask: string): string {
  const bytes = netmask.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'))
  return `0x${bytes.join('')}`
}

function prefixLength(netmask: string | undefined): number {
  const bits = (netmask ?? '').split(':').map(
    (group) =>
      Number.parseInt(group || '0', 16)
        .toString(2)
        .replaceAll('0', '').length,
  )
  return netmask === undefined ? 64 : bits.reduce((sum, count) => sum + count, 0)
}

function broadcast(address: string, netmask: string): string {
  const mask = netmask.split('.').map(Number)
  return address
    .split('.')
    .map((byte, at) => Number(byte) | (255 - (mask[at] ?? 255)))
    .join('.')
}

function addressLine(device: string, { address, family, netmask, scope, flag }: Address): string {
  const point = device.startsWith('utun')
  if (family === 6) {
    const zone = scope ? `%${device}` : ''
    const length = point ? 48 : prefixLength(netmask)
    return `\tinet6 ${address}${zone} prefixlen ${length}${scope ? ` scopeid 0x${scope.toString(16)}` : ''} ${flag ? `${flag} ` : ''}`
  }
  if (point) return `\tinet ${address} --> ${address} netmask 0xffffffff`
  const mask = netmask ?? (device === 'lo0' ? '255.0.0.0' : '255.255.255.0')
  return `\tinet ${address} netmask ${hex(mask)}${device === 'lo0' ? ' ' : ` broadcast ${broadcast(address, mask)}`}`
}

function heading(device: string): string {
  if (device === 'lo0') return 'lo0: flags=8049<UP,LOOPBACK,RUNNING,MULTICAST> mtu 16384'
  if (device.startsWith('utun')) return `${device}: flags=8051<UP,POINTOPOINT,RUNNING,MULTICAST> mtu 1280`
  return `${device}: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500`
}

function block(device: string, addresses: Address[]): string {
  const wired = device !== 'lo0' && !device.startsWith('utun')
  const ether = wired ? [`\tether ${addresses.find(({ mac }) => mac)?.mac ?? '02:00:00:00:00:01'}`] : []
  const media = wired ? ['\tmedia: autoselect', '\tstatus: active'] : []
  return [heading(device), ...ether, ...addresses.map((address) => addressLine(device, address)), ...media].join('\n')
}

/** ifconfig [-a | -l | DEVICE]: the box's real addresses in macOS's form, Tailscale's on a utun. */
export function main(argv: string[], box: Box): number {
  const found = devices(box.mac)
  const [word] = argv
  if (word === '-l') return say([...found.keys()].join(' '))
  if (word === undefined || word === '-a')
    return say([...found].map(([device, addresses]) => block(device, addresses)).join('\n'))
  const addresses = found.get(word)
  return addresses ? say(block(word, addresses)) : complain(`ifconfig: interface ${word} does not exist`)
}

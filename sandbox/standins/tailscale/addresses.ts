import { spawnSync } from 'node:child_process'
import { networkInterfaces } from 'node:os'
import type { Box } from '../box.ts'
import { startLoop } from './loop.ts'

function ip(box: Box, words: string[]): boolean {
  const { network } = box.mac
  const env = network.libraryPath ? { ...process.env, LD_LIBRARY_PATH: network.libraryPath } : process.env
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`
  return spawnSync(network.ip ?? 'ip', words, { env: { ...env, PATH: path }, stdio: 'ignore' }).status === 0
}

/** The tailnet addresses of this Mac that are, or are not, on a device now. */
function addresses(box: Box, present: boolean): string[] {
  const { network, tailscale } = box.mac
  if (!network.namespaced) return []
  const there = Object.values(networkInterfaces()).flatMap((infos = []) => infos.map(({ address }) => address))
  const late = (address: string) => !present && address.includes(':') && network.ipv6 !== undefined
  return [tailscale.ipv4, tailscale.ipv6].filter(
    (address) => address !== '' && there.includes(address) === present && !late(address),
  )
}

/** Gives the tunnel its addresses, as Tailscale does on connecting. Does nothing in a box without a network namespace. */
export function putAddresses(box: Box): void {
  const { device } = box.mac.network
  for (const address of addresses(box, false)) {
    // nodad: an IPv6 address can be bound at once.
    if (address.includes(':')) ip(box, ['-6', 'addr', 'replace', `${address}/128`, 'dev', device, 'nodad'])
    else {
      ip(box, ['addr', 'replace', `${address}/32`, 'dev', device])
      // Linux forgot it with the device's last address.
      ip(box, ['route', 'replace', '100.64.0.0/10', 'dev', device])
    }
  }
  if (box.mac.network.namespaced) startLoop(box, (words) => ip(box, words))
}

/** Takes the addresses off the tunnel, as `tailscale down` does; sockets that listen there stay. */
export function takeAddresses(box: Box): void {
  for (const address of addresses(box, true)) {
    ip(box, ['addr', 'del', `${address}/${address.includes(':') ? 128 : 32}`, 'dev', box.mac.network.device])
  }
}

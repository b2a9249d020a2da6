import dgram from 'node:dgram'
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import { exitCodes, Stop } from './command.ts'

type Cards = NodeJS.Dict<Pick<NetworkInterfaceInfo, 'address' | 'netmask' | 'family' | 'internal'>[]>

const bytes = (address: string): number[] => address.split('.').map(Number)

/** The address of everybody on each network that these cards are on; a tunnel, which has no network around it, gives none. */
export function broadcasts(cards: Cards): string[] {
  const own = Object.values(cards).flatMap((infos = []) => infos)
  const wide = own.filter(
    ({ family, internal, netmask }) => family === 'IPv4' && !internal && netmask !== '255.255.255.255',
  )
  const all = wide.map(({ address, netmask }) => {
    const mask = bytes(netmask)
    return bytes(address)
      .map((byte, at) => byte | (~(mask[at] ?? 0) & 255))
      .join('.')
  })
  return [...new Set(all)]
}

function send(socket: dgram.Socket, packet: Buffer, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(packet, 9, address, (error) => (error ? reject(error) : resolve()))
  })
}

/**
 * Six times FF, then sixteen times the address, to everybody on each network of this machine, since the default route may lead
 * to another one or into a tunnel; port 9 takes what is meant for nobody. Throws `Stop` (exit 3) where it could be sent nowhere.
 */
export async function wake(mac: string): Promise<void> {
  const address = Buffer.from(mac.replaceAll(':', ''), 'hex')
  const packet = Buffer.concat([Buffer.alloc(6, 0xff), ...Array.from({ length: 16 }, () => address)])
  const socket = dgram.createSocket('udp4')
  try {
    await new Promise<void>((resolve, reject) => socket.once('error', reject).bind(resolve))
    socket.setBroadcast(true)
    const sent = await Promise.allSettled(broadcasts(networkInterfaces()).map((to) => send(socket, packet, to)))
    if (sent.some(({ status }) => status === 'fulfilled')) return
    const [first] = sent
    const why = first?.status === 'rejected' ? `it refuses: ${(first.reason as Error).message}` : 'it is on none'
    throw new Stop(exitCodes.precondition, `No magic packet left this machine for its own network: ${why}.`)
  } finally {
    socket.close()
  }
}

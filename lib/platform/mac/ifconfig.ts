import type { Address, Addresses } from '../platform.ts'

/** What `ifconfig` says of an address that XNU refuses to bind with EADDRNOTAVAIL (bsd/netinet6/in6_pcb.c, in6_var.h). */
const unready = /^\s+inet6 .* (anycast|tentative|duplicated|detached)\b/

/** Reads macOS's `ifconfig`: blocks that begin with the device's name, lines `inet A` and `inet6 A%scope`. */
export function parseIfconfig(text: string): Address[] {
  let device = ''
  return text.split('\n').flatMap((line) => {
    device = /^(\S+?):? flags=/.exec(line)?.[1] ?? device
    const found = /^\s+inet(6?) ([0-9a-f.:]+)/.exec(line)
    if (!found?.[2]) return []
    const why = unready.exec(line)?.[1]
    return [{ family: found[1] ? 6 : 4, address: found[2], device, ...(why && { unready: why }) } as const]
  })
}

export const addresses: Addresses = {
  all: async (look) => parseIfconfig((await look.query(['ifconfig'])).stdout),
  isTunnel: (device) => device.startsWith('utun'),
}

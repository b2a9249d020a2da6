/** An address of this machine and the interface that carries it. */
export interface Address {
  family: 4 | 6
  address: string
  device: string
  /** why nobody can bind it now: macOS still looks for a double of it, or has found one */
  unready?: string
}

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

/** Whether an IPv4 address is Tailscale's (100.64.0.0/10; tailscale.com/kb/1015). */
export function isTailnet4(address: string): boolean {
  const [first, second] = address.split('.').map(Number)
  return first === 100 && second !== undefined && second >= 64 && second <= 127
}

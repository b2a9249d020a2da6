import type { Look } from '../host/host.ts'

/** An address of this machine and the interface that carries it. */
export interface Address {
  family: 4 | 6
  address: string
  device: string
  /** how many of its bits are its network's; absent where the system was not asked */
  bits?: number
  /** why nobody can bind it now: the system still looks for a double of it, or has found one */
  unready?: string
}

/** The machine's own addresses. */
export interface Addresses {
  all(look: Look): Promise<Address[]>
  /** whether an interface is a tunnel, as Tailscale's is */
  isTunnel(device: string): boolean
}

import type { Host, Look } from '../host/host.ts'

/** What gives one address to whichever of two gateways is to have it, by a job of ours. */
export interface VirtualRouter {
  unit: string
  package: string
  program: string[]
  /** ms since 1970 when this machine last took or gave away the address; undefined where the system does not say */
  since(look: Look): Promise<number | undefined>
  /** machines that say for the same router that they have the address, and are not the other gateway; of the last ten minutes */
  strangers(look: Look): Promise<string[]>
  /** the hardware address that answers for an address of a card's network; undefined where nobody does */
  neighbour(look: Look, card: string, address: string): Promise<string | undefined>
  /** whether a machine answers this one where it is asked from that address of ours */
  answersTo(look: Look, own: string, address: string): Promise<boolean>
  /** gives the address away, and is ready to take it again */
  yields(host: Host): Promise<void>
}

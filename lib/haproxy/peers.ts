import type { Look } from '../host/host.ts'
import { places } from '../platform/here.ts'

/** Whether the running worker is connected to a peer of this name; undefined where it has no such peer. */
export async function connectedTo(look: Look, peer: string): Promise<boolean | undefined> {
  const said = (await look.ask(places(look).adminSocket, 'show peers')) ?? ''
  const line = said.split('\n').find((one) => one.includes(` id=${peer}(`))
  // A peer that is being called is active as well, and one that has gone was established once.
  return line === undefined ? undefined : /\(remote,active\)/.test(line) && /\blast_status=ESTA\b/.test(line)
}

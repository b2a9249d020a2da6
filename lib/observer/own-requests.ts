import type { Look } from '../host/host.ts'
import { probeWord } from '../people/own-probes.ts'
import { probing } from '../people/records.ts'
import { places } from '../platform/here.ts'

/** What is read of a request for that; what HAProxy does not know is empty, or a dash where it wrote the line itself. */
interface Asked {
  address: string
  who: string
  agent: string
  path: string
}

/** Addresses from which this machine reaches its own gateway: those on which it listens, and loopback. */
const ownAddresses = (config: string): string[] => [
  ...['127.0.0.1', '::1'],
  ...[...config.matchAll(/^\s+bind \[?([0-9a-f.:]+?)\]?:\d+/gm)].map(([, address = '']) => address),
]

/** Whether somebody is a running test.ts. */
export const isProbe = (who: string): boolean => who.startsWith(probing)

/**
 * Tells what test.ts and status.ts themselves asked, which is nobody's use: by the name of their keys, by their word, and
 * where HAProxy could read nothing, by the address, since nobody else here sends what is no HTTP.
 */
export async function ownRequests(look: Look): Promise<(request: Asked) => boolean> {
  const word = await probeWord(look)
  const addresses = ownAddresses((await look.read(places(look).config)) ?? '')
  return ({ who, agent, path, address }) =>
    isProbe(who) ||
    (word !== undefined && agent.startsWith(word)) ||
    (['', '-'].includes(path) && addresses.includes(address))
}

import type { Host } from '../host.ts'
import { type Stream, streams } from '../observer/streams.ts'
import { places } from '../places.ts'

/** Ends the running answers of one key, in old workers, too (they keep their streams after a reload). Gives how many. */
export async function cutStreams(host: Host, name: string): Promise<number> {
  const found = (await streams(host)).filter(({ who }) => who === name)
  for (const stream of found) await cut(host, stream)
  return found.length
}

/** Ends one request, wherever it is. */
export async function cut(host: Host, { pid, session }: Stream): Promise<void> {
  await host.tell(places(host.home).masterSocket, `@!${pid} shutdown session ${session}`)
}

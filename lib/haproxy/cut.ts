import type { Host } from '../host/host.ts'
import { type Stream, streamsOf } from './streams.ts'
import { changeEach } from './workers.ts'

/** Ends the running answers of one key, in old workers, too (they keep their streams after a reload). Gives how many. Throws `Stop` (exit 5) when one goes on, or when a worker does not tell. */
export const cutStreams = (host: Host, name: string): Promise<number> => cut(host, ({ who }) => who === name)

/** Ends the requests that are meant, wherever they are, and looks that they are gone. */
export async function cut(host: Host, meant: (stream: Stream) => boolean): Promise<number> {
  const ended = new Set<string>()
  await changeEach(host, async (worker) => {
    const left = async () => (await streamsOf(worker)).filter(meant)
    const running = await left()
    for (const { pid, session, started } of running) {
      ended.add(`${pid} ${session} ${started}`)
      await worker.tell(`shutdown session ${session}`)
    }
    return running.length === 0 || (await left()).length === 0
  })
  return ended.size
}

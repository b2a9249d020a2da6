import { plainModel } from '../../gateway/policies/asked.ts'
import { believed, believedUntil, loadedMap } from '../../gateway/policies/loading.ts'
import { rowOf, setRunningMap } from '../../haproxy/runtime.ts'
import { detailsOf, type Stream, sightings, streams } from '../../haproxy/streams.ts'
import { changeEach } from '../../haproxy/workers.ts'
import type { Host } from '../../host/host.ts'
import { spellings } from '../../people/lists.ts'
import { running } from '../../site/models.ts'
import { spreads } from '../../site/nodes.ts'
import type { Settings } from '../../site/settings.ts'
import type { Duty } from '../duty.ts'

/** Ms after which a model that Ollama lists counts as loaded, though the request that asked for it is silent: it wants one whole answer. */
const patience = 60_000

/** What HAProxy could never compare with a request's model is left out. */
const plain = new RegExp(plainModel)

/** A request in a slot for loading. */
interface Slot extends Stream {
  waiting: boolean
  answering: boolean
}

/** Requests in this loading slot, and those of them whose model is still being loaded: Ollama sends no byte before (ollama.md §1.7). */
export async function slotsIn(
  host: Host,
  all: Stream[],
  server: string,
  silentFor: (found: Stream[]) => (one: Stream) => number,
): Promise<{ slots: Slot[]; loading: Slot[] }> {
  const slots = await Promise.all(
    all.filter((one) => one.server === server).map(async (one) => ({ ...one, ...(await detailsOf(host, one)) })),
  )
  const silent = slots.filter(({ waiting, answering }) => !waiting && !answering)
  const since = silentFor(silent)
  return { slots, loading: silent.filter((one) => since(one) < patience) }
}

/** Tells HAProxy which models are loaded, and opens the loading slot for the next as soon as a load has finished. */
export function loaded(settings: () => Settings, now: () => number = Date.now, steady = () => performance.now()): Duty {
  const sight = sightings(steady)
  return {
    name: 'loaded',
    everyMs: 1500,
    async run(host) {
      const { engine, inference } = settings()
      // Nodes are another duty's.
      if (spreads(settings())) return
      // It lists a model that is being loaded, too (Ollama's PsHandler).
      const listed = await running(host, '127.0.0.1', engine.port)
      if (!listed) return
      const all = await streams(host)
      const { slots, loading } = await slotsIn(host, all, 'loading', sight)
      const cold = loading.flatMap(({ model }) => spellings(model))
      const names = listed.flatMap(({ name }) => spellings(name))
      const warm = names.filter((name) => plain.test(name) && !cold.includes(name))
      const until = `${Math.floor(now() / 1000) + believed}`
      await setRunningMap(
        host,
        loadedMap,
        new Map([...warm.map((name): [string, string] => [name, 'yes']), [believedUntil, until]]),
      )
      const through = slots.filter((one) => !one.waiting && !loading.includes(one))
      await widen(host, 'loading', through, inference.slots - all.filter(({ server }) => server === 'engine').length)
    },
  }
}

/**
 * A request whose load is over keeps its place to its end, so there is one more for the next, as long as the engine has slots.
 * Each worker is asked what it has: an observer that was killed may have left its slot wide.
 */
export async function widen(host: Host, server: string, through: Stream[], free: number): Promise<void> {
  await changeEach(host, async ({ pid, ask, tell }) => {
    const own = through.filter((one) => one.pid === pid).length
    const room = 1 + Math.max(0, Math.min(own, free))
    const holds = async () => roomIn(await ask('show stat'), server) === room
    if (await holds()) return true
    await tell(`set maxconn server inference/${server} ${room}`)
    return holds()
  })
}

/** How many requests may use the loading slot at once; none where the worker has no such server. */
const roomIn = (stat: string, server: string): number => Number(rowOf(stat, 'inference', server)?.slim)

import { z } from 'zod'
import { getAt, type Host, type Look } from '../../host.ts'
import { spellings } from '../../keys/lists.ts'
import { places } from '../../places.ts'
import { believedUntil, loadedMap } from '../../proxy/policies/loading.ts'
import { setRunningMap } from '../../proxy/runtime.ts'
import type { Settings } from '../../settings.ts'
import type { Duty } from '../duty.ts'
import { detailsOf, type Stream, streams } from '../streams.ts'

/** Seconds for which HAProxy believes what it was told; without news all requests then go the usual way again. */
const believed = 5
/** Ms after which a model that Ollama lists counts as loaded, though the request that asked for it is silent: it wants one whole answer. */
const patience = 60_000

const answer = z.object({ models: z.array(z.object({ name: z.string() })).nullable() })

interface Slot extends Stream {
  waiting: boolean
  answering: boolean
}

/** Tells HAProxy which models are loaded, and opens the loading slot for the next as soon as a load has finished. */
export function loaded(settings: () => Settings, now: () => number = Date.now): Duty {
  const silentSince = new Map<string, number>()
  const told = new Map<string, number>()
  return {
    name: 'loaded',
    everyMs: 1500,
    async run(host) {
      const { engine, inference } = settings()
      const names = await listed(host, engine.port)
      if (!names) return
      const all = await streams(host)
      const slots = await Promise.all(
        all
          .filter(({ server }) => server === 'loading')
          .map(async (one) => ({ ...one, ...(await detailsOf(host, one)) })),
      )
      const loading = stillLoading(slots, silentSince, now())
      const cold = loading.flatMap(({ model }) => spellings(model))
      const warm = names.flatMap(spellings).filter((name) => !cold.includes(name))
      const until = `${Math.floor(now() / 1000) + believed}`
      await setRunningMap(
        host,
        loadedMap,
        new Map([[believedUntil, until], ...warm.map((name): [string, string] => [name, 'yes'])]),
      )
      const through = slots.filter((one) => !one.waiting && !loading.includes(one))
      await widen(host, through, inference.slots - all.filter(({ server }) => server === 'engine').length, told)
    },
  }
}

/** What Ollama lists as loaded; it lists a model that is being loaded, too (Ollama's PsHandler). Undefined when it does not answer. */
async function listed(look: Look, port: number): Promise<string[] | undefined> {
  const { status, body } = await getAt(look, { address: '127.0.0.1', port }, '/api/ps', 2000)
  const found = status === 200 ? answer.safeParse(JSON.parse(body)) : undefined
  return found?.success ? (found.data.models ?? []).map(({ name }) => name) : undefined
}

/** The requests whose model is being loaded: Ollama sends no byte before that is done (ollama.md §1.7). */
function stillLoading(slots: Slot[], silentSince: Map<string, number>, now: number): Slot[] {
  const silent = slots.filter(({ waiting, answering }) => !waiting && !answering)
  const name = ({ client, started }: Stream) => `${client} ${started}`
  for (const known of silentSince.keys()) if (!silent.some((one) => name(one) === known)) silentSince.delete(known)
  for (const one of silent) if (!silentSince.has(name(one))) silentSince.set(name(one), now)
  return silent.filter((one) => now - (silentSince.get(name(one)) ?? now) < patience)
}

/** A request whose load is over keeps its place to its end, so there is one more for the next, as long as the engine has slots. */
async function widen(host: Host, through: Slot[], free: number, told: Map<string, number>): Promise<void> {
  for (const pid of new Set([...told.keys(), ...through.map((one) => one.pid)])) {
    const own = through.filter((one) => one.pid === pid).length
    const room = 1 + Math.max(0, Math.min(own, free))
    if ((told.get(pid) ?? 1) !== room)
      await host.tell(places(host.home).masterSocket, `@!${pid} set maxconn server inference/loading ${room}`)
    if (room === 1) told.delete(pid)
    else told.set(pid, room)
  }
}

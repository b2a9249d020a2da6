import { hasNodes } from '../nodes.ts'
import type { Gateway, Policy } from '../policy.ts'
import { loadingSlot } from '../proofs/observed.ts'
import { refuse } from '../refusal.ts'
import { full } from './queue.ts'

/** What the running worker is told of loaded models: each spelling of them, and until when (unix time) that is to be believed. */
export const loadedMap = 'loaded.map'
export const believedUntil = '-until'
/** Seconds for which HAProxy believes what it was told; without news all requests then go the usual way again. */
export const believed = 5
/** What ends later was told before somebody set the clock back; corrections by some seconds are none. */
const inTime = `{ var(txn.believed) -m int 1:${believed + 10} }`

/**
 * A model that must be loaded first is asked through one slot, so that others wait here and not in Ollama, which leaks a
 * handler for each client that leaves there (ollama.md §1.3). Without the observer nothing is known, and all go the usual way.
 */
export const loading = (gateway: Gateway): Policy =>
  hasNodes(gateway) ? { name: 'loading', lines: {} } : ofEngine(gateway)

const ofEngine = (gateway: Gateway): Policy => ({
  name: 'loading',
  lines: {
    inspect: [
      `http-request set-var(txn.believed) str(${believedUntil}),map_str({{files}}/${loadedMap}),sub(txn.now) if inference`,
      `http-request set-var(txn.loaded) var(txn.model),map_str({{files}}/${loadedMap}) if ${inTime}`,
      `http-request set-var(txn.cold) bool(true) if ${inTime} { var(txn.model) -m found } !{ var(txn.loaded) -m found }`,
      refuse({
        status: 429,
        message: full(gateway.settings.queue.max),
        when: [
          `{ var(txn.cold) -m found } { queue(inference) ge ${gateway.settings.queue.max} } { srv_conn(inference/loading) ge 1 }`,
        ],
        headers: { 'retry-after': '5' },
      }),
    ],
    inference: [
      'use-server loading if { var(txn.cold) -m found }',
      `server loading 127.0.0.1:${gateway.settings.engine.port} maxconn 1 weight 0 track inference/engine`,
    ],
  },
  files: { [loadedMap]: `${believedUntil} 0\n` },
  proof: (target) => (gateway.settings.observer === 'on' ? loadingSlot(target) : []),
})

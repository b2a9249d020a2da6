import { randomInt } from 'node:crypto'
import { type Group, groups, openable } from '../endpoints.ts'
import type { Host } from '../host.ts'
import { personSpeeds } from '../proxy/policies/bandwidth.ts'
import { counting } from '../proxy/policies/limits.ts'
import { addRunning, removeRunning } from '../proxy/runtime.ts'
import type { Settings } from '../settings.ts'
import { generateKey, hashKey } from './key.ts'
import { exempt, probing, recordOf } from './maps.ts'
import { type Limits, readRegistry } from './registry.ts'
import { demandsOf } from './store.ts'

/** Seconds after which the keys of a test.ts that was killed count no longer. */
const lifetime = 600

const every: Limits = { groups: (Object.keys(groups) as Group[]).filter(openable) }

/** Keys that reach one limit each at once. */
const limited = {
  /** one request a minute */
  minute: { perMinute: 1 },
  /** one request in 10 s */
  burst: { burst: 1 },
  /** one request at once */
  single: { concurrent: 1 },
  /** nothing is left of the day */
  spent: {},
  /** none of its own, but those that everybody shares */
  shared: {},
  /** a millisecond to the first byte */
  hasty: { firstByte: 0.001 },
  /** one second for a whole request */
  brief: { whole: 1 },
  /** as few bytes a second as somebody has */
  paced: {},
  /** no group but the one that needs no key */
  narrow: { groups: ['probe'] },
  /** a list of models without any */
  listed: { models: [] },
  /** ended long ago */
  expired: {},
} satisfies Record<string, Limits>

/** The keys of a running test.ts: one without any limit, and one for each limit that is to be seen at work. */
export type ProbeKeys = Record<keyof typeof limited | 'free', string>

/** Runs something with keys that only the running workers know; undefined where nobody is counted or asked for one. */
export async function withProbeKeys<T>(
  host: Host,
  settings: Settings,
  run: (keys?: ProbeKeys) => Promise<T>,
): Promise<T> {
  if (!counting(settings)) return run()
  const now = Math.floor(Date.now() / 1000)
  // Another name each time: what an earlier run used up still counts for a minute.
  const thisRun = randomInt(36 ** 6).toString(36)
  const names = Object.keys(limited) as (keyof typeof limited)[]
  const keys = Object.fromEntries([...names, 'free'].map((name) => [name, generateKey()])) as ProbeKeys
  const nameOf = (name: string) => `${name === 'shared' ? `${probing}+` : exempt}${name}-${thisRun}`
  const [perSecond] = personSpeeds(settings, demandsOf(await readRegistry(host), settings).speeds)
  const own: Partial<Record<string, Limits>> = { paced: { perSecond } }
  const lines = names.map((name): [string, string] => [
    hashKey(keys[name]),
    recordOf(nameOf(name), name === 'expired' ? 1 : now + lifetime, { ...every, ...limited[name], ...own[name] }),
  ])
  const free = recordOf(nameOf('free'), now + lifetime, every)
  const spent = `${now + lifetime}|1s|tomorrow`
  try {
    await addRunning(host, 'keys/keys.map', new Map([[hashKey(keys.free), free], ...lines]))
    await addRunning(host, 'keys/spent.map', new Map([[nameOf('spent'), spent]]))
    return await run(keys)
  } finally {
    await removeRunning(host, 'keys/keys.map', Object.values(keys).map(hashKey))
    await removeRunning(host, 'keys/spent.map', [nameOf('spent')])
  }
}

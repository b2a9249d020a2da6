import { randomInt } from 'node:crypto'
import { addRunning, removeRunning } from '../../haproxy/runtime.ts'
import { askMaster, serving, workers, workersOf } from '../../haproxy/workers.ts'
import type { Host } from '../../host/host.ts'
import { readRegistry } from '../../people/given.ts'
import { generateKey, hashKey } from '../../people/key.ts'
import { exempt, probing, recordOf } from '../../people/records.ts'
import type { Limits } from '../../site/limits.ts'
import type { Settings } from '../../site/settings.ts'
import { counting } from '../../site/settings.ts'
import { demandsOf } from '../demands.ts'
import { personSpeeds } from '../policies/bandwidth.ts'
import { every, limited, type ProbeKeys } from './probe-keys.ts'

/** Seconds after which the keys of a test.ts that was killed count no longer. */
const lifetime = 1800

/** Runs something with keys that only the worker knows that serves new requests, so that one which finishes earlier answers and hears nothing keeps no proof from running, and a way to tell them to one that a reload brought; none where nobody is counted or asked for one. */
export async function withProbeKeys<T>(
  host: Host,
  settings: Settings,
  run: (keys?: ProbeKeys, renew?: () => Promise<void>) => Promise<T>,
): Promise<T> {
  if (!counting(settings)) return run()
  const [perSecond] = personSpeeds(settings, demandsOf(await readRegistry(host), settings).speeds)
  const { keys, maps } = made(perSecond)
  const forget = async () => {
    for (const [file, lines] of maps) await removeRunning(host, file, lines.keys(), serving)
  }
  let told: string[] | undefined
  const renew = async () => {
    let pids = workers((await askMaster(host, 'show proc')) ?? '')
    // A master that has just started, or takes in a new configuration, is silent for a moment; one that named nobody then is not waited for again.
    if (pids.length === 0 && told?.length !== 0) pids = await workersOf(host)
    if (!pids.every((pid) => told?.includes(pid)))
      for (const [file, lines] of maps) await addRunning(host, file, lines, serving)
    told = pids
  }
  try {
    await renew()
    return await run(keys, renew)
  } finally {
    await forget()
  }
}

/** The keys of one run, and what they are in each map. The names are others each time: what an earlier run used up still counts for a minute. */
function made(perSecond?: number): { keys: ProbeKeys; maps: [string, Map<string, string>][] } {
  const until = Math.floor(Date.now() / 1000) + lifetime
  const thisRun = randomInt(36 ** 6).toString(36)
  const names = Object.keys(limited) as (keyof ProbeKeys)[]
  const keys = Object.fromEntries(names.map((name) => [name, generateKey()])) as ProbeKeys
  const nameOf = (name: keyof ProbeKeys) => `${name === 'shared' ? `${probing}+` : exempt}${name}-${thisRun}`
  const own: Partial<Record<keyof ProbeKeys, Limits>> = { paced: { perSecond } }
  const lines = names.map((name): [string, string] => [
    hashKey(keys[name]),
    recordOf(nameOf(name), name === 'expired' ? 1 : until, { ...every, ...limited[name], ...own[name] }),
  ])
  const spent = new Map([[nameOf('spent'), `${until}|1s|tomorrow`]])
  return {
    keys,
    maps: [
      ['keys/keys.map', new Map(lines)],
      ['keys/spent.map', spent],
    ],
  }
}

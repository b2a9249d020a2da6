import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { json } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { places } from '../platform/here.ts'
import type { Settings } from '../site/settings.ts'
import { fromAcme, Later } from './acme.ts'
import { fromFiles } from './files.ts'
import { covers, judge } from './judge.ts'
import { fromOwnCa, placeholder, placeholderTitle } from './own-ca.ts'
import { type Facts, isDue, lived, type Pair } from './pair.ts'
import { heldFor, pemFile, shownFor } from './served.ts'
import type { Brought, Source, Wanted } from './source.ts'
import { swap } from './swap.ts'
import { fromTailscale } from './tailscale.ts'

/** What is remembered of a name. */
const memory = z.object({
  /** where the one in use came from */
  from: z.string().optional(),
  /** the last try, where it brought nothing */
  trial: z
    .object({
      /** why, a sentence */
      fault: z.string(),
      /** ms since 1970 of the try, and of the next one */
      at: z.number(),
      next: z.number(),
    })
    .optional(),
})

export type Memory = z.infer<typeof memory>

const memoryFile = (look: Look): string => `${places(look).state}/certificates.json`

/** What is remembered, by name. */
export async function memories(look: Look): Promise<Record<string, Memory>> {
  const found = z.record(z.string(), memory).safeParse(json((await look.read(memoryFile(look))) ?? '{}'))
  return found.success ? found.data : {}
}

async function remember(host: Host, name: string, what: Memory): Promise<void> {
  const all = await memories(host)
  if (isDeepStrictEqual(all[name], what)) return
  await host.write(memoryFile(host), `${JSON.stringify({ ...all, [name]: what })}\n`)
}

/** In a word, where a name's certificate is to come from. */
export const sourceOf = (settings: Settings, name: string): string => {
  const source = settings.tls[name]
  return typeof source === 'object' ? 'files' : (source ?? 'nowhere')
}

const sources: Record<string, Source> = { tailscale: fromTailscale, acme: fromAcme, 'own-ca': fromOwnCa }

/** ms after which a try that failed is made again, where the source says nothing else. */
const usual = 3_600_000

/** Whether what is served is none yet. */
export const isPlaceholder = ({ leaf }: Pick<Facts, 'leaf'>): boolean =>
  leaf.subject?.includes(placeholderTitle) ?? false

/** Whether a new certificate is wanted: a third of its life is left, it is for other names, or it is none yet. */
export const wantsNew = (held: Facts | undefined, name: string, now = Date.now()): boolean =>
  held === undefined || isPlaceholder(held) || isDue(held, now) || !covers(held, name)

/**
 * Sees to it that a name is served with what its source has: asks where it is due, judges, swaps. What is on disk and not
 * served is served. One that fails is tried again when its time has come, or at once when `now` is told. Gives whether
 * something was changed. Throws `Unfit` or another `Stop`; the certificate in use stays then.
 */
export async function renew(host: Host, settings: Settings, name: string, { now = false } = {}): Promise<boolean> {
  const { trial, from } = (await memories(host))[name] ?? {}
  // A try of the future was made while the clock was wrong.
  const early = trial && trial.at <= Date.now() && trial.next > Date.now()
  // Files are looked at for nothing.
  if (early && !now && sourceOf(settings, name) !== 'files') {
    await serveHeld(host, name)
    throw new Later(trial.fault, trial.next - Date.now())
  }
  try {
    const changed = await freshen(host, settings, name, from)
    await remember(host, name, { from: sourceOf(settings, name) })
    return changed
  } catch (error) {
    const again = error instanceof Later ? error.again : usual
    const fault = error instanceof Error ? error.message : `${error}`
    await remember(host, name, { from, trial: { fault, at: Date.now(), next: Date.now() + again } })
    throw error
  }
}

async function freshen(host: Host, settings: Settings, name: string, from?: string): Promise<boolean> {
  const kept = await heldFor(host, name)
  const held = kept && !isPlaceholder(kept) ? kept : undefined
  const due = wantsNew(held, name) || from !== sourceOf(settings, name)
  const brought = await bring(host, { name, settings, held, due })
  if (brought === undefined) return serveHeld(host, name)
  const pair = judge(brought.pem, { name, source: brought.source, held })
  if (held?.serial === pair.serial) return serveHeld(host, name)
  await swap(host, name, pair)
  return true
}

async function bring(host: Host, wanted: Wanted): Promise<Brought> {
  const from = wanted.settings.tls[wanted.name]
  if (typeof from === 'object') return fromFiles(host, wanted, from)
  return from === undefined ? undefined : sources[from]?.(host, wanted)
}

/** What is on disk and is not served somewhere is swapped in once more. */
async function serveHeld(host: Host, name: string): Promise<boolean> {
  const held = await heldFor(host, name)
  const text = await host.read(pemFile(host, name))
  if (!held || text === undefined) return false
  const other = (await shownFor(host, name)).some(({ facts }) => facts && facts.serial !== held.serial)
  if (!other) return false
  await swap(host, name, { ...held, text } satisfies Pair)
  return true
}

/**
 * The first certificate of a name, before the gateway can start. One that is proven through the gateway itself (HTTP-01) begins
 * with a placeholder, and the observer has it replaced as soon as the gateway answers.
 */
export async function first(host: Host, settings: Settings, name: string): Promise<void> {
  const throughGateway = settings.tls[name] === 'acme' && settings.acme.dns === undefined
  if (!throughGateway || (await heldFor(host, name))) {
    await renew(host, settings, name, { now: true })
    return
  }
  const pem = await placeholder(host, name)
  if (pem !== undefined) await swap(host, name, judge(pem, { name, source: 'a placeholder' }))
}

/** The share of its life that is left, from 0 to 1; less than nothing once it has expired. */
export const left = (facts: Facts, now = Date.now()): number => 1 - lived(facts, now)

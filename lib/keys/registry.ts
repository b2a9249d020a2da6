import { z } from 'zod'
import { type Group, groups, openable } from '../endpoints.ts'
import { Stop } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { places } from '../platform/mac/places.ts'

const selectable = (Object.keys(groups) as Group[]).filter(openable) as [Group, ...Group[]]
const hash = z.strictObject({ sha256: z.string().regex(/^[0-9A-F]{64}$/), until: z.iso.datetime().optional() })

/** A model, or a pattern such as qwen3*; its letters go into HAProxy's maps and commands. */
export const modelGlob = z.string().regex(/^[\w*?][\w.*?:/-]{0,199}$/, 'a model or a pattern such as qwen3*')

/** What a key may do; an absent limit is none. */
export const limits = z.strictObject({
  groups: z.array(z.enum(selectable)).optional(),
  models: z.array(modelGlob).optional(),
  /** may download, delete, create, copy and upload models */
  admin: z.literal(true).optional(),
  /** requests to a model a minute */
  perMinute: z.int().min(1).max(100_000).optional(),
  /** requests to a model in any 10 seconds */
  burst: z.int().min(1).max(100_000).optional(),
  /** requests to a model at once */
  concurrent: z.int().min(1).max(10_000).optional(),
  /** requests to a model under way while every slot is taken */
  waiting: z.int().min(1).max(10_000).optional(),
  /** share of a day: seconds of generation, bytes of answers */
  perDay: z.strictObject({ seconds: z.int().min(1).optional(), bytes: z.int().min(1).optional() }).optional(),
  /** seconds that an answer may take: to its first byte, in silence after it, as a whole */
  firstByte: z.int().min(1).max(2100).optional(),
  silence: z.int().min(1).max(2100).optional(),
  whole: z.int().min(1).max(86_400).optional(),
  /** seconds that a request may wait for a slot */
  queue: z.int().min(1).max(2100).optional(),
  /** bytes of answers a second */
  perSecond: z
    .int()
    .min(1024)
    .max(1024 ** 3)
    .optional(),
  expires: z.iso.datetime().optional(),
  note: z
    .string()
    .max(200)
    .regex(/^[^\p{Cc}]*$/u, 'a note without control characters')
    .optional(),
})
export type Limits = z.infer<typeof limits>

const entry = z.strictObject({ ...limits.shape, created: z.iso.datetime(), hashes: z.array(hash) })
const schema = z.strictObject({ version: z.literal(1), keys: z.record(z.string(), entry) })

/** Whom a key was made for, under which hashes it is known (two while a rotation's grace lasts), and its limits. */
export type Entry = z.infer<typeof entry>
/** Every key by its name; no key itself. */
export type Registry = z.infer<typeof schema>

/** Names go into maps, URLs of metrics and log lines: plain letters only, 64 at most. */
export const keyName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,63}$/,
    'a name of 1 to 64 small letters, digits, . _ - (beginning with a letter or digit)',
  )

export const noKeys: Registry = { version: 1, keys: {} }

/** Reads the keys; none when the file is not there. Throws `Stop` (exit 2) when it is not what keys.ts wrote. */
export async function readRegistry(look: Look): Promise<Registry> {
  const file = places(look.home).keys
  const text = await look.read(file)
  if (text === undefined) return structuredClone(noKeys)
  return parseRegistry(text, file)
}

/** Checks a registry's text, ours or an export; throws `Stop` (exit 2). */
export function parseRegistry(text: string, file: string): Registry {
  const found = schema.safeParse(parsed(text))
  const bad = found.success ? Object.keys(found.data.keys).find((name) => !keyName.safeParse(name).success) : undefined
  if (found.success && bad === undefined) return found.data
  const reason = found.error?.issues[0]
  const where = reason ? `${reason.path.join('.') || 'top'}: ${reason.message}` : `the name ${JSON.stringify(bad)}`
  throw new Stop(
    2,
    `${file} is not as keys.ts writes it (${where}); put a good copy back, or move it away to begin without keys. Nothing was changed.`,
  )
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export const saveRegistry = (host: Host, registry: Registry): Promise<void> =>
  host.write(places(host.home).keys, `${JSON.stringify(registry, null, 2)}\n`)

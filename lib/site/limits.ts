import { z } from 'zod'
import { type Group, groups, openable } from './endpoints.ts'
import { count } from './wanted.ts'

const selectable = (Object.keys(groups) as Group[]).filter(openable) as [Group, ...Group[]]
/** In capitals, as HAProxy writes one. */
const sha256 = z
  .string()
  .toUpperCase()
  .regex(/^[0-9A-F]{64}$/)
const hash = z.strictObject({ sha256, until: z.iso.datetime().optional() })

/** A model, or a pattern such as qwen3*; its letters go into HAProxy's maps and commands. */
export const modelGlob = z.string().regex(/^[\w*?][\w.*?:/-]{0,199}$/, 'a model or a pattern such as qwen3*')

/** What a key may do; an absent limit is none. */
export const limits = z.strictObject({
  groups: z.array(z.enum(selectable)).optional(),
  models: z.array(modelGlob).optional(),
  /** may download, delete, create, copy and upload models */
  admin: z.literal(true).optional(),
  /** requests to a model a minute */
  perMinute: count(1, 100_000).optional(),
  /** requests to a model in any 10 seconds */
  burst: count(1, 100_000).optional(),
  /** requests to a model at once */
  concurrent: count(1, 10_000).optional(),
  /** requests to a model under way while every slot is taken */
  waiting: count(1, 10_000).optional(),
  /** share of a day: seconds of generation, bytes of answers */
  perDay: z.strictObject({ seconds: z.int().min(1).optional(), bytes: z.int().min(1).optional() }).optional(),
  /** seconds that an answer may take: to its first byte, in silence after it, as a whole */
  firstByte: count(1, 2100).optional(),
  silence: count(1, 2100).optional(),
  whole: count(1, 86_400).optional(),
  /** seconds that a request may wait for a slot */
  queue: count(1, 2100).optional(),
  /** bytes of answers a second */
  perSecond: count(1024, 1024 ** 3).optional(),
  expires: z.iso.datetime().optional(),
  note: z
    .string()
    .max(200, 'a note of 200 letters at most')
    .regex(/^[^\p{Cc}]*$/u, 'a note without control characters')
    .optional(),
})
export type Limits = z.infer<typeof limits>

const entry = z.strictObject({
  ...limits.shape,
  created: z.iso.datetime(),
  /** it stands in a file that the owner keeps elsewhere, and goes with its line there */
  given: z.literal(true).optional(),
  hashes: z.array(hash),
  certificates: z.array(hash).optional(),
})
/** The file of the keys. */
export const registry = z.strictObject({ version: z.literal(1), keys: z.record(z.string(), entry) })

/** Whom a key was made for, under which hashes it is known (two while a rotation's grace lasts), with which client certificates (by the SHA-256 of their DER), and its limits. */
export type Entry = z.infer<typeof entry>
/** Every key by its name; no key itself. */
export type Registry = z.infer<typeof registry>

export const noKeys: Registry = { version: 1, keys: {} }

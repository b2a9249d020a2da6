import picomatch from 'picomatch'
import { z } from 'zod'
import { fitsLine, parseMap } from '../haproxy/map-text.ts'
import { getAt, type Look } from '../host/host.ts'
import { together } from '../nodes/lists.ts'
import type { Registry } from '../site/limits.ts'
import { spreads } from '../site/nodes.ts'
import type { Settings } from '../site/settings.ts'

/** What Ollama says of its models, both families as they are answered to clients. */
export interface Catalogue {
  v1: { object: string; data: { id: string }[] }
  api: { models: { name: string }[] }
}
export type Family = keyof Catalogue

const card = z.looseObject({ id: z.string(), created: z.number().optional() })
const tag = z.looseObject({ name: z.string(), modified_at: z.string().optional() })
const v1 = z.looseObject({ object: z.string(), data: z.array(card).nullable() })
const api = z.looseObject({ models: z.array(tag).nullable() })

/** The newest first, as Ollama has them, and those of one second by name: Ollama gives these in another order at each call (0.24). */
const ordered = <T>(list: T[] | null, of: (one: T) => { name: string; seconds: number }): T[] =>
  (list ?? []).toSorted((a, b) => {
    const [one, other] = [of(a), of(b)]
    return other.seconds - one.seconds || (one.name < other.name ? -1 : 1)
  })

const cardOf = ({ id, created = 0 }: z.infer<typeof card>) => ({ name: id, seconds: created })
const tagOf = ({ name, modified_at = '' }: z.infer<typeof tag>) => ({
  name,
  seconds: Math.floor(Date.parse(modified_at) / 1000) || 0,
})

/** What decides who tells which models there are. */
export type Telling = Pick<Settings, 'role' | 'nodes' | 'engine' | 'inference'>

/** Both lists, in an order that only a change changes: of the Ollama on this machine, undefined when it does not answer, or of all nodes. */
export const catalogue = (look: Look, settings: Telling): Promise<Catalogue | undefined> =>
  spreads(settings) ? together(look, settings) : ofEngine(look, settings.engine.port)

async function ofEngine(look: Look, port: number): Promise<Catalogue | undefined> {
  const [one, other] = [await families.v1(look, port), await families.api(look, port)]
  return one && other && { v1: one, api: other }
}

const read = async (look: Look, port: number, path: string): Promise<unknown> =>
  parsed((await getAt(look, { address: '127.0.0.1', port }, path)).body)

const families = {
  async v1(look: Look, port: number): Promise<Catalogue['v1'] | undefined> {
    const { data } = v1.safeParse(await read(look, port, '/v1/models'))
    return data && { ...data, data: ordered(data.data, cardOf) }
  },
  async api(look: Look, port: number): Promise<Catalogue['api'] | undefined> {
    const { data } = api.safeParse(await read(look, port, '/api/tags'))
    return data && { ...data, models: ordered(data.models, tagOf) }
  },
}

const picked = {
  v1: (list: Catalogue['v1'], models: string[]) => ({ ...list, data: list.data.filter(({ id }) => meant(id, models)) }),
  api: (list: Catalogue['api'], models: string[]) => ({
    ...list,
    models: list.models.filter(({ name }) => meant(name, models)),
  }),
}

/** What there is of these models, as an Ollama would answer itself; undefined when it does not answer. */
export async function listOf(
  look: Look,
  settings: Telling,
  family: Family,
  models: string[],
): Promise<string | undefined> {
  const all = spreads(settings) ? await together(look, settings) : undefined
  const { port } = settings.engine
  const [one, other] = [
    family === 'v1' ? (all?.v1 ?? (await families.v1(look, port))) : undefined,
    family === 'api' ? (all?.api ?? (await families.api(look, port))) : undefined,
  ]
  if (one) return JSON.stringify(picked.v1(one, models))
  return other && JSON.stringify(picked.api(other, models))
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const host = /^(registry\.ollama\.ai\/)?(library\/)?/
const plain = (name: string): string => name.toLowerCase().replace(host, '')
const tagged = (name: string): string => (/:[^/]*$/.test(name) ? name : `${name}:latest`)

/** Every way in which Ollama lets one model be written, in small letters (facts: Ollama's `types/model/name.go`). */
export function spellings(name: string): string[] {
  const whole = tagged(plain(name))
  const names = whole.endsWith(':latest') ? [whole, whole.replace(/:latest$/, '')] : [whole]
  const folders = whole.includes('/')
    ? ['', 'registry.ollama.ai/']
    : ['', 'library/', 'registry.ollama.ai/library/', 'registry.ollama.ai/']
  return names.flatMap((one) => folders.map((folder) => `${folder}${one}`))
}

/** Ollama's cloud is off; a name that stands for it is in no list. */
const cloud = /[:-]cloud$/

/** Whether a model is meant by one of these names or globs (`qwen3*`, `hf.co/**`). */
export function meant(model: string, globs: string[]): boolean {
  const name = tagged(plain(model))
  return (
    !cloud.test(name) &&
    globs.some((glob) => tagged(plain(glob)) === name || picomatch.isMatch(name, plain(glob), { nocase: true }))
  )
}

const literal = (glob: string): boolean => !/[*?[\]{}()!]/.test(glob)

export interface ListMaps {
  'models.map': Map<string, string>
  'list-v1.map': Map<string, string>
  'list-api.map': Map<string, string>
}

/** Somebody's list of models: of a key, or of a rule of `people`. */
export interface Listed {
  name: string
  models: string[]
}

/** Whoever has a list of models: only for their sake HAProxy holds whole bodies. */
export const listedOf = ({ keys }: Registry, { people }: Pick<Settings, 'people'>): Listed[] =>
  Object.entries({ ...keys, ...people }).flatMap(([name, { models }]) => (models ? [{ name, models }] : []))

/** What HAProxy needs for lists of models, without what is too long for it; while Ollama is silent, what was known stays for those who still have a list. */
export function listMaps(
  listed: Listed[],
  known: Catalogue | undefined,
  before: Record<keyof ListMaps, string>,
): ListMaps {
  if (!known) return kept(listed, before)
  const named = (models: string[]) => models.filter((name) => literal(name) && !cloud.test(tagged(plain(name))))
  const names = (models: string[]) => [
    ...named(models),
    ...picked.api(known.api, models).models.map(({ name }) => name),
  ]
  return {
    'models.map': new Map(
      listed.flatMap(({ name, models }) =>
        names(models)
          .flatMap(spellings)
          .map((one) => [`${name}|${one}`, 'yes']),
      ),
    ),
    'list-v1.map': new Map(texts(listed, known, 'v1').filter((line) => fitsLine(...line))),
    'list-api.map': new Map(texts(listed, known, 'api').filter((line) => fitsLine(...line))),
  }
}

/** Each one's list, as a line of a map holds it. */
const texts = (listed: Listed[], known: Catalogue, family: Family): [string, string][] =>
  listed.map(({ name, models }) => {
    const list = family === 'v1' ? picked.v1(known.v1, models) : picked.api(known.api, models)
    return [name, Buffer.from(JSON.stringify(list)).toString('base64')]
  })

/** The first whose list is too long for a map. */
export const tooLong = (listed: Listed[], known: Catalogue): string | undefined =>
  [...texts(listed, known, 'v1'), ...texts(listed, known, 'api')].find((line) => !fitsLine(...line))?.[0]

/** What somebody's list says to who reads it: which models. A file that was touched is no other model. */
export function meaningOf(list: string): string {
  const found = parsed(Buffer.from(list, 'base64').toString()) as { data?: unknown; models?: unknown } | undefined
  const all = z.array(z.looseObject({ id: z.string().optional(), name: z.string().optional() }))
  const { data } = all.safeParse(found?.data ?? found?.models)
  const models = data?.map(({ created, modified_at, ...rest }) => JSON.stringify(rest))
  return models ? models.sort().join('\n') : list
}

function kept(listed: Listed[], before: Record<keyof ListMaps, string>): ListMaps {
  const has = (key: string) => listed.some(({ name }) => key === name || key.startsWith(`${name}|`))
  const of = (text: string) => new Map([...parseMap(text)].filter(([key]) => has(key)))
  return {
    'models.map': of(before['models.map']),
    'list-v1.map': of(before['list-v1.map']),
    'list-api.map': of(before['list-api.map']),
  }
}

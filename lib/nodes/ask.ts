import { z } from 'zod'
import { json } from '../host/command.ts'
import type { Look, RawAnswer } from '../host/host.ts'
import { type EngineKind, kindOf } from '../site/engines.ts'
import { connectedAt, hostFor, type Node } from '../site/nodes.ts'

/** A model of a node, and whether it is in memory, as far as the node tells. */
export interface NodeModel {
  name: string
  loaded: boolean
  /** bytes on disk, where they are told */
  size?: number
  /** which files it is, where that is told */
  digest?: string
  /** all that an Ollama tells of it in its list */
  tag?: Record<string, unknown>
  /** marks of the gateways that it comes by, the nearest first, where a gateway tells them */
  gateways?: string[]
}

/** What a node said when it was asked, or why it said nothing that counts. */
export type Said = { models: NodeModel[] } | { fault: string }

/** More models than these nobody reads in a list, and each is a line that HAProxy knows. */
export const mostModels = 1000

/** How a node is spoken to beside its place: its key, and who signs its certificate (PEM). */
export interface Means {
  key?: string
  roots?: string
}

const tags = z.object({
  models: z
    .array(z.looseObject({ name: z.string(), size: z.number().optional(), digest: z.string().optional() }))
    .nullable(),
})
const loaded = z.object({ models: z.array(z.object({ name: z.string() })).nullable() })
const card = z.object({
  id: z.string(),
  status: z.object({ value: z.string() }).optional(),
  gateways: z.array(z.string()).optional().catch(undefined),
})
const cards = z.object({ data: z.array(card).nullable() })
const studio = z.object({
  models: z.array(
    z.object({ key: z.string(), size_bytes: z.number().optional(), loaded_instances: z.array(z.unknown()).optional() }),
  ),
})

/** GET of a node, as the gateway itself would ask it. */
const get = (look: Look, node: Node, target: string, { key, roots }: Means): Promise<RawAnswer> =>
  look.probe({
    ...{ address: connectedAt(node.address), port: node.port, method: 'GET', target, timeoutMs: 5000 },
    headers: { host: hostFor(node), ...(key ? { authorization: `Bearer ${key}` } : {}) },
    ...(roots === undefined ? {} : { tlsName: node.address, tlsRoots: roots }),
  })

/** Why an answer is none of what was asked, in a few words. */
function faultOf(answer: RawAnswer, what: string): string {
  if (answer.end === 'refused') return refusals[answer.error ?? ''] ?? `no connection (${answer.error ?? 'refused'})`
  if (answer.end === 'timeout') return 'no answer within 5 s'
  if (answer.status === 401 || answer.status === 403) return `it wants a key, or another one (${answer.status})`
  if (answer.status !== 200) return `it answered ${answer.status} where ${what} answers with its models`
  return `its answer is not what ${what} would say`
}

/** Why nothing can be asked there, whatever it is. */
const nowhere: Record<string, string> = {
  ENOTFOUND: 'its name is known to no resolver',
  EAI_AGAIN: 'no resolver answers for its name',
  EHOSTUNREACH: 'there is no way to it',
  ENETUNREACH: 'there is no way to it',
}

/** Why a place cannot be reached at all; undefined where it can, or where only this port is closed. */
export const unreachable = async (look: Look, node: Node, means: Means): Promise<string | undefined> =>
  nowhere[(await get(look, node, '/', means)).error ?? '']

const refusals: Record<string, string> = {
  ECONNREFUSED: 'nobody listens there',
  ...nowhere,
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not signed by the authority that is named',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not signed by the authority that is named',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not signed by the authority that is named',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  EPROTO: 'it does not speak TLS there',
}

type Reading = (look: Look, node: Node, means: Means) => Promise<Said>

/** One list that says all, read by a schema. */
function byList<T>(target: string, schema: z.ZodType<T>, modelsOf: (list: T) => NodeModel[]): Reading {
  return async (look, node, means) => {
    const answer = await get(look, node, target, means)
    const list = schema.safeParse(json(answer.body))
    const { what } = kindOf(node.engine)
    return answer.status === 200 && list.success ? { models: modelsOf(list.data) } : { fault: faultOf(answer, what) }
  }
}

const known = ({ name, size, digest }: { name: string; size?: number; digest?: string }) => ({
  ...{ name, ...(size === undefined ? {} : { size }), ...(digest === undefined ? {} : { digest }) },
})

const ollama: Reading = async (look, node, means) => {
  const all = await byList('/api/tags', tags, ({ models }) =>
    (models ?? []).map((tag) => ({ ...known(tag), loaded: false, tag })),
  )(look, node, means)
  if ('fault' in all) return all
  const answer = await get(look, node, '/api/ps', means)
  const there = loaded.safeParse(json(answer.body)).data?.models ?? []
  const names = new Set(there.map(({ name }) => name))
  return { models: all.models.map((one) => ({ ...one, loaded: names.has(one.name) })) }
}

/** How each kind tells its models (facts: nodes.md §7). Who does not say what is loaded loads by itself, or has a gateway of its own that knows. */
const readings: Record<EngineKind['lists'], Reading> = {
  ollama,
  openai: byList('/v1/models', cards, ({ data }) =>
    (data ?? []).map(({ id, gateways }) => ({ name: id, loaded: true, ...(gateways ? { gateways } : {}) })),
  ),
  llamacpp: byList('/v1/models', cards, ({ data }) =>
    (data ?? []).map(({ id, status }) => ({ name: id, loaded: status === undefined || status.value === 'loaded' })),
  ),
  lmstudio: byList('/api/v1/models', studio, ({ models }) =>
    models.map(({ key, size_bytes: size, loaded_instances: instances }) => ({
      ...{ name: key, loaded: (instances?.length ?? 0) > 0 },
      ...(size === undefined ? {} : { size }),
    })),
  ),
}

/** Asks a node which models it has; never throws, since a node may say anything. */
export const askNode: Reading = (look, node, means) => readings[kindOf(node.engine).lists](look, node, means)

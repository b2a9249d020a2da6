import { z } from 'zod'
import { json } from '../host/command.ts'
import type { Look, RawAnswer } from '../host/host.ts'
import { type EngineName, kindOf } from '../site/engines.ts'
import { hostFor, type Node } from '../site/nodes.ts'
import type { Means } from './ask.ts'

const version = z.object({ version: z.string() })
const studio = z.object({ models: z.array(z.object({ key: z.string() })) })
const owned = z.object({ data: z.array(z.object({ owned_by: z.string().optional() })) })

/** What tells a kind from the others: a path, and what it says there. Ours says ok to its own health question, and passes Ollama's on. */
const signs: { engine: EngineName; path: string; holds(answer: RawAnswer): boolean }[] = [
  { engine: 'gateway', path: '/healthz', holds: ({ body }) => body.trim() === 'ok' },
  { engine: 'ollama', path: '/api/version', holds: ({ body }) => version.safeParse(json(body)).success },
  { engine: 'lmstudio', path: '/api/v1/models', holds: ({ body }) => studio.safeParse(json(body)).success },
  { engine: 'vllm', path: '/v1/models', holds: ({ body }) => ownerIn(body) === 'vllm' },
  { engine: 'llamacpp', path: '/v1/models', holds: ({ body }) => ownerIn(body) === 'llamacpp' },
  { engine: 'mlx', path: '/v1/models', holds: ({ body }) => owned.safeParse(json(body)).success },
]

const ownerIn = (body: string): string | undefined => owned.safeParse(json(body)).data?.data[0]?.owned_by

/** What a place is, by what it answers; undefined where that is nothing known. `port` is that of each kind where none is told. */
export async function recognise(
  look: Look,
  place: { address: string; port?: number },
  { key, roots }: Means,
): Promise<{ engine: EngineName; port: number } | undefined> {
  for (const { engine, path, holds } of signs) {
    const port = place.port ?? kindOf(engine).port
    const node = { ...place, engine, port } as Node
    const answer = await look.probe({
      ...{ address: place.address, port, method: 'GET', target: path, timeoutMs: 3000 },
      headers: { host: hostFor(node), ...(key ? { authorization: `Bearer ${key}` } : {}) },
      ...(roots === undefined ? {} : { tlsName: place.address, tlsRoots: roots }),
    })
    if (answer.status === 200 && holds(answer)) return { engine, port }
  }
  return undefined
}

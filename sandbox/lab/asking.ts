import { triedVersions } from '../attacks/versions/each.ts'
import type { RunningGateway } from './gateway.ts'
import { type Client, dial, type Reply, request } from './raw.ts'

/** The usual HAProxy, for stories that take their time; `npm run versions` runs them with each. */
export const usualAlone = triedVersions.slice(0, 1)

let count = 0
/** A conversation of its own with a number by which engines' journals know it, at which an engine that is told to works so long (ms). */
export const chat = (model: string, ms = 0, more: object = {}): { id: number } => {
  count += 1
  return { model, id: count, user: `${ms}`, messages: [{ role: 'user', content: `This is ${count}.` }], ...more } as {
    id: number
  }
}

export interface Way {
  path?: string
  host?: string
  headers?: string[]
}

type Place = Pick<RunningGateway, 'address' | 'port' | 'host'>

/** A request to a model; a text is sent as it is. */
export function bytesOf(
  at: Place,
  body: object | string,
  { path = '/v1/chat/completions', host = at.host, headers = [] }: Way = {},
): Buffer {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return request(`POST ${path} HTTP/1.1`, [`Host: ${host}`, ...headers], text)
}

/** The same on its way, over a connection of its own. */
export async function open(...[at, ...rest]: Parameters<typeof bytesOf>): Promise<Client> {
  const client = await dial(at)
  client.send(bytesOf(at, ...rest))
  return client
}

/** What came of one: an answer (`whole` tells whether all of it is there), or nothing of any. */
export async function ask(...asked: Parameters<typeof open>): Promise<Reply | undefined> {
  const client = await open(...asked)
  const [reply] = await client.settled(1, 60_000)
  client.hangUp()
  return reply
}

export const header = (reply: Reply | undefined, name: string): string | undefined =>
  reply?.head.headers.find(([given]) => given === name)?.[1]

/** Status and node of an answer. */
export const came = (reply: Reply | undefined): [number | undefined, string | undefined] => [
  reply?.status,
  header(reply, 'x-served-by'),
]

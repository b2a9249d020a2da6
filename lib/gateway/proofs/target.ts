import type { Look, RawAnswer } from '../../host/host.ts'
import { type Endpoint, type Group, openRows } from '../../site/endpoints.ts'
import type { ProbeKeys } from './probe-keys.ts'

/** Where the gateway is, and what may be asked of it. */
export interface Target {
  address: string
  port: number
  /** Host header: the address with the port */
  host: string
  /** the name to shake hands for, where it is asked by https */
  tlsName?: string
  /** requests are given to nodes, by their models */
  several?: true
  /** this machine has no engine of its own, and what stands for it below is the gateway again */
  engineless?: true
  /** the engine itself, past the gateway */
  engine: { address: string; port: number }
  groups: Group[]
  /** bytes that a body may have, where that may be less than a test asks */
  bodyLimit?: number
  /** API keys of this run alone, where the gateway asks for one or counts */
  keys?: ProbeKeys
  /** the model to ask; absent when none is installed */
  model?: ModelFacts
}

export interface ModelFacts {
  name: string
  /** what /api/show lists: completion, tools, thinking, vision, … */
  capabilities: string[]
}

/** The header that says who asks; where no key is asked for, any word does. */
export const bearer = ({ keys }: Pick<Target, 'keys'>, name: keyof ProbeKeys = 'free') => ({
  authorization: `Bearer ${keys?.[name] ?? 'test'}`,
})

/** The open rows that ask a model. */
export const modelRows = ({ groups }: Target): Endpoint[] =>
  openRows(groups).filter(({ backend }) => backend === 'inference')

/** Sends JSON through the gateway; ms as deadline, 120 s unless told, since a cold model loads first. */
export function send(look: Look, target: Target, path: string, body: unknown, timeoutMs = 120_000): Promise<RawAnswer> {
  return look.probe({
    address: target.address,
    port: target.port,
    method: 'POST',
    target: path,
    headers: { host: target.host, 'content-type': 'application/json', ...bearer(target) },
    body: JSON.stringify(body),
    timeoutMs,
  })
}

/** Asks a path through the gateway without a body. */
export function get(look: Look, target: Target, path: string, method = 'GET'): Promise<RawAnswer> {
  return look.probe({
    address: target.address,
    port: target.port,
    method,
    target: path,
    headers: { host: target.host, ...bearer(target) },
  })
}

/** The answer's JSON; undefined when it is none. */
export function json(answer: RawAnswer): unknown {
  try {
    return JSON.parse(answer.body)
  } catch {
    return undefined
  }
}

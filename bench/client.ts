import http from 'node:http'
import https from 'node:https'
import { headersOf, pathOf, type Target } from './target.ts'

/** How we shake hands: TLS 1.3 with one curve, since programs of other ages would agree on others. */
export const handshake = { minVersion: 'TLSv1.3', ecdhCurve: 'X25519', rejectUnauthorized: false } as const

/** Asks a target, over a connection of its own unless told. */
export function post(target: Target, body: string, agent?: http.Agent): http.ClientRequest {
  const options = {
    host: target.address,
    port: target.port,
    path: pathOf(target),
    method: 'POST',
    agent: agent ?? (false as const),
    headers: {
      ...headersOf(target),
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    },
  }
  const request = target.tls
    ? https.request({ ...options, ...handshake, servername: target.tls })
    : http.request(options)
  return request.end(body)
}

/** An agent for `post` to this target. */
export const agentFor = ({ tls }: Target, options: https.AgentOptions): http.Agent =>
  tls ? new https.Agent(options) : new http.Agent(options)

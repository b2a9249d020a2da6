import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { agentFor, post } from './client.ts'
import { bodyOf, type Load, quantile, type Round } from './load.ts'
import { cpuOf } from './processes.ts'
import type { Target } from './target.ts'

/** How a connection begins: by a handshake of its own, or by taking up the session of an earlier one. */
export type Begin = 'full' | 'resumed'

/** How many of so many requests at least (0 to 1) took up a session where they should. */
const mostly = 0.98

/**
 * A round of load with a connection for each request, made here, since wrk cannot be kept from taking up sessions.
 * Throws when an answer was no 200, or when a handshake was not of the kind that was asked for.
 */
export async function roundAnew(target: Target, { connections, seconds, bytes }: Load, begin: Begin): Promise<Round> {
  const agent = agentFor(target, { keepAlive: false, maxCachedSessions: begin === 'full' ? 0 : 100 })
  const body = bodyOf(bytes)
  const ms: number[] = []
  let resumed = 0
  const ask = async (): Promise<void> => {
    const began = performance.now()
    const [response] = (await once(post(target, body, agent), 'response')) as [IncomingMessage]
    if (response.statusCode !== 200) throw new Error(`${target.name}: ${response.statusCode}`)
    if (target.tls && (response.socket as TLSSocket).isSessionReused()) resumed += 1
    await once(response.resume(), 'end')
    ms.push(performance.now() - began)
  }
  // The first one leaves the session that the others take up.
  await ask()
  ms.length = 0
  const before = cpuOf(target.pids)
  const began = performance.now()
  const until = began + seconds * 1000
  const worker = async () => {
    while (performance.now() < until) await ask()
  }
  await Promise.all(Array.from({ length: connections }, worker))
  const took = performance.now() - began
  if (target.tls) asPromised(target, begin, resumed / ms.length)
  return {
    p50: quantile(ms, 0.5),
    p99: quantile(ms, 0.99),
    perSecond: (ms.length * 1000) / took,
    cpu: ((cpuOf(target.pids) - before) * 1000) / ms.length,
  }
}

function asPromised({ name }: Target, begin: Begin, share: number): void {
  if (begin === 'full' ? share === 0 : share >= mostly) return
  throw new Error(`${name}: ${Math.round(share * 100)} % of the sessions were taken up (${begin})`)
}

/** What a handshake with a target agrees on: version, cipher, and the curve of its key exchange. */
export async function agreedBy(target: Target): Promise<string[]> {
  const [response] = (await once(post(target, bodyOf(80)), 'response')) as [IncomingMessage]
  const socket = response.socket as TLSSocket
  const { name: curve } = socket.getEphemeralKeyInfo() as { name?: string }
  const agreed = [`${socket.getProtocol()}`, socket.getCipher().standardName, `${curve}`]
  response.resume()
  return agreed
}

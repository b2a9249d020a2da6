import type { Aim } from '../../lib/checks/hostile/form.ts'
import { resultOf, unreadable } from '../../lib/checks/hostile/outcome.ts'
import { expected, type Hostile } from '../../lib/checks/hostile/table.ts'
import { bufferSize } from '../../lib/gateway/policies/buffers.ts'
import { passedHeaders } from '../../lib/gateway/policies/rewrite.ts'
import { valuesOf } from '../../lib/host/wire.ts'
import { openRows } from '../../lib/site/endpoints.ts'
import { openGroups } from '../../lib/site/settings.ts'
import type { RunningGateway } from './gateway.ts'
import { type Exchange, exchange } from './raw.ts'
import type { Received, Recorder } from './recorder.ts'

/** What came of a request: at the client, and at the engine. */
export interface Outcome {
  answer: Exchange
  received: Received[]
}

/** Whether some row of ours has this method and path. `{model}` is checked by plain means, not by the pattern under test. */
function isRow(gateway: RunningGateway, { method, target }: Received): boolean {
  const path = target.split('?')[0] ?? ''
  const rows = openRows(openGroups(gateway.gateway.settings))
  if (rows.some((row) => row.method === method && row.path === path)) return true
  const model = path.startsWith('/v1/models/') ? path.slice('/v1/models/'.length) : ''
  const plain = model.replaceAll(/%([0-9a-f]{2})/gi, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  )
  const segments = plain.split('/')
  const sound = segments.every((segment) => /^[A-Za-z0-9_:.-]+$/.test(segment) && !/^\.|\.\./.test(segment))
  return method === 'GET' && sound && rows.some((row) => row.path === '/v1/models/{model}')
}

/** Why a request should not have reached the engine like this; undefined when it may. */
export function illegal(gateway: RunningGateway, request: Received): string | undefined {
  if (request.broken) return `bytes that are no request: ${request.head.text.slice(0, 80)}`
  if (!isRow(gateway, request)) return `no row: ${request.head.line.slice(0, 80)}`
  if (!request.head.line.endsWith(' HTTP/1.1')) return `version: ${request.head.line.slice(-20)}`
  if (request.framing === 'both') return 'two framings'
  const length = valuesOf(request.head, 'content-length').join()
  if (!/^\d{0,11}$/.test(length)) return `Content-Length: ${length}`
  const coding = valuesOf(request.head, 'transfer-encoding').join().toLowerCase()
  if (coding !== '' && coding !== 'chunked') return `Transfer-Encoding: ${coding}`
  const foreign = request.head.headers.map(([name]) => name).filter((name) => !passedHeaders.includes(name))
  if (foreign.length > 0) return `foreign headers: ${foreign.join(', ')}`
  const engine = `127.0.0.1:${gateway.gateway.settings.engine.port}`
  if (valuesOf(request.head, 'host').join() !== engine) return `Host: ${valuesOf(request.head, 'host').join()}`
  const [major, minor] = gateway.version
  return request.trailers.length > 0 && major * 100 + minor >= 302 ? 'trailers' : undefined
}

/** The gateway as those requests see it that must name it. */
export const aimAt = ({ host, address, port, gateway }: RunningGateway): Aim => ({
  ...{ host, address, port, limit: gateway.settings.body_limit, buffer: bufferSize(gateway) },
  chunked: gateway.settings.chunked_body,
})

/** Sends it and looks at both ends. */
export async function attack(gateway: RunningGateway, engine: Recorder, request: Hostile): Promise<Outcome> {
  const before = engine.received.length
  const bytes = request.bytes(aimAt(gateway))
  const answers = Math.max(...expected(request, gateway.version).map(({ result }) => result.split('+').length))
  const answer = await exchange(gateway, bytes, answers, 3_000)
  return { answer, received: engine.received.slice(before) }
}

/** What is wrong with the outcome; undefined when it is as the table says. */
export function unexpected(request: Hostile, outcome: Outcome, gateway: RunningGateway): string | undefined {
  const alternatives = expected(request, gateway.version)
  const { answer, received } = outcome
  const result = resultOf(answer.statuses, answer.end)
  const fitting = alternatives.filter((one) => one.result === result)
  if (fitting.length === 0)
    return `${result} instead of ${alternatives.map((one) => one.result).join(' or ')}: ${answer.body.slice(0, 200)}`
  const bad = received.map((one) => illegal(gateway, one)).find(Boolean)
  if (bad) return `reached the engine: ${bad}`
  if (!fitting.some(({ reaches }) => received.length === (reaches ? 1 : 0)))
    return `${received.length} requests reached the engine`
  const head = request.bytes(aimAt(gateway)).startsWith('HEAD ')
  return head ? undefined : unreadable(answer.status, answer.headers['content-type'], answer.body, gateway.version)
}

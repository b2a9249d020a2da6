import { openRows } from '../lib/endpoints.ts'
import { passedHeaders } from '../lib/proxy/policies/rewrite.ts'
import { openGroups } from '../lib/settings.ts'
import type { RunningGateway } from './gateway.ts'
import { expected, type Hostile } from './hostile.ts'
import { type Exchange, exchange } from './raw.ts'
import type { Received, Recorder } from './recorder.ts'
import { valuesOf } from './wire.ts'

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
  const segments = model.replaceAll(/%2f/gi, '/').split('/')
  const sound = segments.every((segment) => /^[A-Za-z0-9_:.-]+$/.test(segment) && !/^\.|\.\./.test(segment))
  return method === 'GET' && sound && rows.some((row) => row.path === '/v1/models/{model}')
}

/** Why a request should not have reached the engine like this; undefined when it may. */
export function illegal(gateway: RunningGateway, request: Received): string | undefined {
  if (request.broken) return `bytes that are no request: ${request.head.text.slice(0, 80)}`
  if (!isRow(gateway, request)) return `no row: ${request.head.line.slice(0, 80)}`
  if (!request.head.line.endsWith(' HTTP/1.1')) return `version: ${request.head.line.slice(-20)}`
  if (request.framing === 'both') return 'two framings'
  const foreign = request.head.headers.map(([name]) => name).filter((name) => !passedHeaders.includes(name))
  if (foreign.length > 0) return `foreign headers: ${foreign.join(', ')}`
  const engine = `127.0.0.1:${gateway.gateway.settings.engine.port}`
  if (valuesOf(request.head, 'host').join() !== engine) return `Host: ${valuesOf(request.head, 'host').join()}`
  const [major, minor] = gateway.version
  return request.trailers.length > 0 && major * 100 + minor >= 302 ? 'trailers' : undefined
}

/** Sends it and looks at both ends. */
export async function attack(gateway: RunningGateway, engine: Recorder, request: Hostile): Promise<Outcome> {
  const before = engine.received.length
  const bytes = request.bytes(gateway)
  const answers = Math.max(...expected(request, gateway.version).results.map((result) => result.split('+').length))
  const answer = await exchange(gateway, bytes, answers, 3_000)
  return { answer, received: engine.received.slice(before) }
}

/** Whether a refusal's body is what our clients can read: JSON on one line; HTML only where HAProxy before 3.2 parses. */
function wrongBody({ answer }: Outcome, version: [number, number], head: boolean): string | undefined {
  if (answer.status < 400 || head) return undefined
  const parsed = /text\/html/.test(answer.headers['content-type'] ?? '')
  if (parsed && version[0] * 100 + version[1] < 302 && [400, 408, 422].includes(answer.status)) return undefined
  if (answer.headers['content-type'] !== 'application/json')
    return `${answer.status} as ${answer.headers['content-type']}`
  try {
    const { error } = JSON.parse(answer.body)
    const text = typeof error === 'string' ? error : error.message
    return text.startsWith('Gateway: ') && !answer.body.trimEnd().includes('\n') ? undefined : `says ${answer.body}`
  } catch {
    return `not JSON: ${answer.body.slice(0, 200)}`
  }
}

/** What is wrong with the outcome; undefined when it is as the table says. */
export function unexpected(request: Hostile, outcome: Outcome, gateway: RunningGateway): string | undefined {
  const { results, reaches } = expected(request, gateway.version)
  const { answer, received } = outcome
  const result = answer.statuses.length > 0 ? answer.statuses.join('+') : answer.end === 'open' ? 'silence' : 'close'
  if (!results.includes(result)) return `${result} instead of ${results.join(' or ')}: ${answer.body.slice(0, 200)}`
  const bad = received.map((one) => illegal(gateway, one)).find(Boolean)
  if (bad) return `reached the engine: ${bad}`
  if (received.length !== (reaches ? 1 : 0)) return `${received.length} requests reached the engine`
  return wrongBody(outcome, gateway.version, request.bytes(gateway).toString().startsWith('HEAD '))
}

import { openName } from '../gateway/listeners.ts'
import { nodesIn } from '../gateway/nodes.ts'
import { bufferSize } from '../gateway/policies/buffers.ts'
import { publicRate } from '../gateway/policies/connections.ts'
import type { Gateway, Listener } from '../gateway/policy.ts'
import { askedHere } from '../gateway/proofs/pair.ts'
import { hostileToServices } from '../gateway/proofs/services.ts'
import type { Target } from '../gateway/proofs/target.ts'
import { workerInfo } from '../haproxy/runtime.ts'
import type { Look, RawEnd } from '../host/host.ts'
import { typed } from '../host/typed.ts'
import { type Reply, repliesIn } from '../host/wire.ts'
import { type Endpoint, endpoints, expandGroups, openRows } from '../site/endpoints.ts'
import type { Node } from '../site/nodes.ts'
import { alarm, type Check, type Finding, missed, ok, skipped, unexplained } from '../steps/step.ts'
import { atEngine } from './hostile/engines.ts'
import { type Aim, hasOwnKey } from './hostile/form.ts'
import { message, resultOf, unreadable } from './hostile/outcome.ts'
import { expected, type Hostile, themes, type Version } from './hostile/table.ts'

/** Words with hyphens; what stands before the first `: ` is a name of its own. */
const slug = (name: string): string =>
  name
    .toLowerCase()
    .split(': ')
    .map((part) => part.replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^-|-$/g, ''))
    .filter(Boolean)
    .join('.')

/** Each name once: further ones get a number. */
function distinct(names: string[]): string[] {
  return names.map((name, at) => {
    const before = names.slice(0, at).filter((other) => other === name).length
    return before === 0 ? name : `${name}-${before + 1}`
  })
}

/**
 * Every hostile request as a check of its own, sent as bytes over a connection of its own. On a live machine only the
 * answer can be seen; what the engine gets is shown in the box.
 */
export const hostileChecks = (target: Target, gateway: Gateway): Check[] => [
  ...requestsTo(target, gateway, 'hostile', async () => {}),
  ...nodesIn(gateway).flatMap((node) => toNode(target, gateway, node)),
  ...gateway.listeners.flatMap((one) => askedHere(gateway, one, (listener) => overTls(target, gateway, listener))),
  ...hostileToServices(target, gateway),
]

/** What an engine of this kind listens to beside our rows, asked of the node by its own name; a row that is open is the gateway's to answer. */
function toNode(target: Target, gateway: Gateway, { name, engine }: Node): Check[] {
  const rows = openRows(target.groups).map(({ method, path }) => `${method} ${path}`)
  const beside = (atEngine[engine] ?? []).filter((request) => !rows.includes(request.name))
  const there = { ...target, host: `${name}-api:${target.port}` }
  return requestsTo(there, gateway, 'hostile.node', async () => {}, { [name]: beside })
}

/** The same to a listener with https, where a name can be asked for and no client certificate is needed. */
function overTls(target: Target, gateway: Gateway, listener: Listener): Check[] {
  const { name, addresses, port, tls } = listener
  const tlsName = openName(gateway.settings, listener)
  const [address] = addresses
  if (!tls || tlsName === undefined || address === undefined) return []
  const open = expandGroups(listener.groups ?? target.groups)
  const groups = target.groups.filter((group) => open.includes(group))
  const there = { ...target, groups, address, port, tlsName, host: `${tlsName}:${port}` }
  const all = requestsTo(there, gateway, `hostile.${name}`, name === 'public' ? paced() : async () => {})
  // What the gateway says of itself it says there to nobody without a key.
  return ['lan', 'public'].includes(name) ? all.filter(({ title }) => !title.endsWith(': answered')) : all
}

/** Keeps connections as far apart as a public listener wants them; HAProxy estimates rates, so bursts would look like more. */
function paced(): (look: Look) => Promise<void> {
  const apart = 10_000 / (publicRate * 0.75)
  let next = 0
  return async (look) => {
    await look.until('', 2 * apart, async () => performance.now() >= next, 10)
    next = performance.now() + apart
  }
}

function requestsTo(
  target: Target,
  gateway: Gateway,
  ids: string,
  pace: (look: Look) => Promise<void>,
  what: Record<string, Hostile[]> = themes,
): Check[] {
  const { host, address, port, tlsName } = target
  const sizes = {
    limit: gateway.settings.body_limit,
    // The smaller of the two refuses first, and would cut off whoever sends far more.
    chunked: Math.min(gateway.settings.chunked_body, gateway.settings.body_limit),
    buffer: bufferSize(gateway),
  }
  const aim: Aim = { host, address, port, tlsName, ...sizes, key: target.keys?.free }
  let version: Promise<Version | undefined> | undefined
  const known = (look: Look) => {
    version ??= workerInfo(look).then((info) => versionOf(info?.version))
    return version
  }
  return Object.entries(what).flatMap(([theme, requests]) => {
    const names = distinct(requests.map(({ name }) => slug(name)))
    return requests.map((request, at) => toCheck(`${ids}.${theme}.${names[at]}`, request, target, aim, known, pace))
  })
}

function versionOf(text = ''): Version | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(text) ?? []
  return major === undefined ? undefined : [Number(major), Number(minor)]
}

function toCheck(
  id: string,
  request: Hostile,
  target: Target,
  aim: Aim,
  version: (look: Look) => Promise<Version | undefined>,
  pace: (look: Look) => Promise<void>,
): Check {
  const fate = !/200/.test(request.expect) ? 'refused' : request.expect.includes('→') ? 'a row, so let in' : 'answered'
  return {
    id,
    title: `Hostile request "${request.name}"${aim.tlsName ? ` to https port ${aim.port}` : ''}: ${fate}`,
    needs: ['haproxy.service'],
    async check(look) {
      const running = await version(look)
      if (!running) return skipped('the running HAProxy does not tell its version')
      await pace(look)
      return judged(request, await send(look, request, aim, running), running, target, aim)
    },
  }
}

interface Seen {
  replies: Reply[]
  end: RawEnd['end']
  head: boolean
}

async function send(look: Look, request: Hostile, aim: Aim, version: Version): Promise<Seen> {
  const bytes = Buffer.from(request.bytes(aim), 'latin1')
  const head = bytes.toString('latin1', 0, 5) === 'HEAD '
  const count = Math.max(...expected(request, version).map(({ result }) => result.split('+').length))
  const replies = (come: Buffer, closed: boolean) => repliesIn(come, [head], closed)
  const whole = (come: Buffer) => replies(come, false).filter((reply) => reply.whole).length >= count
  const { come, end } = await look.raw({
    address: aim.address,
    port: aim.port,
    bytes,
    enough: whole,
    tlsName: aim.tlsName,
  })
  return { replies: replies(come, end !== 'open'), end, head }
}

/** The row that a request begins with, if it does; `{model}` by its beginning, since what is no row is refused alike. */
function rowOf(request: Hostile, aim: Aim): Endpoint | undefined {
  const [method, target = ''] = request.bytes(aim).trim().split(/\s+/, 2)
  const path = target.split('?')[0] ?? ''
  const same = (row: Endpoint) =>
    row.path === path || (row.path.endsWith('{model}') && path.startsWith(row.path.replace('{model}', '')))
  return endpoints.find((row) => row.method === method && same(row))
}

/** What the answer says, by the table. A row that the settings close is refused like any other. */
function judged(request: Hostile, { replies, end, head }: Seen, version: Version, target: Target, aim: Aim): Finding {
  const alternatives = expected(request, version)
  const results = alternatives.map((one) => one.result)
  const reaching = alternatives.filter(({ reaches }) => reaches).map((one) => one.result)
  const [first] = replies
  const statuses = replies.map(({ status }) => status)
  const result = resultOf(statuses, end)
  if (end === 'refused') return missed('no connection', `${typed('status')}`)
  const body = first?.body ?? ''
  const row = rowOf(request, aim)
  const open = row !== undefined && row.answer !== 'refuse' && target.groups.includes(row.group)
  if (!results.includes(result) && row && first?.status === 403 && !open)
    return ok(`403: ${row.group} is closed by the settings`)
  if (open && (head || isOwn(body)) && [429, 503].includes(first?.status ?? 0))
    return skipped(`${first?.status}: Ollama is busy or down`)
  if (aim.key !== undefined && isOwn(body) && [400, 401, 403].includes(first?.status ?? 0) && hasOwnKey(request, aim))
    return ok(`${first?.status}: its key is none of ours`)
  const refused = alternatives.some((one) => one.result === result && !one.reaches)
  if (reaching.length > 0 && !refused) return letIn(reaching, result, body)
  if (!results.includes(result)) return missed(`${result} instead of ${results.join(' or ')}: ${cut(body)}`, alarm)
  const type = first?.head.headers.find(([name]) => name === 'content-type')?.[1]
  const why = head || !first ? undefined : unreadable(first.status, type, body, version)
  return why ? missed(why, unexplained) : ok(result === 'close' ? 'reset without an answer' : result)
}

const isOwn = (body: string): boolean => message(body)?.startsWith('Gateway: ') === true
const cut = (text: string): string => text.slice(0, 100)

/** The first status is the engine's own then, whichever it is; what follows is the gateway's. */
function letIn(results: string[], result: string, body: string): Finding {
  const [first = '', ...rest] = result.split('+')
  const wanted = results.map((text) => text.split('+').slice(1).join('+'))
  if (isOwn(body) || !/^\d+$/.test(first))
    return missed(`${result} instead of an answer of Ollama: ${cut(body)}`, unexplained)
  if (!wanted.includes(rest.join('+'))) return missed(`${result}: what came after the first is wrong`, alarm)
  return ok([`${first} from Ollama`, ...rest].join(', then '))
}

import {
  closedRows,
  type Endpoint,
  gatewayRows,
  groups,
  openRows,
  otherMethods,
  target as targetOf,
} from '../endpoints.ts'
import type { Look, RawAnswer } from '../host.ts'
import { type Check, type Finding, missed, ok } from '../step.ts'
import { json, type Target } from './target.ts'

/** Bodies that a row answers without a model doing anything. */
const harmless: Record<string, string> = { '/api/show': '{"model":"no-such-model"}' }

const probe = (
  look: Look,
  target: Target,
  method: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<RawAnswer> =>
  look.probe({
    address: target.address,
    port: target.port,
    method,
    target: path,
    headers: { host: target.host, 'content-type': 'application/json', ...headers },
    body: method === 'POST' ? (harmless[path] ?? '{}') : undefined,
  })

/** Whether an answer is the gateway's own refusal, in the family's shape. */
export function isRefusal(answer: RawAnswer, path: string): boolean {
  if (answer.status !== 403) return false
  if (answer.body === '') return true
  const body = json(answer) as { error?: unknown } | undefined
  const text = path.startsWith('/api/') ? body?.error : (body?.error as { message?: string } | undefined)?.message
  return typeof text === 'string' && text.startsWith('Gateway: ')
}

function allowed(target: Target, row: Endpoint): Check {
  const path = targetOf(row)
  return {
    id: `rows.${slug(row.method, row.path)}`,
    title: `${row.method} ${row.path} is let through`,
    needs: ['haproxy.service'],
    async check(look) {
      const answer = await probe(look, target, row.method, path)
      if (answer.end === 'refused' || answer.end === 'timeout')
        return missed(`no answer (${answer.error ?? answer.end})`, 'npx tsx status.ts')
      const own = /"Gateway: /.test(answer.body)
      return own || answer.status === 403
        ? missed(`the gateway refused it: ${answer.status} ${answer.body.slice(0, 120)}`, 'Run install.ts again.')
        : ok(`${answer.status} from Ollama`)
    },
  }
}

function answered(target: Target, row: Endpoint): Check {
  return {
    id: `rows.${slug(row.method, row.path)}`,
    title: `${row.method} ${row.path} is answered by the gateway`,
    needs: ['haproxy.service'],
    async check(look) {
      const answer = await probe(look, target, row.method, row.path)
      return answer.status === 200 ? ok('200') : missed(`${answer.status || answer.error}`, 'npx tsx status.ts')
    },
  }
}

const slug = (method: string, path: string): string =>
  `${method}-${path.replaceAll(/[^a-z0-9]+/gi, '-').replaceAll(/^-|-$/g, '') || 'root'}`.toLowerCase()

/** Many refusals in one check: the first that is not one is told. */
function refused(id: string, title: string, target: Target, requests: { method: string; path: string }[]): Check {
  return {
    id,
    title,
    needs: ['haproxy.service'],
    async check(look): Promise<Finding> {
      for (const { method, path } of requests) {
        const answer = await probe(look, target, method, path)
        if (!isRefusal(answer, path))
          return missed(
            `${method} ${path} got ${answer.status || answer.error}: ${answer.body.slice(0, 100)}`,
            'Stop the proxy (launchctl bootout) and report this.',
          )
      }
      return ok(`${requests.length} requests refused`)
    },
  }
}

/** The gateway closes before Node has read the answer of CONNECT-like oddities, so those are stories, not checks. */
export function rows(target: Target): Check[] {
  const closed = closedRows(target.groups)
  const byGroup = (Object.keys(groups) as (keyof typeof groups)[]).flatMap((group) => {
    const list = closed.filter((row) => row.group === group).map((row) => ({ method: row.method, path: targetOf(row) }))
    return list.length ? [refused(`refused.${group}`, `The group ${group} is refused`, target, list)] : []
  })
  const paths = [
    '/api/nonsense',
    '/v1',
    '/v1/nonsense',
    '/debug/pprof/',
    '/metrics',
    '/v1/models/',
    '/v1/models/a%2F..%2Fb',
    '/api/../api/delete',
    '//api/tags',
    '/api/tags/',
  ]
  return [
    ...openRows(target.groups).map((row) => allowed(target, row)),
    ...gatewayRows(target.groups).map((row) => answered(target, row)),
    ...byGroup,
    refused('refused.methods', 'Every other method on an open path is refused', target, otherMethods(target.groups)),
    refused(
      'refused.unknown',
      'Paths that are in no table are refused',
      target,
      paths.map((path) => ({ method: 'GET', path })),
    ),
    foreignHost(target),
    foreignOrigin(target),
    webSocket(target),
  ]
}

function foreignHost(target: Target): Check {
  return {
    id: 'refused.host',
    title: 'A foreign Host is refused (DNS rebinding)',
    needs: ['haproxy.service'],
    async check(look) {
      const answer = await probe(look, target, 'GET', '/api/version', { host: 'rebinding.example' })
      return answer.status === 421 ? ok('421') : missed(`${answer.status}`, 'Run install.ts again.')
    },
  }
}

function foreignOrigin(target: Target): Check {
  return {
    id: 'refused.origin',
    title: 'A web page that is not on the list is refused',
    needs: ['haproxy.service'],
    async check(look) {
      const answer = await probe(look, target, 'GET', '/api/version', { origin: 'https://somewhere.example' })
      return isRefusal(answer, '/api/version') ? ok('403') : missed(`${answer.status}`, 'Run install.ts again.')
    },
  }
}

/** HAProxy itself answers 400 when the key is missing (RFC 6455 §4.1). */
const upgrade = {
  upgrade: 'websocket',
  connection: 'Upgrade',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
}

function webSocket(target: Target): Check {
  return {
    id: 'refused.websocket',
    title: 'A WebSocket is answered with 426, so that clients fall back at once',
    needs: ['haproxy.service'],
    async check(look) {
      const answer = await probe(look, target, 'GET', '/v1/responses', upgrade)
      return answer.status === 426 ? ok('426') : missed(`${answer.status}`, 'Run install.ts again.')
    },
  }
}

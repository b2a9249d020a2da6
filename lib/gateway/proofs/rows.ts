import {
  closedRows,
  type Endpoint,
  gatewayRows,
  groups,
  openRows,
  otherMethods,
  target as targetOf,
} from '../../site/endpoints.ts'
import { alarm, type Check, type Finding, missed, ok, unexplained } from '../../steps/step.ts'
import { askItself } from './asking.ts'
import { busy, isRefusal, probe, taken } from './refused.ts'
import type { Target } from './target.ts'

function allowed(target: Target, row: Endpoint): Check {
  const path = targetOf(row)
  return {
    id: `rows.${slug(row.method, row.path)}`,
    title: `${row.method} ${row.path} is let through`,
    needs: ['haproxy.service', 'ollama.service'],
    async check(look) {
      const answer = await probe(look, target, row.method, path)
      if (await busy(look, answer)) return taken
      if (answer.end === 'refused' || answer.end === 'timeout')
        return missed(`no answer (${answer.error ?? answer.end})`, askItself(target, path))
      if (row.backend === 'metrics' && answer.status !== 200)
        return missed(`the observer answered ${answer.status}: ${answer.body.slice(0, 120)}`.trim(), unexplained)
      const own = /"Gateway: /.test(answer.body)
      return own || answer.status === 403
        ? missed(`the gateway refused it: ${answer.status} ${answer.body.slice(0, 120)}`, unexplained)
        : ok(`${answer.status} from Ollama`)
    },
  }
}

function answered(target: Target, row: Endpoint): Check {
  return {
    id: `rows.${slug(row.method, row.path)}`,
    title: `${row.method} ${row.path} is answered by the gateway`,
    // Its own health is the engine's, too.
    needs: ['haproxy.service', ...(row.path === '/healthz' ? ['ollama.service'] : [])],
    async check(look) {
      const answer = await probe(look, target, row.method, row.path)
      return answer.status === 200 ? ok('200') : missed(`${answer.status || answer.error}`, unexplained)
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
          return missed(`${method} ${path} got ${answer.status || answer.error}: ${answer.body.slice(0, 100)}`, alarm)
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
    '/v1/models/',
    '/v1/models/a%2F..%2Fb',
    '/api/../api/delete',
    '//api/tags',
    '/api/tags/',
  ]
  return [
    ...openRows(target.groups).map((row) => allowed(target, row)),
    ...gatewayRows(target.groups)
      .filter(({ backend }) => backend === undefined)
      .map((row) => answered(target, row)),
    ...byGroup,
    refused('refused.methods', 'Every other method on an open path is refused', target, otherMethods(target.groups)),
    refused(
      'refused.unknown',
      'Paths that are in no table are refused',
      target,
      paths.map((path) => ({ method: 'GET', path })),
    ),
  ]
}

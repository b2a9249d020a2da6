import type { Look, RawAnswer } from '../../host/host.ts'
import { unnamed } from '../../people/own-probes.ts'
import { type Endpoint, openRows } from '../../site/endpoints.ts'
import { type Check, type Finding, missed, ok, unexplained } from '../../steps/step.ts'
import type { ProbeKeys } from './probe-keys.ts'
import { busy, probe, probeModel, taken } from './refused.ts'
import { bearer, json, modelRows, type Target } from './target.ts'

/** Checks that any row will do for; none where no row asks a model. */
export const ofFirst = (target: Target, checks: (row: Endpoint) => Check[]): Check[] =>
  modelRows(target).slice(0, 1).flatMap(checks)

interface Over {
  id: string
  title: string
  /** the key that reaches its limit */
  key: keyof ProbeKeys
  /** requests that are let through before */
  before: number
  /** what the refusal says */
  says: RegExp
  /** seconds that Retry-After may name */
  wait: [number, number]
}

/** One of a row's requests with a key of its own. */
const ask = (look: Look, target: Target, row: Endpoint, key: keyof ProbeKeys): Promise<RawAnswer> =>
  probeModel(look, target, row, bearer(target, key))

/** An answer in a few words. */
export const told = ({ status, error, body }: RawAnswer): string => `${status || error} ${body.slice(0, 120)}`.trim()

async function judged(
  look: Look,
  answer: RawAnswer,
  { says, wait: [least, most] }: Pick<Over, 'says' | 'wait'>,
): Promise<Finding> {
  if (await busy(look, answer)) return taken
  const wait = Number(answer.headers['retry-after'])
  return answer.status === 429 && says.test(answer.body) && wait >= least && wait <= most
    ? ok(`429, Retry-After ${wait}`)
    : missed(told(answer), unexplained)
}

/** That a request over a limit is refused, and that the ones before were not. */
function over(target: Target, row: Endpoint, what: Over): Check {
  return {
    id: what.id,
    title: what.title,
    needs: ['haproxy.service', 'ollama.service'],
    async check(look) {
      for (let at = 0; at < what.before; at += 1) {
        const answer = await ask(look, target, row, what.key)
        if (await busy(look, answer)) return taken
        if (/"Gateway: /.test(answer.body)) return missed(`refused too early: ${told(answer)}`, unexplained)
      }
      return judged(look, await ask(look, target, row, what.key), what)
    },
  }
}

/** A request that has sent its head and no body is under way. */
const single = (target: Target, row: Endpoint): Check => ({
  id: 'limits.concurrent',
  title: 'Who may have one request at once gets 429 for a second one',
  needs: ['haproxy.service', 'ollama.service'],
  async check(look) {
    const headers = { host: target.host, ...bearer(target, 'single'), 'content-length': '2' }
    const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    const bytes = Buffer.from(`${row.method} ${row.path} HTTP/1.1\r\n${unnamed}\r\n${head.join('')}\r\n`)
    let answer: RawAnswer | undefined
    await look.until('the second one is not the first to arrive', 5000, async () => {
      const open = look.raw({ ...target, bytes, enough: () => false, timeoutMs: 300 })
      answer = await ask(look, target, row, 'single')
      await open
      return answer.status === 429
    })
    return answer
      ? judged(look, answer, { says: /may have 1 requests running at once/, wait: [5, 5] })
      : missed('none', unexplained)
  },
})

/** Each limit that a person can have, reached by a key of its own. */
export const limited = (target: Target): Check[] =>
  ofFirst(target, (row) => [
    over(target, row, {
      id: 'limits.minute',
      title: 'Who may start one request a minute gets 429 for the second',
      ...{ key: 'minute', before: 1, wait: [1, 60] },
      says: /may start 1 requests a minute/,
    }),
    over(target, row, {
      id: 'limits.burst',
      title: 'Who may start one request in 10 seconds gets 429 for the second',
      ...{ key: 'burst', before: 1, wait: [1, 10] },
      says: /may start 1 requests in 10 seconds/,
    }),
    single(target, row),
  ])

/** That a share of the day is heeded which the observer called spent. */
export const spent = (target: Target): Check[] =>
  ofFirst(target, (row) => [
    over(target, row, {
      id: 'limits.per-day',
      title: 'Who has used up the share of the day gets 429 with a long wait',
      ...{ key: 'spent', before: 0, wait: [61, 90_000] },
      says: /has used up its 1s of this day/,
    }),
  ])

/** That whoever has a list of models is shown no other: it is empty here. */
export const ownList = ({ keys, ...rest }: Target): Check[] =>
  openRows(rest.groups)
    .filter(({ method, path }) => method === 'GET' && ['/v1/models', '/api/tags'].includes(path))
    .slice(0, 1)
    .map(({ path }) => ({
      id: 'models.own-list',
      title: 'A key with a list of models sees no other model',
      needs: ['haproxy.service', 'observer.service'],
      async check(look) {
        const answer = await probe(look, rest, 'GET', path, bearer({ keys, ...rest }, 'listed'))
        const list = json(answer) as { data?: unknown; models?: unknown } | undefined
        return answer.status === 200 && /^\[\]$/.test(JSON.stringify(list?.data ?? list?.models ?? ''))
          ? ok('an empty list')
          : missed(told(answer), unexplained)
      },
    }))

/** That the model list of a key is heeded: its list is empty here. */
export const listed = (target: Target): Check[] =>
  ofFirst(target, (row) => [
    {
      id: 'models.list',
      title: 'A key with a list of models may not use another model',
      needs: ['haproxy.service'],
      async check(look) {
        const answer = await look.probe({
          ...{ address: target.address, port: target.port, method: row.method, target: row.path },
          headers: { host: target.host, 'content-type': 'application/json', ...bearer(target, 'listed') },
          body: '{"model":"no-such-model"}',
        })
        const said = (json(answer) as { error?: unknown } | undefined)?.error
        return answer.status === 403 && /may not use the model/.test(JSON.stringify(said))
          ? ok('403')
          : missed(told(answer), unexplained)
      },
    },
  ])

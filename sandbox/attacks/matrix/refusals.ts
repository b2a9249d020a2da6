/** What somebody set, by the setting's path; `key.` is before a limit of a key, `haproxy` is its version. What is not in it was left out. */
export type Combination = Record<string, unknown>

/** A kind of what is refused before anything is changed. */
export interface Refusal {
  /** why nobody can have it */
  why: string
  exit: number
  /** what is said */
  says: RegExp
  /** the smallest that shows it */
  example: Combination
  /** whether a combination of values that are each allowed is one of this kind; absent where a value alone is */
  when?(combination: Combination): boolean
}

const has = (list: unknown, name: string): boolean => Array.isArray(list) && list.includes(name)
const within = (value: unknown, word: string): boolean => JSON.stringify(value ?? '').includes(`"${word}"`)
const any = (one: Combination, ...paths: string[]): boolean =>
  Object.keys(one).some((path) => paths.some((begin) => path.startsWith(begin)))

function older({ haproxy }: Combination, [major, minor]: [number, number]): boolean {
  if (haproxy === undefined) return false
  const [one = 0, other = 0] = `${haproxy}`.split('.').map(Number)
  return one < major || (one === major && other < minor)
}

const tooOld = (what: string, since: [number, number], asked: (one: Combination) => boolean) => ({
  why: `HAProxy has ${what} from ${since.join('.')} on, and a limit that does not hold would be none`,
  exit: 3,
  says: new RegExp(`too old for .*${since.join('\\.')} is needed`),
  when: (one: Combination) => older(one, since) && asked(one),
})

/** Every kind of refusal that there is. Whatever else somebody sets is taken, and holds. */
export const refusals: Refusal[] = [
  {
    why: 'metrics tell about everybody, so they are never shown without a key',
    ...{ exit: 2, says: /groups: metrics tells about everybody, so it always needs a key/ },
    example: { groups: ['agents', 'metrics'] },
    when: ({ groups, access = 'tailnet' }) => has(groups, 'metrics') && access === 'tailnet',
  },
  {
    why: 'it is the observer that serves the metrics',
    ...{ exit: 2, says: /groups: metrics are served by the observer/ },
    example: { groups: ['agents', 'metrics'], access: 'keys', observer: 'off' },
    when: ({ groups, observer }) => has(groups, 'metrics') && observer === 'off',
  },
  {
    why: 'an admin key may copy and delete every model, so a list of models would mean nothing',
    ...{ exit: 2, says: /a list of models would mean nothing/ },
    example: { 'key.admin': '', 'key.models': 'qwen3*' },
    when: (one) => any(one, 'key.admin') && any(one, 'key.models'),
  },
  {
    ...tooOld(
      'a time in the queue for each request',
      [3, 4],
      (one) => any(one, 'timeouts.queue', 'key.queue') || within(one['timeouts.groups'], 'queue'),
    ),
    example: { 'timeouts.queue': '35m' },
  },
  {
    ...tooOld(
      'a limit of bytes a second',
      [3, 0],
      (one) =>
        any(one, 'limits.per_second', 'key.perSecond') ||
        within(one.people, 'per_second') ||
        within(one['limits.groups'], 'per_second'),
    ),
    example: { 'limits.per_second': '1GB' },
  },
  {
    ...tooOld('more than three counters for a request', [2, 8], (one) =>
      any(one, 'limits.all.', 'limits.groups', 'limits.rows'),
    ),
    example: { 'limits.all.per_minute': 600 },
  },
  {
    why: 'at any other address than the tailnet’s others get in',
    ...{ exit: 2, says: /listen: only "tailnet"/, example: { listen: '0.0.0.0' } },
  },
  {
    why: 'two programs cannot listen on one port of 127.0.0.1',
    ...{ exit: 2, says: /peers\.port: another port than engine\.port/, example: { 'peers.port': 11434 } },
  },
  {
    why: 'agents try a wrong key several times',
    ...{ exit: 2, says: /ban_after: a number from 40/, example: { ban_after: 39 } },
  },
  {
    why: 'HAProxy counts times in 31 bits of milliseconds',
    ...{ exit: 2, says: /drain: a time of 596h at most/, example: { drain: '597h' } },
  },
  {
    why: 'HAProxy takes no time for another limit',
    ...{ exit: 2, says: /queue\.wait: longer than 0s/, example: { 'queue.wait': '0s' } },
  },
  {
    why: 'a body without a byte asks nothing',
    ...{ exit: 2, says: /body_limit: from 1KB on/, example: { body_limit: '0MB' } },
  },
]

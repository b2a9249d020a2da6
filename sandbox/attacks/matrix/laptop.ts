import { ruleFor } from '../../../lib/people/identities.ts'
import { expandGroups } from '../../../lib/site/endpoints.ts'
import type { HttpOptions } from '../../box/box.ts'
import type { Ground } from './ground.ts'
import type { Combination } from './refusals.ts'

type Rules = Record<string, { groups?: string[]; models?: string[] }>

const device = { hostName: 'laptop', ipv4: '100.64.0.7', id: 'nLaptop', nodeId: 2 }
const ann = { id: 2, loginName: 'ann@example.com', displayName: 'Ann' }

/** Makes the laptop of a box the one that a combination has: Ann's, a tagged one, or that of somebody whom no rule means. */
export function placeLaptop(ground: Ground, { laptop }: Combination): void {
  ground.mac(({ tailscale }) => {
    const eve = { id: 3, loginName: 'eve@example.com', displayName: 'Eve' }
    tailscale.users = [ann, eve]
    const tagged = laptop === 'tag:ci'
    tailscale.peers = [
      { ...device, userId: laptop === 'a stranger' ? eve.id : ann.id, ...(tagged ? { tags: ['tag:ci'] } : {}) },
    ]
  })
}

/** The rule that means the laptop. */
function rule({ laptop, people }: Combination): Rules[string] | undefined {
  const rules = (people ?? {}) as Rules
  const tags = laptop === 'tag:ci' ? ['tag:ci'] : []
  const login = tags.length > 0 ? undefined : laptop === 'a stranger' ? 'eve@example.com' : 'ann@example.com'
  const name = ruleFor({ device: 'laptop', login, tags, addresses: [], own: false }, Object.keys(rules))
  return name === undefined ? undefined : rules[name]
}

const holds = (groups: unknown, wanted: 'openai'): boolean =>
  expandGroups((groups ?? ['agents']) as string[]).includes(wanted)

/** The statuses that are right for a list of models asked by the laptop; a wrong key is one that nobody has. */
export function right(combination: Combination, key: 'none' | 'good' | 'wrong'): number[] {
  const { access = 'tailnet', groups, keyless = [] } = combination
  if (!holds(groups, 'openai')) return key === 'good' || access === 'tailnet' ? [403] : [401, 403]
  const own = rule(combination)
  const byRule = own?.groups === undefined || holds(own.groups, 'openai')
  if (access === 'tailnet') return byRule ? [200] : [403]
  if (key === 'good') return [200]
  // Who needs no key sends any word as one.
  if (holds(keyless, 'openai')) return [200]
  if (key === 'wrong') return [401]
  return access === 'either' && own ? [byRule ? 200 : 403] : [401]
}

/** What a list of models, and then a chat, come to for the laptop; undefined when both are as they should be. */
export async function asked(
  ground: Ground,
  combination: Combination,
  which: 'none' | 'good' | 'wrong',
  key?: string,
): Promise<string | undefined> {
  const port = Number(combination.port ?? 11434)
  const ask = async (path: string, options: HttpOptions = {}) => {
    const headers = { host: `${ground.address}:${port}`, ...(key ? { authorization: `Bearer ${key}` } : {}) }
    const answer = await ground.http('laptop', { path, port, ...options, headers: { ...headers, ...options.headers } })
    return answer.status
  }
  const wanted = right(combination, which)
  const list = await ask('/v1/models')
  if (!wanted.includes(list))
    return `GET /v1/models by the laptop (key: ${which}): ${list} instead of ${wanted.join(' or ')}`
  const body = JSON.stringify({ model: 'qwen3:0.6b', max_tokens: 4, messages: [{ role: 'user', content: 'Hello' }] })
  const chat = await ask('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  // Models and shares of the day may refuse what a list does not.
  const allowed = list === 200 ? [200, ...(narrow(combination) ? [403, 429] : [])] : [list]
  return allowed.includes(chat)
    ? undefined
    : `a chat by the laptop (key: ${which}): ${chat} instead of ${allowed.join(' or ')}`
}

const narrow = (combination: Combination): boolean =>
  Object.keys(combination).some((path) => /^(limits\.|key\.|people$)/.test(path))

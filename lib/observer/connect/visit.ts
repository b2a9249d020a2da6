import { z } from 'zod'
import { json } from '../../host/command.ts'
import { bitOf } from '../../people/records.ts'
import type { Group } from '../../site/endpoints.ts'

/** What the gateway says of a visitor (gateway/policies/connect.ts); lists by commas. */
const told = z.object({
  host: z.string().regex(/^[\w.:[\]-]+$/),
  address: z.string(),
  peer: z.string(),
  who: z.string(),
  groups: z.string(),
  models: z.string(),
  offered: z.string(),
  access: z.enum(['tailnet', 'keys', 'either']),
  /** bits of the groups that are open where they came in; empty where all are */
  here: z.string().default(''),
  open: z.string(),
  keyless: z.string(),
  /** 1 where they came by https */
  https: z.string().default(''),
})

/** Who opened the page, and what they may. */
export interface Visit {
  /** the address by which they came, which works for them: http://studio.tail1234.ts.net:11434 */
  base: string
  /** of this machine on the tailnet */
  address: string
  /** as the tailnet says; '' where it does not know */
  login: string
  device: string
  /** the key's or the rule's name; '' without one */
  who: string
  /** the request came with a key */
  byKey: boolean
  /** clients need a key from here */
  needsKey: boolean
  /** groups of the endpoint table that this server opens where they came in */
  open: Group[]
  /** those that are theirs */
  may: Group[]
  /** a list of models holds for them */
  listed: boolean
}

const listOf = (text: string): Group[] => text.split(',').filter(Boolean) as Group[]

/** Behind something that speaks https the Host header has no port, since ours is never 80. */
const baseOf = (host: string, https: string): string =>
  `${https !== '1' && /:\d+$/.test(host) ? 'http' : 'https'}://${host}`

/** Reads the gateway's word; undefined when it is none of ours. */
export function visitOf(header: string): Visit | undefined {
  const { data } = told.safeParse(json(header))
  if (!data) return undefined
  const [login = '', device = ''] = data.peer.split('|')
  const here = (group: Group) => data.here === '' || (Number(data.here) & bitOf(group)) !== 0
  const [open, keyless, byKey] = [listOf(data.open).filter(here), listOf(data.keyless), data.offered !== '']
  const own = (group: Group) => (Number(data.groups) & bitOf(group)) !== 0
  const granted = data.who ? own : () => data.access === 'tailnet'
  return {
    ...{ base: baseOf(data.host, data.https), address: data.address, login, device, who: data.who, byKey },
    needsKey: data.access !== 'tailnet' && (data.who === '' || byKey),
    open,
    may: open.filter((group) => granted(group) || keyless.includes(group)),
    listed: data.who !== '' && data.models === 'list',
  }
}

/** Whether somebody is told which models there are: known to the tailnet or by a key, and allowed to ask that of the gateway, too. */
export const seesModels = ({ who, login, device, may }: Visit): boolean =>
  (who || login || device) !== '' && (may.includes('openai') || may.includes('metadata'))

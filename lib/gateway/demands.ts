import { listedOf } from '../people/lists.ts'
import type { Registry } from '../site/limits.ts'
import type { Settings } from '../site/settings.ts'
import type { Gateway } from './policy.ts'

/** What of keys and rules stands in HAProxy's rules and buffers, and not in maps: whether somebody has a list of models (only then it holds whole bodies), and how many bytes a second keys get. */
export const demandsOf = (
  registry: Registry,
  settings: Pick<Settings, 'access' | 'people'>,
): Required<Pick<Gateway, 'listed' | 'speeds'>> => ({
  listed: listedOf(registry, settings).length > 0,
  speeds: settings.access === 'tailnet' ? [] : speedsOf(registry),
})

/** The numbers of bytes a second that keys have, each once. */
export const speedsOf = ({ keys }: Registry): number[] => [
  ...new Set(Object.values(keys).flatMap(({ perSecond }) => perSecond ?? [])),
]

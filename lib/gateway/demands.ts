import { listedOf } from '../people/lists.ts'
import { noKeys, type Registry } from '../site/limits.ts'
import { asksKeys, type Listening, type Settings } from '../site/settings.ts'
import type { Gateway } from './policy.ts'

/** What of keys and rules stands in HAProxy's rules and buffers, and not in maps: whether somebody has a list of models (only then it holds whole bodies), and how many bytes a second keys get. */
export const demandsOf = (
  registry: Registry,
  settings: Listening & Pick<Settings, 'people'>,
): Required<Pick<Gateway, 'listed' | 'speeds'>> => {
  // Keys that nobody is asked for ask nothing of HAProxy.
  const counted = asksKeys(settings) ? registry : noKeys
  return { listed: listedOf(counted, settings).length > 0, speeds: speedsOf(counted) }
}

/** The numbers of bytes a second that keys have, each once. */
export const speedsOf = ({ keys }: Registry): number[] => [
  ...new Set(Object.values(keys).flatMap(({ perSecond }) => perSecond ?? [])),
]

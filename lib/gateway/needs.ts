import { atLeast, versionNumbers } from '../platform/versions.ts'
import { noKeys, type Registry } from '../site/limits.ts'
import type { Settings } from '../site/settings.ts'
import { bandwidthLimits, bandwidthNeeds } from './policies/bandwidth.ts'
import { sharedLimits, sharedNeeds } from './policies/shared.ts'
import type { Since } from './policies/since.ts'
import { queueNeeds, queueTimes } from './policies/timeouts.ts'

/** What somebody asks for, in their words, and the first HAProxy that has it. */
export interface Need {
  asked: string
  since: Since
}

/** What the settings ask of HAProxy's version, beside the least that there must be. */
export function settingsNeeds(settings: Settings): Need[] {
  const need = (since: Since, names: string[]): Need[] =>
    names.map((name) => ({ asked: `${name} in settings.yaml`, since }))
  return [
    ...need(sharedNeeds, sharedLimits(settings.limits)),
    ...need(bandwidthNeeds, bandwidthLimits(settings)),
    ...need(queueNeeds, queueTimes(settings.timeouts)),
  ]
}

const flags = [
  { field: 'queue', flag: '--queue', since: queueNeeds },
  { field: 'perSecond', flag: '--per-second', since: bandwidthNeeds },
] as const

/** What keys ask of it, other than what they asked before. */
export const keyNeeds = ({ keys }: Registry, before = noKeys): Need[] =>
  flags.flatMap(({ field, flag, since }) => {
    const name = Object.keys(keys).find(
      (name) => keys[name]?.[field] !== undefined && keys[name][field] !== before.keys[name]?.[field],
    )
    return name === undefined ? [] : [{ asked: `${flag} of the key ${name}`, since }]
  })

/** Says that a HAProxy is older than what is asked for: `too old for …, 3.0 is needed`; undefined when it is not. */
export function tooOldFor(version: string, needs: Need[]): string | undefined {
  const missing = needs.filter(({ since }) => !atLeast(versionNumbers(version), [...since]))
  const [newest] = missing.map(({ since }) => since).sort(([a, b], [c, d]) => c - a || d - b)
  return newest && `too old for ${missing.map(({ asked }) => asked).join(', ')}, ${newest.join('.')} is needed`
}

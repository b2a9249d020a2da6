import { exempt, record } from '../../people/records.ts'
import { asksNobody, type Settings } from '../../site/settings.ts'
import type { Check } from '../../steps/step.ts'
import type { Gateway, Policy } from '../policy.ts'
import { paced } from '../proofs/paced.ts'
import type { Target } from '../proofs/target.ts'
import { type Since, since } from './since.ts'

/** The first HAProxy that can slow an answer down (filter bwlim-out). */
export const bandwidthNeeds: Since = [3, 0]

/** What each group of the settings has, shared by all who use it. */
const ofGroups = ({ groups = {} }: Settings['limits']): [string, number][] =>
  Object.entries(groups).flatMap(([group, { per_second }]) => (per_second ? [[group, per_second]] : []))

type Wanted = Pick<Settings, 'access' | 'limits' | 'people'>

/** What rules of people say, where they count. */
const ofRules = ({ access, people }: Wanted): [string, number][] =>
  Object.entries(access === 'keys' ? {} : people).flatMap(([rule, { perSecond }]) =>
    perSecond ? [[rule, perSecond]] : [],
  )

/** The settings that ask for it, as the owner writes them. */
export const bandwidthLimits = (wanted: Wanted): string[] => [
  ...(wanted.limits.per_second ? ['limits.per_second'] : []),
  ...ofGroups(wanted.limits).map(([group]) => `limits.groups.${group}.per_second`),
  ...ofRules(wanted).map(([rule]) => `people.${rule}.per_second`),
]

/** A limit that several answers share stands in its filter and cannot be read from a record (HAProxy refuses that), so there is a filter for each number of bytes. */
const filter = (name: string, bytes: number, key: string, table: string, when: string): string[] => [
  `filter bwlim-out ${name} limit ${bytes} key ${key} table ${table}`,
  `http-response set-bandwidth-limit ${name} if ${when}`,
]

function ofPerson(bytes: number, settings: Settings): string[] {
  const recorded = `{ ${record.perSecond} -m str ${bytes} }`
  const unnamed =
    asksNobody(settings) && settings.limits.per_second === bytes ? ' or !{ var(txn.record) -m found }' : ''
  return filter(`person-${bytes}`, bytes, 'var(txn.who)', 'bandwidth', `${recorded}${unnamed}`)
}

const ofGroup = ([group, bytes]: [string, number]): string[] =>
  filter(`group-${group}`, bytes, 'var(txn.group)', 'group-bandwidth', `{ var(txn.group) -m str ${group} }`)

const table = (name: string): string =>
  `backend ${name}\n    stick-table type string len 120 size 20k expire 10s store bytes_out_rate(1s)`

/** The numbers that persons have: keys, rules of people, and everybody else; each once, the smallest first. */
export function personSpeeds(wanted: Wanted, ofKeys: number[]): number[] {
  const rules = ofRules(wanted).map(([, bytes]) => bytes)
  const all = [...ofKeys, wanted.limits.per_second, ...rules].filter((bytes) => bytes !== undefined)
  return [...new Set(all)].sort((one, other) => one - other)
}

const proofs = (target: Target, persons: number[], groups: [string, number][]): Check[] => [
  ...(persons.length > 0 ? paced(target, { table: 'bandwidth', key: 'paced', entry: `${exempt}paced` }) : []),
  ...groups.flatMap(([group]) => paced(target, { table: 'group-bandwidth', key: 'free', entry: group, group })),
]

/** How many bytes of answers a second somebody gets, and all together in a group. Without such a limit there is no filter: each costs every answer something. */
export function bandwidth({ settings, speeds = [] }: Gateway): Policy {
  const [persons, groups] = [personSpeeds(settings, speeds), ofGroups(settings.limits)]
  if (persons.length + groups.length === 0) return { name: 'bandwidth', lines: {} }
  const lines = [...persons.flatMap((bytes) => ofPerson(bytes, settings)), ...groups.flatMap(ofGroup)]
  return {
    name: 'bandwidth',
    lines: { inference: since(bandwidthNeeds, lines, bandwidthLimits(settings)) },
    sections: [
      ...(persons.length > 0 ? [table('bandwidth')] : []),
      ...(groups.length > 0 ? [table('group-bandwidth')] : []),
    ],
    proof: (target) => proofs(target, persons, groups),
  }
}

import type { Settings } from '../../settings.ts'
import type { Gateway, Policy } from '../policy.ts'
import { type Since, since } from './since.ts'

/** The first HAProxy that can slow an answer down (filter bwlim-out). */
export const bandwidthNeeds: Since = [3, 0]

/** The field of a person's record that says how many bytes a second there may be. */
const field = 13

/** What each group of the settings has, shared by all who use it. */
const ofGroups = ({ groups = {} }: Settings['limits']): [string, number][] =>
  Object.entries(groups).flatMap(([group, { per_second }]) => (per_second ? [[group, per_second]] : []))

/** The settings that ask for it, as the owner writes them. */
export const bandwidthLimits = ({ limits, people }: Pick<Settings, 'limits' | 'people'>): string[] => [
  ...(limits.per_second ? ['limits.per_second'] : []),
  ...ofGroups(limits).map(([group]) => `limits.groups.${group}.per_second`),
  ...Object.entries(people).flatMap(([rule, { perSecond }]) => (perSecond ? [`people.${rule}.per_second`] : [])),
]

/** A limit that several answers share stands in its filter and cannot be read from a record (HAProxy refuses that), so there is a filter for each number of bytes. */
const filter = (name: string, bytes: number, key: string, table: string, when: string): string[] => [
  `filter bwlim-out ${name} limit ${bytes} key ${key} table ${table}`,
  `http-response set-bandwidth-limit ${name} if ${when}`,
]

function ofPerson(bytes: number, { access, limits }: Settings): string[] {
  const recorded = `{ var(txn.record),field(${field},|) -m str ${bytes} }`
  const unnamed = access === 'tailnet' && limits.per_second === bytes ? ' or !{ var(txn.record) -m found }' : ''
  return filter(`person-${bytes}`, bytes, 'var(txn.who)', 'bandwidth', `${recorded}${unnamed}`)
}

const ofGroup = ([group, bytes]: [string, number]): string[] =>
  filter(`group-${group}`, bytes, 'var(txn.group)', 'group-bandwidth', `{ var(txn.group) -m str ${group} }`)

const table = (name: string): string =>
  `backend ${name}\n    stick-table type string len 120 size 20k expire 10s store bytes_out_rate(1s)`

/** How many bytes of answers a second somebody gets, and all together in a group. Without such a limit there is no filter: each costs every answer something. */
export function bandwidth({ settings, speeds = [] }: Gateway): Policy {
  const { limits, people } = settings
  const rules = Object.values(people).map(({ perSecond }) => perSecond)
  const persons = new Set([...speeds, limits.per_second, ...rules].filter((bytes) => bytes !== undefined))
  const ofPersons = [...persons].sort((one, other) => one - other).flatMap((bytes) => ofPerson(bytes, settings))
  const together = ofGroups(limits).flatMap(ofGroup)
  if (ofPersons.length + together.length === 0) return { name: 'bandwidth', lines: {} }
  return {
    name: 'bandwidth',
    lines: { inference: since(bandwidthNeeds, [...ofPersons, ...together], bandwidthLimits(settings)) },
    sections: [
      ...(ofPersons.length > 0 ? [table('bandwidth')] : []),
      ...(together.length > 0 ? [table('group-bandwidth')] : []),
    ],
  }
}

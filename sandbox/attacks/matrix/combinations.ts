import { type Examples, limitExamples, settingExamples } from '../../../lib/site/examples.ts'
import { covering } from './covering.ts'
import { type Combination, ordered, refusals } from './refusals.ts'

/** Left out: the default counts. */
const absent = 'absent'

const optional = (examples: Examples, prefix = '') =>
  Object.fromEntries(Object.entries(examples).map(([path, values]) => [`${prefix}${path}`, [absent, ...values]]))

/** What is neither a setting nor a limit: how many keys there are, and who the laptop is. */
const surroundings = {
  keys: ['one with limits', 'none', 'one with limits and one without'],
  laptop: ['ann@example.com', 'tag:ci', 'a stranger'],
}

/** What is lived on: a Mac in a box, or a booted Debian. */
export type System = 'mac' | 'linux'

const said = (row: Combination): Combination =>
  Object.fromEntries(Object.entries(row).filter(([, value]) => value !== absent && value !== undefined))

/** What some values need beside them, where nothing is said of it yet. */
const company: Combination = {
  ...{ access: 'keys', tls: settingExamples.tls?.[0], nodes: settingExamples.nodes?.[0] },
}

/** A gateway without a node answers nothing, and no authority is beside the booted Debian, so nothing can be proven of either. */
const pointless = ({ role, nodes, system, tls }: Combination): boolean =>
  (role === 'gateway' && nodes === undefined) || (system === 'linux' && ordered(tls))

/** Whether values stand in some combination that is taken. */
export function allowed(row: Combination): boolean {
  const whole = said({ ...company, ...row })
  return !pointless(whole) && refusals.every(({ when }) => !when?.(whole))
}

/** What is combined: every value of each, but for those that none of these HAProxy has; the first is that nothing was said. */
export function factors(versions: string[], system: System = 'mac'): Record<string, unknown[]> {
  const all = { ...optional(settingExamples), ...surroundings, ...optional(limitExamples, 'key.') }
  const here = (name: string, value: unknown) => versions.some((haproxy) => allowed({ haproxy, system, [name]: value }))
  const kept = Object.entries(all).map(([name, values]) => [name, values.filter((value) => here(name, value))])
  return { haproxy: versions, ...(system === 'mac' ? {} : { system: [system] }), ...Object.fromEntries(kept) }
}

/** Every two values that can be set together, in few combinations; the same for the same seed. */
export const combinations = (seed: string, versions: string[], system?: System): Combination[] =>
  covering(factors(versions, system), seed, allowed).map(said)

/** One combination for each kind of refusal on a Mac, with the oldest of these HAProxy that shows it. */
export const refused = (versions: string[]): Combination[] =>
  refusals.flatMap(({ example, when }) => {
    const haproxy = versions.find((version) => when === undefined || when({ ...example, haproxy: version }))
    return haproxy === undefined || example.system !== undefined ? [] : [{ haproxy, ...example }]
  })

/** A combination on one line. */
export const spelled = ({ haproxy, ...rest }: Combination): string =>
  Object.entries({ haproxy, ...Object.fromEntries(Object.entries(rest).sort()) })
    .map(([path, value]) => `${path}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('  ')

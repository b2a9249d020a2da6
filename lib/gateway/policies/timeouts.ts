import { plain, record } from '../../people/records.ts'
import { openRows } from '../../site/endpoints.ts'
import type { Limits } from '../../site/limits.ts'
import { openGroups, type Settings, timed } from '../../site/settings.ts'
import type { Gateway, Policy } from '../policy.ts'
import { timeLimits } from '../proofs/timed.ts'
import { type Since, since } from './since.ts'

/** The first HAProxy that can be told for each request how long it may wait for a slot (`set-timeout queue`). */
export const queueNeeds: Since = [3, 4]

/** The settings that ask for it, as the owner writes them. */
export const queueTimes = ({ queue, groups = {} }: Settings['timeouts']): string[] => [
  ...(queue ? ['timeouts.queue'] : []),
  ...Object.entries(groups).flatMap(([group, times]) => (times.queue ? [`timeouts.groups.${group}.queue`] : [])),
]

/** The first HAProxy that tells the time to the first byte from silence after it; an older one has one limit for both. */
export const apartNeeds: Since = [3, 0]

/** ms that count without a word of the owner's. */
const general = 35 * 60_000

/** The limits of each open group whose rows ask a model. */
function timesOf(settings: Settings) {
  const { groups = {}, ...all } = settings.timeouts
  const asking = openRows(openGroups(settings)).filter(({ backend }) => backend === 'inference')
  return [...new Set(asking.map(({ group }) => group))].map((group) => ({
    ...{ group, first_byte: 0, silence: 0, whole: 0, queue: 0 },
    ...all,
    ...groups[group as keyof typeof groups],
  }))
}

/** The one limit (ms) that an older HAProxy makes of two: the larger, and the general one where silence alone is limited; undefined where they are the same. */
const asOne = (first: number, silence: number): number | undefined =>
  first === silence ? undefined : first > 0 ? Math.max(first, silence) : general

/** Whose time to the first byte and silence after it an older HAProxy cannot tell apart, and the one limit that it makes of them, such as `60 s for the key bob`. */
export function blended(settings: Settings, { keys }: { keys: Record<string, Limits> }): string[] {
  const told = (whose: string, { firstByte, silence }: Limits = {}): string[] => {
    const found = timesOf(settings).flatMap(
      (times) => asOne((firstByte ?? 0) * 1000 || times.first_byte, (silence ?? 0) * 1000 || times.silence) ?? [],
    )
    return [...new Set(found)].map((ms) => `${ms / 1000} s for ${whose}`)
  }
  const own = Object.entries(keys).filter(([, { firstByte, silence }]) => firstByte || silence)
  return [...told('timeouts in settings.yaml'), ...own.flatMap(([name, limits]) => told(`the key ${name}`, limits))]
}

/** Where each limit stands, in the group's entry and in the record. */
const kinds = [
  { name: 'txn.first', group: 1, own: record.firstByte },
  { name: 'txn.silence', group: 2, own: record.silence },
  { name: 'txn.whole', group: 3, own: record.whole },
]
const waiting = { name: 'txn.queue', group: 4, own: record.queue }

/** `group` -> `ms to the first byte|ms of silence after it|s of the whole request|ms in the queue`; 0 is no limit but the general 35 minutes, and `queue.wait`. */
function groupTimes(settings: Settings): string {
  const lines = timesOf(settings).flatMap(({ group, first_byte, silence, whole, queue }) => {
    const fields = [first_byte, silence, Math.ceil(whole / 1000), queue]
    return fields.some(Boolean) ? [`${group} ${fields.join('|')}`] : []
  })
  return `${lines.join('\n')}\n`
}

/** A limit of the group's, where settings have some. */
const ofGroup = ({ name, group }: typeof waiting): string =>
  `http-request set-var(${name}) var(txn.times),field(${group},|),add(0) if { var(txn.times) -m found }`

/** A limit of the key's own counts before the group's. */
const ofKey = ({ name, own }: typeof waiting): string[] => [
  `http-request set-var(txn.own) ${own},add(0) if !${plain}`,
  `http-request set-var(${name}) var(txn.own) if !${plain} { var(txn.own) -m int gt 0 }`,
]

const groupSources = [
  'http-request set-var(txn.times) var(txn.group),map_str({{files}}/timeouts.map) if inference',
  ...kinds.map(ofGroup),
  ...since(queueNeeds, [ofGroup(waiting)]),
]

const keySources = [...kinds.flatMap(ofKey), ...since(queueNeeds, ofKey(waiting))]

/** HAProxy 3.0 and newer tell silence before the first byte from silence after it; older ones have one limit, the larger of the two. */
const enforced = [
  '.if version_atleast(3.0)',
  'http-request set-timeout server var(txn.first) if { var(txn.first) -m int gt 0 }',
  'http-response set-timeout server 35m if { var(txn.first) -m int gt 0 }',
  'http-response set-timeout server var(txn.silence) if { var(txn.silence) -m int gt 0 }',
  '.else',
  'http-request set-timeout server var(txn.first) if { var(txn.first) -m int gt 0 }',
  'http-request set-var(txn.longer) var(txn.silence),sub(txn.first)',
  'http-request set-timeout server var(txn.silence) if { var(txn.first) -m int gt 0 } { var(txn.longer) -m int gt 0 }',
  '.endif',
]

/** Whoever waited in vain is told so by queue.ts; here it is said in the log that it was this limit, and not the common one. */
const queued = [
  'http-request set-timeout queue var(txn.queue) if { var(txn.queue) -m int gt 0 }',
  'http-after-response set-var(txn.denied) str(timeouts) if { var(txn.queue) -m int gt 0 } { txn.sess_term_state -m beg sQ }',
]

/** How long a request may wait for a slot (429), and an answer may take: to its first byte (504), in silence after it (a hard close), and as a whole, which the observer ends. */
export function timeouts(gateway: Gateway): Policy {
  const { settings } = gateway
  if (!timed(settings)) return { name: 'timeouts', lines: {} }
  const grouped = Object.keys(settings.timeouts).length > 0
  return {
    name: 'timeouts',
    lines: {
      limit: [...(grouped ? groupSources : []), ...keySources],
      inference: [...enforced, ...since(queueNeeds, queued, queueTimes(settings.timeouts))],
    },
    files: grouped ? { 'timeouts.map': groupTimes(settings) } : {},
    proof: (target) => timeLimits(target, settings.observer === 'on'),
  }
}

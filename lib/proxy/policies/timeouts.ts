import { timeLimits } from '../../checks/timed.ts'
import { openGroups, type Settings } from '../../settings.ts'
import type { Gateway, Policy } from '../policy.ts'

/** Where each limit stands, in the group's entry and in the key's record. */
const kinds = [
  { name: 'txn.first', group: 1, record: 9 },
  { name: 'txn.silence', group: 2, record: 10 },
  { name: 'txn.whole', group: 3, record: 11 },
]

/** Whether a request may end by a time limit of the owner's: any key can have one, and the settings. */
export const timed = ({ access, timeouts }: Settings): boolean =>
  access !== 'tailnet' || Object.keys(timeouts).length > 0

/** `group` -> `ms to the first byte|ms of silence after it|s of the whole request`; 0 is no limit but the general 35 minutes. */
function groupTimes(settings: Settings): string {
  const { groups = {}, ...all } = settings.timeouts
  const lines = openGroups(settings).flatMap((group) => {
    const { first_byte = 0, silence = 0, whole = 0 } = { ...all, ...groups[group as keyof typeof groups] }
    return first_byte || silence || whole ? [`${group} ${first_byte}|${silence}|${Math.ceil(whole / 1000)}`] : []
  })
  return `${lines.join('\n')}\n`
}

/** A limit of the key's own counts before the group's. */
const sources = [
  'http-request set-var(txn.times) var(txn.group),map_str({{files}}/timeouts.map) if inference',
  ...kinds.flatMap(({ name, group, record }) => [
    `http-request set-var(${name}) var(txn.times),field(${group},|),add(0) if inference`,
    `http-request set-var(txn.own) var(txn.record),field(${record},|),add(0)`,
    `http-request set-var(${name}) var(txn.own) if { var(txn.own) -m int gt 0 }`,
  ]),
]

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

/** How long an answer may take: to its first byte (504), in silence after it (a hard close), and as a whole, which the observer ends. */
export function timeouts(gateway: Gateway): Policy {
  const { settings } = gateway
  if (!timed(settings)) return { name: 'timeouts', lines: {} }
  return {
    name: 'timeouts',
    lines: { limit: sources, inference: enforced },
    files: { 'timeouts.map': groupTimes(settings) },
    proof: (target) => timeLimits(target, settings.observer === 'on'),
  }
}

import type { Peer } from '../platform/peers.ts'
import type { Settings } from '../site/settings.ts'
import { endingAt, recordOf } from './records.ts'

/** What HAProxy reads of the tailnet: who may what by address, and who it is for the log. */
export const identityMaps = ['people.map', 'devices.map'] as const
export type IdentityMaps = Record<(typeof identityMaps)[number], Map<string, string>>

/** Seconds for which an identity counts: a list that nobody refreshes must not let people in for ever. */
export const lifetime = 300

/** `rules.map`: each rule of `people` -> its record, still without an end. Empty where only keys count. */
export function ruleLines({ access, people, limits }: Settings): Map<string, string> {
  if (access === 'keys') return new Map()
  return new Map(Object.entries(people).map(([rule, own]) => [rule, recordOf(rule, 0, own, limits)]))
}

/** The rule for a device: the one for itself, else for its user, else the first that names one of its tags. */
export const ruleFor = ({ device, login, tags }: Peer, rules: string[]): string | undefined =>
  rules.find((rule) => rule === `device:${device}`) ??
  rules.find((rule) => rule === login) ??
  rules.find((rule) => tags.includes(rule))

/** Both maps by address. This machine has no rule: whoever sits at it reaches Ollama anyway, and test.ts asks from here. */
export function identityLines(peers: Peer[], rules: Map<string, string>, now = Date.now()): IdentityMaps {
  const until = Math.floor(now / 1000) + lifetime
  const byAddress = (value: (peer: Peer) => string | undefined): Map<string, string> =>
    new Map(
      peers.flatMap((peer) => {
        const found = value(peer)
        return found === undefined ? [] : peer.addresses.map((address): [string, string] => [address, found])
      }),
    )
  return {
    'people.map': byAddress((peer) => {
      const rule = peer.own ? undefined : ruleFor(peer, [...rules.keys()])
      return rule && endingAt(rules.get(rule) ?? '', until)
    }),
    'devices.map': byAddress(({ login, tags, device }) => `${plain(login ?? tags[0] ?? '')}|${plain(device)}`),
  }
}

/** The lines without their ends: what differs then is more than age. */
export const withoutEnds = (lines: Map<string, string>): Map<string, string> =>
  new Map([...lines].map(([address, record]) => [address, endingAt(record, 0)]))

/** Names from the tailnet are foreign text on their way into a map, a socket's command and a log line. */
const plain = (text: string): string => text.replaceAll(/[^\w.@:+-]/g, '_').slice(0, 100)

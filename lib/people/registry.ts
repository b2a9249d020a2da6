import { z } from 'zod'
import { Stop } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { called } from '../host/typed.ts'
import { places } from '../platform/here.ts'
import { noKeys, type Registry, registry } from '../site/limits.ts'
import { asksKeys, type Listening, type Settings } from '../site/settings.ts'
import { inOurWords } from '../site/wanted.ts'

/** Names go into maps, URLs of metrics and log lines: plain letters only, 64 at most. */
export const keyName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,63}$/,
    'a name of 1 to 64 small letters, digits, . _ - (beginning with a letter or digit)',
  )

/** Reads the keys as they were written down; none when the file is not there. Throws `Stop` (exit 2) when it is not what keys.ts wrote. */
export async function writtenRegistry(look: Look): Promise<Registry> {
  const file = places(look).keys
  const text = await look.read(file)
  if (text === undefined) return structuredClone(noKeys)
  return parseRegistry(text, file)
}

/** Checks a registry's text, ours or an export; throws `Stop` (exit 2). */
export function parseRegistry(text: string, file: string): Registry {
  const value = parsed(text)
  const found = registry.safeParse(value, { reportInput: true, error: inOurWords })
  const bad = found.success ? Object.keys(found.data.keys).find((name) => !keyName.safeParse(name).success) : undefined
  if (found.success && bad === undefined) return found.data
  const reason = found.error?.issues[0]
  const where =
    value === undefined
      ? unread(text)
      : reason
        ? `${reason.path.join('.') || 'top'}: ${reason.message}`
        : `the name ${JSON.stringify(bad)}`
  throw new Stop(
    2,
    `${file} is not as ${called('keys')} writes it (${where}); put a good copy back, or move it away to begin without keys. Nothing was changed.`,
  )
}

/** Why nobody gets in, where keys are asked for and none counts now; undefined while somebody does. */
export function nobodyIn(
  { keys }: Registry,
  { access, people, listeners }: Listening & Pick<Settings, 'people'>,
  now = Date.now(),
): string | undefined {
  if (!asksKeys({ access, listeners }) || (access === 'either' && Object.keys(people).length > 0)) return undefined
  const counts = (until?: string) => until === undefined || Date.parse(until) > now
  const live = Object.values(keys).some(
    ({ expires, hashes, certificates = [] }) =>
      counts(expires) && [...hashes, ...certificates].some(({ until }) => counts(until)),
  )
  if (live) return undefined
  const what = Object.keys(keys).length > 0 ? 'every key has ended' : 'there is no key'
  return access === 'tailnet'
    ? `listeners ask for a key and ${what}, so nobody gets in there`
    : `access: ${access} is set and ${what}, so nobody gets in`
}

const unread = (text: string): string => (text.trim() === '' ? 'it is empty' : 'it is no JSON, or not whole')

/** An editor's mark of UTF-8 before the first letter is no fault. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    return undefined
  }
}

export const saveRegistry = (host: Host, registry: Registry): Promise<void> =>
  host.write(places(host).keys, `${JSON.stringify(registry, null, 2)}\n`)

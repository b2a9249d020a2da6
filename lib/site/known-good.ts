import { atLeast, versionNumbers } from '../platform/versions.ts'

/** The programs that this product stands on. */
export type Program = 'haproxy' | 'ollama' | 'tailscale'

/** A version that did what is promised, and how that was seen. */
interface Seen {
  program: Program
  version: string
  on: string
  how: string
}

const gateway = 'all stories, Linux'

/** Whoever has seen another one adds a line. Nothing here was seen on a real Mac yet. */
export const knownGood: Seen[] = [
  { program: 'haproxy', version: '2.6.12', on: '2026-11-29', how: gateway },
  { program: 'haproxy', version: '3.0.11', on: '2026-11-29', how: gateway },
  { program: 'haproxy', version: '3.2.26', on: '2026-11-29', how: gateway },
  { program: 'haproxy', version: '3.4.7', on: '2026-11-29', how: gateway },
  { program: 'ollama', version: '0.24.0', on: '2026-11-21', how: 'toy models, Linux' },
]

const series = (version: string): string => versionNumbers(version).slice(0, 2).join('.')

/** What is known of a version, in words: it was seen to work, or which one nearest to it was. */
export function knownOf(program: Program, version: string): string {
  const all = knownGood
    .filter((one) => one.program === program)
    .sort((a, b) => (atLeast(versionNumbers(a.version), versionNumbers(b.version)) ? -1 : 1))
  const plain = version.replace(/_\d+$/, '')
  const same = all.find((one) => one.version === plain)
  if (same) return `known to work (${same.how}, ${same.on})`
  const near = all.find((one) => series(one.version) === series(plain)) ?? all[0]
  return near ? `not tried yet; known to work: ${near.version} (${near.how}, ${near.on})` : 'no version was tried yet'
}

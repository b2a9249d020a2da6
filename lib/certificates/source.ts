import type { Host } from '../host/host.ts'
import type { Settings } from '../site/settings.ts'
import type { Facts } from './pair.ts'

/** For which name a source is asked. */
export interface Wanted {
  name: string
  settings: Settings
  /** the one that is in use */
  held?: Facts
  /** there is none that lasts: a new one is to be had where the source can */
  due: boolean
}

/** What a source has: a chain and a key, and where they came from, in words; undefined when the one in use stays. */
export type Brought = { pem: string; source: string } | undefined

/** Where certificates come from. Throws `Unfit` with a sentence when it has none. */
export type Source = (host: Host, wanted: Wanted) => Promise<Brought>

/** A path as settings have it, from the root on. */
export const fromHome = (home: string, file: string): string => file.replace(/^~(?=\/)/, home)

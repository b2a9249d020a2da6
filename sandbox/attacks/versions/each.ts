import { haproxyOf, suites } from './debian.ts'

/** A HAProxy for a story. */
export interface Version {
  title: string
  /** the program; undefined is the usual one. Throws when it cannot be had. */
  program(): Promise<string | undefined>
}

const newest = suites.at(-1) ?? ''

/** The HAProxys that stories run with: the usual one and the newest, 2.6 and 3.4 when this was written. `npm run versions` has each of the others for the usual one. */
export const triedVersions: Version[] = [
  { title: 'the usual HAProxy', program: async () => undefined },
  { title: `the HAProxy of Debian’s ${newest}`, program: () => haproxyOf(newest) },
]

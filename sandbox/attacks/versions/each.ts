import { haproxyOf, suites } from './debian.ts'

/** A HAProxy for a story: the usual one, and those of Debian's other suites as far as they can be had. */
export interface Version {
  title: string
  /** the program; undefined is the usual one. Throws when it cannot be had. */
  program(): Promise<string | undefined>
}

/** Each HAProxy that stories run with: 2.6, 3.0, 3.2 and 3.4 when this was written. */
export const everyVersion: Version[] = [
  { title: 'the usual HAProxy', program: async () => undefined },
  ...suites.map((suite) => ({ title: `the HAProxy of Debian’s ${suite}`, program: () => haproxyOf(suite) })),
]

import type { Platform } from '../platform.ts'
import { packages } from './brew.ts'
import { facts } from './facts.ts'
import { firewall } from './firewall.ts'
import { addresses } from './ifconfig.ts'
import { keepers } from './keepers.ts'
import { jobFiles, jobs } from './launchd.ts'
import { listeners } from './listeners.ts'
import { places } from './places.ts'
import { power } from './power.ts'
import { processes } from './processes.ts'

/** macOS 14 and newer, on Apple silicon. */
export const mac: Platform = {
  places,
  jobFiles,
  jobs,
  packages,
  listeners,
  processes,
  keepers,
  addresses,
  power,
  firewall,
  facts,
  diskOf: (path) => /^\/Volumes\/([^/]+)/.exec(path)?.[1],
}

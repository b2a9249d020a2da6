import type { Platform } from '../platform.ts'
import { packages } from './brew.ts'
import { facts } from './facts.ts'
import { firewall } from './firewall.ts'
import { fitness } from './fitness.ts'
import { addresses } from './ifconfig.ts'
import { keepers } from './keepers.ts'
import { jobFiles, jobs } from './launchd.ts'
import { listeners } from './listeners.ts'
import { labels, oldLogs, places } from './places.ts'
import { power } from './power.ts'
import { processes } from './processes.ts'
import { tailscaleWords } from './tailscale.ts'

/** macOS 14 and newer, on Apple silicon. */
export const mac: Platform = {
  places,
  labels,
  oldLogs,
  modes: { run: 0o700, socket: 0o600, copy: 0o700 },
  engineUser: ({ user }) => user,
  models: (home) => `${home}/.ollama/models`,
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
  fitness,
  tailscale: tailscaleWords,
  words: {
    ...{ here: 'this Mac', start: 'at login', startOn: 'the login on' },
    // Finder and "About This Mac" count what macOS deletes only when it wants the room; statfs, and whoever writes a file, do not.
    room: 'Finder counts purgeable files as free, and they are not yet: System Settings > General > Storage',
  },
  diskOf: (path) => /^\/Volumes\/([^/]+)/.exec(path)?.[1],
}

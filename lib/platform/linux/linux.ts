import type { Platform } from '../platform.ts'
import { addresses } from './addresses.ts'
import { packages } from './apt.ts'
import { facts } from './facts.ts'
import { firewall } from './firewall.ts'
import { fitness } from './fitness.ts'
import { virtualRouter } from './keepalived.ts'
import { keepers } from './keepers.ts'
import { listeners } from './listeners.ts'
import { packetFilter } from './nftables.ts'
import { labels, ownNode, places } from './places.ts'
import { power, restarter } from './power.ts'
import { processes } from './processes.ts'
import { jobs } from './systemd.ts'
import { tailscaleWords } from './tailscale.ts'
import { jobFiles } from './units.ts'

/** Debian 12 and newer, Ubuntu 24.04 and newer, with systemd. */
export const linux: Platform = {
  places,
  labels,
  oldLogs: [],
  ownNode,
  administrator: 0,
  // HAProxy gives root up and must still reach the observer's socket; whoever types `rop` must read the copy.
  modes: { run: 0o750, socket: 0o660, copy: 0o755 },
  account: { user: 'haproxy', group: 'haproxy' },
  engineUser: () => 'ollama',
  models: () => '/usr/share/ollama/.ollama/models',
  jobFiles,
  jobs,
  packages,
  listeners,
  processes,
  keepers,
  addresses,
  power,
  firewall,
  packetFilter,
  virtualRouter,
  restarter,
  facts,
  fitness,
  tailscale: tailscaleWords,
  words: { here: 'this machine', start: 'when the machine starts', startOn: 'the start on', room: '' },
  diskOf: (path) => /^\/(?:media\/[^/]+|mnt)\/([^/]+)/.exec(path)?.[1],
}

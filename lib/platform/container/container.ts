import { exitCodes, Stop } from '../../host/command.ts'
import type { Look } from '../../host/host.ts'
import { typed } from '../../host/typed.ts'
import { linux } from '../linux/linux.ts'
import type { Packages, Platform } from '../platform.ts'
import { fitness } from './fitness.ts'
import { jobFiles, jobs } from './jobs.ts'
import { labels, places } from './places.ts'

const anew = 'docker compose build --pull --no-cache && docker compose up -d'

/** The first address that others reach: the one of the container's own network. */
async function address(look: Look): Promise<string | undefined> {
  const all = await linux.addresses.all(look)
  return all.find((one) => one.family === 4 && !one.address.startsWith('127.'))?.address
}

/** The image has its programs; a newer image brings newer ones. */
const packages: Packages = {
  ...linux.packages,
  name: 'the image',
  async survey(look) {
    const haproxy = await look.find(['haproxy', '/usr/sbin/haproxy'])
    return { program: haproxy, prefix: haproxy?.replace(/\/s?bin\/haproxy$/, '') ?? '/usr' }
  },
  program: ({ prefix }, name) => `${prefix}/sbin/${name}`,
  typed: () => anew,
  installs: () => anew,
  async install() {
    throw new Stop(exitCodes.precondition, `Nothing is installed in a container; build its image anew: ${anew}`)
  },
  newer: async () => [],
  recent: async () => true,
}

/** The gateway in a container: Debian without systemd, tailnet or engine, behind one published port. */
export const container: Platform = {
  ...linux,
  places,
  labels,
  ownNode: process.execPath,
  administrator: undefined,
  modes: { run: 0o700, socket: 0o600, copy: 0o755 },
  account: undefined,
  jobFiles,
  jobs,
  packages,
  packetFilter: undefined,
  power: { ...linux.power, awakeWhile: (pid) => ['tail', `--pid=${pid}`, '-f', '/dev/null'] },
  facts: {
    ...linux.facts,
    survey: async (look) => ({ ...(await linux.facts.survey(look)), system: 'container', desktop: true }),
  },
  fitness,
  door: { name: 'inside', address },
  elsewhere: {
    uninstall: 'in the folder of compose.yaml: docker compose down (and -v for its volume); config and logs stay.',
    upgrade: `in the folder of compose.yaml: ${anew}`,
    restore: `copy settings.yaml and keys back into config, then ${typed('apply')}.`,
  },
  without: ['packages', 'tailscale', 'command', 'vip', 'firewall', 'power'],
  words: { here: 'this container', start: 'when the container starts', startOn: 'the start on', room: '' },
}

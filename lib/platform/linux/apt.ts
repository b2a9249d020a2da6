import { exitCodes, Stop } from '../../host/command.ts'
import type { Host, Look } from '../../host/host.ts'
import { called } from '../../host/typed.ts'
import type { Newer, Packager, Packages } from '../platform.ts'
import { ownNode } from './places.ts'

/** dpkg asks nothing, and keeps files of its packages that were edited (apt-get(8), dpkg(1)). */
const quiet = { DEBIAN_FRONTEND: 'noninteractive' }
const options = ['-q', '-y', '--no-install-recommends', '-o', 'Dpkg::Options::=--force-confold']

const aptGet = (host: Host, ...words: string[]) =>
  host.run(['apt-get', ...options, ...words], { env: quiet, timeoutMs: 1_800_000 })

/** Where each comes from that Debian does not have. */
const site = { ollama: 'https://ollama.com', tailscale: 'https://pkgs.tailscale.com/stable' }

const keyring = '/usr/share/keyrings/tailscale-archive-keyring.gpg'
const list = '/etc/apt/sources.list.d/tailscale.list'

/** Fetches what must come whole and over TLS. Throws `Stop` (exit 3). */
async function fetched(host: Host, url: string, file: string): Promise<void> {
  const { code } = await host.run(['curl', '-fsSL', '--retry', '3', '--proto', '=https', '-o', file, url], {
    codes: [...Array(100).keys()],
    timeoutMs: 300_000,
  })
  if (code !== 0)
    throw new Stop(
      exitCodes.precondition,
      `${url} could not be fetched (curl ended with ${code}); look at the network and run ${called('install')} again.`,
    )
}

/** Names of the distribution and its release, as repositories have them in their paths. */
async function release(look: Look): Promise<{ id: string; codename: string }> {
  const text = (await look.read('/etc/os-release')) ?? ''
  const value = (key: string) => new RegExp(`^${key}="?([\\w.-]+)`, 'm').exec(text)?.[1] ?? ''
  const like = `${value('ID')} ${/^ID_LIKE="?([^"\n]*)/m.exec(text)?.[1] ?? ''}`
  return { id: like.includes('ubuntu') ? 'ubuntu' : 'debian', codename: value('VERSION_CODENAME') }
}

/** Tailscale's own repository, which apt takes packages of only where this key has signed them (pkgs.tailscale.com). */
async function tailscaleRepository(host: Host): Promise<void> {
  const { id, codename } = await release(host)
  await fetched(host, `${site.tailscale}/${id}/${codename}.noarmor.gpg`, keyring)
  await host.run(['chmod', '0644', keyring])
  await host.write(list, `deb [signed-by=${keyring}] ${site.tailscale}/${id} ${codename} main\n`, 0o644)
}

/** Ollama's official way: its script fetches the program, makes the user and the unit, and starts it (facts: linux.md §7). It ends without zstd, which a bare Debian lacks. */
async function ollama(host: Host) {
  if (!(await host.find(['zstd']))) await aptGet(host, 'install', 'zstd')
  const script = '/run/remote-ollama-proxy-ollama-install.sh'
  await fetched(host, `${site.ollama}/install.sh`, script)
  try {
    return await host.run(['sh', script], { timeoutMs: 1_800_000 })
  } finally {
    await host.remove(script)
  }
}

/** What its script brought, but for its user and the models, which are below its home. */
const ollamaFiles = ['/etc/systemd/system/ollama.service', '/usr/local/bin/ollama', '/usr/local/lib/ollama']

/** Debian starts the service of these as it installs them: one that nobody asked for is stopped again. */
const withOwnService = ['haproxy', 'keepalived']

async function withoutService(host: Host, name: string) {
  const output = await aptGet(host, 'install', name)
  await host.run(['systemctl', 'disable', '--now', `${name}.service`], { codes: [0, 1, 5] })
  return output
}

/** It is in no repository of Debian's. */
const typedOllama = {
  install: `curl -fsSL ${site.ollama}/install.sh | sh`,
  upgrade: `curl -fsSL ${site.ollama}/install.sh | sh`,
  uninstall:
    'sudo systemctl disable --now ollama && sudo rm -r /etc/systemd/system/ollama.service /usr/local/bin/ollama /usr/local/lib/ollama',
}

const installs: Record<string, string> = {
  ollama: `curl -fsSL ${site.ollama}/install.sh | sh   (Ollama's own installer: program, user, unit; it unpacks by zstd, which apt-get installs where it is missing)`,
  ...Object.fromEntries(
    withOwnService.map((name) => [
      name,
      `apt-get install ${name}   (its own service ${name}.service is stopped and switched off)`,
    ]),
  ),
  tailscale: `apt-get install tailscale   (from ${site.tailscale}, its key checked, ${list})`,
}

/** Reads `apt list --upgradable`: `haproxy/stable 2.6.12-1+deb12u4 amd64 [upgradable from: 2.6.12-1]`. */
export function parseUpgradable(text: string): Newer[] {
  return text.split('\n').flatMap((line) => {
    const [, name, current, installed] = /^([^/\s]+)\/\S+ (\S+) \S+ \[upgradable from: (\S+)\]/.exec(line) ?? []
    return name && current && installed ? [{ name, kind: 'formula' as const, installed, current, pinned: false }] : []
  })
}

const stablePaths: Record<string, string> = {
  node: ownNode,
  haproxy: '/usr/sbin/haproxy',
  ollama: '/usr/local/bin/ollama',
}

const ours = ['haproxy', 'tailscale']

export const packages: Packages = {
  name: 'apt',
  names: { tailscale: ['tailscale', 'formula'] },
  survey: async (look): Promise<Packager> => ({ program: await look.find(['apt-get']), prefix: '/usr' }),
  sought: 'apt-get is not here, and the programs come from packages of Debian or Ubuntu',
  site: 'your distribution',
  besides: () => '',
  asks: [],
  async setUp() {
    throw new Stop(
      exitCodes.precondition,
      'This machine has no apt-get; install it on Debian 12 or newer, or Ubuntu 24.04 or newer.',
    )
  },
  typed: (_packager, verb, ...names) =>
    names[0] === 'ollama'
      ? typedOllama[verb]
      : `sudo apt-get ${verb === 'upgrade' ? 'install --only-upgrade' : verb === 'uninstall' ? 'remove' : verb} ${names.join(' ')}`,
  installs: (_packager, name) => installs[name] ?? `apt-get install ${name}`,
  async install(host, _packager, name) {
    if (name === 'ollama') return ollama(host)
    if (withOwnService.includes(name)) return withoutService(host, name)
    if (name === 'tailscale') {
      await tailscaleRepository(host)
      await aptGet(host, 'update')
    }
    return aptGet(host, 'install', name)
  },
  async remove(host, _packager, name) {
    if (name !== 'ollama') {
      await aptGet(host, 'remove', name)
      // Nothing is fetched from there any more, so apt is not to ask it.
      if (name === 'tailscale') for (const file of [list, keyring]) await host.remove(file)
      return
    }
    await host.run(['systemctl', 'disable', '--now', 'ollama.service'], { codes: [0, 1, 5] })
    for (const file of ollamaFiles) await host.remove(file)
    await host.run(['systemctl', 'daemon-reload'])
  },
  async newer(look) {
    const { code, stdout } = await look.query(['apt', 'list', '--upgradable'], { timeoutMs: 30_000 })
    return code === 0 ? parseUpgradable(stdout).filter(({ name }) => ours.includes(name)) : undefined
  },
  upgrades: (_packager, { name }) => `apt-get install --only-upgrade ${name}`,
  upgrade: (host, _packager, { name }) => aptGet(host, 'install', '--only-upgrade', name),
  back: async (_look, _packager, { name, installed }) =>
    `sudo apt-get install --allow-downgrades ${name}=${installed}   (as long as its repository still has it)`,
  async recent(look) {
    const { stdout } = await look.query(['find', '/var/lib/apt/lists', '-name', '*Packages*', '-mtime', '-7'])
    return stdout.trim() !== ''
  },
  renews: () => 'sudo apt-get update',
  renew: (host) => aptGet(host, 'update'),
  compiled: async () => [],
  release: (version) => `release ${version}`,
  compiling: '',
  bundled: {
    ollama: '/usr/local/bin/ollama',
    upgrade: `curl -fsSL ${site.ollama}/install.sh | sh`,
    newer: 'its own installer brings a newer one',
  },
  stopsService: (name) => `sudo systemctl stop ${name}`,
  restartsService: (name) => `sudo systemctl restart ${name}`,
  withService: (name) => `sudo apt-get install ${name}`,
  program: (_packager, name) => stablePaths[name] ?? `/usr/bin/${name}`,
  commands: () => '/usr/local/bin',
  reach: () => 'export PATH=/usr/local/bin:$PATH',
  stable: (text) => text,
}

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from '../box/apt.ts'
import { alone } from '../box/packages.ts'
import { cacheFolder, node } from '../box/paths.ts'
import { makeOutside } from './outside.ts'
import type { Release } from './releases.ts'
import { type Tools, tools } from './tools.ts'

/** A server as its image comes: systemd and what a person needs to log in, and nothing of ours. */
const bare = [
  ...['systemd', 'systemd-sysv', 'libpam-systemd', 'dbus', 'iproute2', 'procps', 'sudo'],
  ...['ca-certificates', 'curl', 'passwd', 'openssl'],
]

const mirror = 'http://deb.debian.org/debian'
const sourcesOf = (suite: string): string[] => [
  `deb ${mirror} ${suite} main`,
  `deb ${mirror}-security ${suite}-security main`,
]

/** Names under which the story's own server answers in the booted Debian. */
export const outsideNames = ['deb.debian.org', 'nodejs.org', 'ollama.com', 'pkgs.tailscale.com', 'registry.npmjs.org']

/** What a root is made of, so that another list or another outside makes another root. */
function key({ suite }: Release): string {
  const hash = createHash('sha256')
  for (const file of ['root.ts', 'outside.ts', 'outside-server.ts', 'tools.ts'])
    hash.update(readFileSync(fileURLToPath(new URL(file, import.meta.url))))
  return hash.update(`${node} ${suite}`).digest('hex').slice(0, 16)
}

/** What the shell does in the fresh root: the outside's names, its certificate, its repository in Debian's place, its server. */
const settle = (outside: string, suite: string): string => `
set -e
root=$1
echo ai1 > "$root/etc/hostname"
echo '127.0.0.1 localhost ai1 ${outsideNames.join(' ')}' > "$root/etc/hosts"
cp ${outside}/ca.crt "$root/usr/local/share/ca-certificates/outside.crt"
chroot "$root" update-ca-certificates > /dev/null
cp ${outside}/archive.gpg "$root/usr/share/keyrings/outside.gpg"
rm -f "$root"/etc/apt/sources.list.d/* "$root/etc/apt/sources.list"
echo 'deb [signed-by=/usr/share/keyrings/outside.gpg] https://deb.debian.org/debian ${suite} main' > "$root/etc/apt/sources.list"
rm -rf "$root"/var/lib/apt/lists/*
cat > "$root/etc/systemd/system/outside.service" <<'UNIT'
[Service]
ExecStart=/opt/outside/node /opt/outside/server.mjs /opt/outside
[Install]
WantedBy=multi-user.target
UNIT
ln -s ../outside.service "$root/etc/systemd/system/multi-user.target.wants/outside.service" 2> /dev/null ||
  { mkdir -p "$root/etc/systemd/system/multi-user.target.wants"; ln -s ../outside.service "$root/etc/systemd/system/multi-user.target.wants/outside.service"; }
mkdir -p "$root/opt/outside"
`

/** Debian alone, made once for each list of packages, by whoever comes first: roots of two checkouts share it. */
async function base(own: Tools, release: Release): Promise<string> {
  const sources = sourcesOf(release.suite)
  const made = createHash('sha256')
    .update([...bare, ...sources].join(' '))
    .digest('hex')
    .slice(0, 16)
  const folder = join(cacheFolder(), 'linux', `base-${made}`)
  if (!existsSync(folder))
    await alone(`${folder}.lock`, async () => (existsSync(folder) ? undefined : debootstrapped(folder, own, release)))
  return folder
}

async function debootstrapped(folder: string, { bin, env }: Tools, { version, suite }: Release): Promise<void> {
  const aside = `${folder}.new`
  rmSync(aside, { recursive: true, force: true })
  const words = ['--quiet', '--variant=minbase', '--mode=root', `--include=${bare.join(',')}`]
  // It mounts this machine's /proc and /sys there: in a mount namespace of its own they are gone with it, however it ends.
  const making = ['--mount', '--propagation', 'private', bin('mmdebstrap'), ...words, suite, aside, ...sourcesOf(suite)]
  const { code, stderr } = await run(bin('unshare'), making, env)
  if (code !== 0) throw new Error(`no root of Debian ${version} could be made: ${stderr.trim().slice(-500)}`)
  renameSync(aside, folder)
}

async function make(folder: string, release: Release): Promise<void> {
  const aside = `${folder}.new`
  rmSync(aside, { recursive: true, force: true })
  mkdirSync(aside, { recursive: true })
  const own = await tools()
  const root = join(aside, 'root')
  const outside = join(aside, 'outside')
  await run('cp', ['-a', await base(own, release), root])
  await makeOutside(outside, outsideNames, own, release.suite)
  const settled = await run('sh', ['-c', settle(outside, release.suite), 'sh', root])
  if (settled.code !== 0) throw new Error(`the root could not be settled: ${settled.stderr.trim().slice(-500)}`)
  rmSync(folder, { recursive: true, force: true })
  renameSync(aside, folder)
}

/** A root of this Debian, and the outside that it knows; made once for each content. */
export async function debianRoot(release: Release): Promise<{ root: string; outside: string }> {
  const folder = join(cacheFolder(), 'linux', key(release))
  if (!existsSync(folder))
    await alone(`${folder}.lock`, async () => (existsSync(folder) ? undefined : make(folder, release)))
  return { root: join(folder, 'root'), outside: join(folder, 'outside') }
}

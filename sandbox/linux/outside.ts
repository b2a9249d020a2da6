import { createHash } from 'node:crypto'
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { download, run } from '../box/apt.ts'
import { bundle, node } from '../box/paths.ts'
import { endProcessesOf } from '../box/processes.ts'
import type { Tools } from './tools.ts'

/** Runs a program; throws with what it said. */
async function done(command: string, args: string[], env?: NodeJS.ProcessEnv): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, env)
  if (code !== 0) throw new Error(`${basename(command)} ${args.join(' ')} ended with ${code}: ${stderr.trim()}`)
  return stdout
}

const sha256 = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex')

/** A certificate for all the names, by an authority that only the booted Debian trusts. */
async function certificates(folder: string, names: string[], { bin, env }: Tools): Promise<void> {
  const openssl = (...args: string[]) => done(bin('openssl'), args, env)
  const at = (name: string) => join(folder, name)
  const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '3650']
  await openssl('req', '-x509', ...fresh, '-subj', '/CN=outside', '-keyout', at('ca.key'), '-out', at('ca.crt'))
  await openssl(
    'req',
    ...fresh.slice(0, 4),
    '-nodes',
    '-subj',
    '/CN=outside',
    '-keyout',
    at('server.key'),
    '-out',
    at('server.csr'),
  )
  writeFileSync(at('names'), `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}\n`)
  const signed = [
    '-CA',
    at('ca.crt'),
    '-CAkey',
    at('ca.key'),
    '-CAcreateserial',
    '-days',
    '3650',
    '-extfile',
    at('names'),
  ]
  await openssl('x509', '-req', '-in', at('server.csr'), ...signed, '-out', at('server.crt'))
}

const keysOf = (folder: string): string => join(folder, 'gnupg')

/** A key that signs the repositories; gives what signs with it. */
async function signer(folder: string, { bin, env }: Tools): Promise<(file: string, into: string) => Promise<unknown>> {
  const home = keysOf(folder)
  mkdirSync(home, { mode: 0o700, recursive: true })
  const own = { ...env, GNUPGHOME: home, BOX: home }
  const gpg = (...args: string[]) => done(bin('gpg'), ['--batch', '--agent-program', bin('gpg-agent'), ...args], own)
  await gpg('--passphrase', '', '--quick-gen-key', 'outside', 'rsa2048', 'sign', 'never')
  await gpg('--output', join(folder, 'archive.gpg'), '--export', 'outside')
  return (file, into) => gpg('--yes', '--output', into, '--clearsign', file)
}

/** A repository of these packages, as apt reads it: a list, its hash, a signature over that. */
async function repository(
  folder: string,
  suite: string,
  files: string[],
  sign: (file: string, into: string) => Promise<unknown>,
): Promise<void> {
  const binary = `main/binary-${process.arch === 'arm64' ? 'arm64' : 'amd64'}`
  const dist = join(folder, 'dists', suite)
  for (const place of [join(folder, 'pool'), join(dist, binary)]) mkdirSync(place, { recursive: true })
  const stanzas: string[] = []
  for (const file of files) {
    const to = join(folder, 'pool', basename(file))
    copyFileSync(file, to)
    const control = (await done('dpkg-deb', ['-f', file])).trim()
    stanzas.push(`${control}\nFilename: pool/${basename(file)}\nSize: ${statSync(to).size}\nSHA256: ${sha256(to)}\n`)
  }
  writeFileSync(join(dist, binary, 'Packages'), stanzas.join('\n'))
  writeFileSync(join(dist, binary, 'Packages.gz'), gzipSync(stanzas.join('\n')))
  // apt looks for the plain one in the list of hashes, and then takes the smallest.
  const hashes = ['Packages', 'Packages.gz']
    .map((name) => [join(dist, binary, name), `${binary}/${name}`] as const)
    .map(([file, name]) => ` ${sha256(file)} ${statSync(file).size} ${name}\n`)
    .join('')
  const head = `Origin: outside\nSuite: ${suite}\nCodename: ${suite}\nDate: ${new Date().toUTCString()}\n`
  writeFileSync(join(dist, 'Release'), `${head}Architectures: amd64 arm64\nComponents: main\nSHA256:\n${hashes}`)
  await sign(join(dist, 'Release'), join(dist, 'InRelease'))
}

/** Calls a stand-in by its name; its state lies in the folder of the outside. */
const standIn = (name: string): string =>
  `#!/bin/sh\nBOX=/opt/outside/box exec /opt/outside/node /opt/outside/standins/standins.mjs ${name} "$@"\n`

/** A package `tailscale` with the stand-in's command, and a daemon that puts the tailnet's address on an interface. */
async function tailscalePackage(folder: string): Promise<string> {
  const root = join(folder, 'tailscale')
  const write = (path: string, text: string, mode = 0o644) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text, { mode })
  }
  write('usr/bin/tailscale', standIn('tailscale'), 0o755)
  write(
    'usr/sbin/tailscaled',
    '#!/bin/sh\nip link add tailscale0 type veth peer name tailscale0-peer 2> /dev/null\nip link set tailscale0 up\nip address replace 100.64.0.1/32 dev tailscale0\nexec sleep infinity\n',
    0o755,
  )
  write(
    'lib/systemd/system/tailscaled.service',
    '[Service]\nExecStart=/usr/sbin/tailscaled\n[Install]\nWantedBy=multi-user.target\n',
  )
  write(
    'DEBIAN/postinst',
    '#!/bin/sh\nset -e\nsystemctl daemon-reload\nsystemctl enable --now tailscaled.service\n',
    0o755,
  )
  write(
    'DEBIAN/control',
    'Package: tailscale\nVersion: 1.102.5\nArchitecture: all\nMaintainer: outside <o@example>\nDescription: stand-in\n',
  )
  const file = join(folder, 'tailscale_1.102.5_all.deb')
  await done('dpkg-deb', ['--root-owner-group', '-b', root, file])
  rmSync(root, { recursive: true, force: true })
  return file
}

/** What Ollama's script does as far as a server sees it (facts: linux.md §7): program, user, unit, started. It unpacks its archive by zstd, and ends where there is none. */
const ollamaScript = `#!/bin/sh
set -eu
command -v zstd > /dev/null || { echo 'ERROR: This version requires zstd for extraction. Please install zstd and try again:'; exit 1; }
cat > /usr/local/bin/ollama <<'EOF'
${standIn('ollama')}EOF
chmod 755 /usr/local/bin/ollama
id ollama > /dev/null 2>&1 || useradd -r -s /bin/false -U -m -d /usr/share/ollama ollama
cat > /etc/systemd/system/ollama.service <<'EOF'
[Unit]
Description=Ollama Service
After=network-online.target

[Service]
ExecStart=/usr/local/bin/ollama serve
User=ollama
Group=ollama
Restart=always
RestartSec=3
Environment="PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

[Install]
WantedBy=default.target
EOF
systemctl daemon-reload
systemctl enable ollama
systemctl restart ollama
`

/** Node's own tarball as far as it is needed, with its list of hashes. */
async function nodeTarball(folder: string): Promise<void> {
  const name = `node-${process.version}-linux-${process.arch}`
  const place = join(folder, 'nodejs.org/dist/latest-v20.x')
  const root = join(folder, name)
  mkdirSync(join(root, 'bin'), { recursive: true })
  mkdirSync(place, { recursive: true })
  copyFileSync(node, join(root, 'bin/node'))
  const npm = join(dirname(dirname(node)), 'lib/node_modules/npm')
  if (existsSync(npm)) cpSync(npm, join(root, 'lib/node_modules/npm'), { recursive: true })
  await done('tar', ['-czf', join(place, `${name}.tar.gz`), '-C', folder, name])
  writeFileSync(join(place, 'SHASUMS256.txt'), `${sha256(join(place, `${name}.tar.gz`))}  ${name}.tar.gz\n`)
  rmSync(root, { recursive: true, force: true })
}

const debian = (suite: string, uri: string): string =>
  `Types: deb\nURIs: ${uri}\nSuites: ${suite}\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n`

const sourcesOf = (suite: string): string =>
  [
    debian(suite, 'http://deb.debian.org/debian'),
    debian(`${suite}-security`, 'http://deb.debian.org/debian-security'),
  ].join('\n')

/** All that a booted Debian of this suite may fetch, laid out by host name; fetched here once, so that no test needs the network. */
export async function makeOutside(folder: string, names: string[], tools: Tools, suite: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  await certificates(folder, names, tools)
  const sign = await signer(folder, tools)
  const debs = await download(
    join(folder, 'apt'),
    [
      'haproxy',
      'nftables',
      'lego',
      'pebble',
      'fail2ban',
      'keepalived',
      'dnsmasq-base',
      'openssh-server',
      'needrestart',
      'zstd',
    ],
    { name: suite, sources: sourcesOf(suite) },
  )
  await repository(join(folder, 'deb.debian.org/debian'), suite, debs, sign)
  rmSync(join(folder, 'apt'), { recursive: true, force: true })
  const tailscale = join(folder, 'pkgs.tailscale.com/stable/debian')
  await repository(tailscale, suite, [await tailscalePackage(folder)], sign)
  // gpg leaves its agent running, and all is signed.
  endProcessesOf(keysOf(folder))
  copyFileSync(join(folder, 'archive.gpg'), join(folder, `pkgs.tailscale.com/stable/debian/${suite}.noarmor.gpg`))
  mkdirSync(join(folder, 'ollama.com'), { recursive: true })
  writeFileSync(join(folder, 'ollama.com/install.sh'), ollamaScript)
  await nodeTarball(folder)
  cpSync(await bundle(), join(folder, 'standins'), { recursive: true })
  copyFileSync(node, join(folder, 'node'))
  // It has no types, so that a Node alone can run it.
  copyFileSync(fileURLToPath(new URL('outside-server.ts', import.meta.url)), join(folder, 'server.mjs'))
  mkdirSync(join(folder, 'box'), { recursive: true })
}

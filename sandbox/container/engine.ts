import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { download, libraryFolders, type Ran, run, unpack } from '../box/apt.ts'
import { alone, type Packages, packages } from '../box/packages.ts'
import { cacheFolder } from '../box/paths.ts'

/** A Docker engine in a network namespace of its own; images, containers and rules are gone with it. */
export interface Engine {
  /** runs the docker command */
  docker(...words: string[]): Promise<Ran>
  /** runs `docker compose`, or `docker-compose`, in a folder as a person does */
  compose(by: 'docker compose' | 'docker-compose', folder: string, ...words: string[]): Promise<Ran>
  /** the namespace of its machine */
  network: string
  /** what a shell beside it has: `docker` and `docker-compose` on its PATH */
  env: NodeJS.ProcessEnv
  /** runs a command on the machine of the engine, outside of all containers */
  beside(argv: string[]): Promise<Ran>
  /** ends everything that it started, and waits for that */
  close(): Promise<void>
}

/** A suite of Debian, as apt's list of sources has it. */
export const suite = (name: string, uri: string): string =>
  `Types: deb\nURIs: ${uri}\nSuites: ${name}\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n`

/** What the image of the gateway is made of beside our own files, in the Debian that its Dockerfile names. */
const contents = ['haproxy', 'nodejs', 'tini', 'iproute2', 'procps', 'ca-certificates']
/** Where Debian's packages are. */
export const mirror = 'http://deb.debian.org/debian'
const sources = [`deb ${mirror} trixie main`, `deb ${mirror}-security trixie-security main`]

/** Makes something in the cache once, whole or not at all. */
export async function madeOnce(name: string, make: (aside: string) => Promise<void>): Promise<string> {
  const path = join(cacheFolder(), 'container', name)
  await alone(`${path}.lock`, async () => {
    if (existsSync(path)) return
    const aside = `${path}.new`
    rmSync(aside, { recursive: true, force: true })
    await make(aside)
    renameSync(aside, path)
  })
  return path
}

async function done(file: string, words: string[], env?: NodeJS.ProcessEnv): Promise<string> {
  const { code, stdout, stderr } = await run(file, words, env)
  if (code !== 0) throw new Error(`${file} ${words.join(' ')} ended with ${code}: ${stderr.trim().slice(-800)}`)
  return stdout
}

/** Compose as Debian has it: one program, which needs nothing of its suite. */
export const composeProgram = (): Promise<string> =>
  madeOnce('docker-compose', async (aside) => {
    const folder = `${aside}.apt`
    const files = await download(folder, ['docker-compose'], { name: 'sid', sources: suite('sid', mirror) })
    await unpack(
      files.filter((file) => /docker-compose_/.test(file)),
      join(folder, 'root'),
    )
    copyFileSync(join(folder, 'root/usr/libexec/docker/cli-plugins/docker-compose'), aside)
    rmSync(folder, { recursive: true, force: true })
  })

/** A root of Debian 13 with what the image needs, since no image can be fetched here. */
export const debianRoot = ({ bin }: Packages): Promise<string> => {
  const key = createHash('sha256')
    .update([...contents, ...sources].join(' '))
    .digest('hex')
    .slice(0, 16)
  return madeOnce(`trixie-${key}.tar`, async (aside) => {
    const words = ['--quiet', '--variant=minbase', '--mode=root', '--format=tar', `--include=${contents.join(',')}`]
    // It mounts this machine's /proc and /sys there: in a mount namespace of its own they are gone with it, however it ends.
    const making = ['--mount', '--propagation', 'private', bin('mmdebstrap'), ...words, 'trixie', aside, ...sources]
    await done('unshare', making)
  })
}

/** Programs under the names by which the engine looks for them. */
function programs(folder: string, { root, bin }: Packages): string {
  const own = join(folder, 'bin')
  mkdirSync(own, { recursive: true })
  for (const name of ['dockerd', 'containerd', 'containerd-shim-runc-v2', 'runc', 'docker-proxy', 'docker'])
    symlinkSync(bin(name), join(own, name))
  for (const name of ['iptables', 'ip6tables']) symlinkSync(join(root, `usr/sbin/${name}-nft`), join(own, name))
  return own
}

function launch(folder: string, network: string, env: NodeJS.ProcessEnv, asked: EngineOptions): ChildProcess {
  const config = join(folder, 'daemon.json')
  // This machine may forbid raising it.
  const limits = { nofile: { Name: 'nofile', Hard: 20_000, Soft: 20_000 } }
  writeFileSync(
    config,
    JSON.stringify({ 'default-ulimits': limits, dns: asked.dns ?? [], 'registry-mirrors': asked.mirrors ?? [] }),
  )
  const places = ['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec'), '-p', join(folder, 'pid')]
  const names = ['--containerd-namespace', network, '--containerd-plugins-namespace', `${network}-p`]
  const log = openSync(join(folder, 'dockerd.log'), 'a')
  // Not by `ip netns exec`, which mounts /sys anew: the control groups would be gone.
  const argv = [`--net=/run/netns/${network}`, 'dockerd', '--config-file', config, ...places, ...names]
  return spawn('nsenter', [...argv, '-H', `unix://${folder}/docker.sock`], { env, stdio: ['ignore', log, log] })
}

/** What an engine may have otherwise. */
export interface EngineOptions {
  /** servers that its containers ask for names */
  dns?: string[]
  /** registries that it asks before Docker's own, by their address */
  mirrors?: string[]
  /** false: without the image of a Debian */
  debian?: boolean
}

/** Starts one. Throws, with what it said, where it does not answer within a minute. */
export async function startEngine(options: EngineOptions = {}): Promise<Engine> {
  const found = await packages(['docker.io', 'iptables', 'mmdebstrap'])
  const compose = await composeProgram()
  const debian = options.debian === false ? undefined : await debianRoot(found)
  const folder = mkdtempSync(join(tmpdir(), 'engine-'))
  const network = `rop-${process.pid}`
  const own = programs(folder, found)
  mkdirSync(join(folder, 'cli/cli-plugins'), { recursive: true })
  for (const at of [join(folder, 'cli/cli-plugins/docker-compose'), join(own, 'docker-compose')])
    symlinkSync(compose, at)
  // What this machine has of it already was not fetched.
  const tables = libraryFolders(found.root)
    .map((one) => join(one, 'xtables'))
    .find(existsSync)
  const libraries = { LD_LIBRARY_PATH: found.libraryPath, ...(tables ? { XTABLES_LIBDIR: tables } : {}) }
  const env = {
    ...process.env,
    PATH: `${own}:${process.env.PATH}:/usr/sbin:/sbin`,
    DOCKER_HOST: `unix://${folder}/docker.sock`,
    DOCKER_CONFIG: join(folder, 'cli'),
  }
  await done('ip', ['netns', 'add', network])
  await done('ip', ['-n', network, 'link', 'set', 'lo', 'up'])
  const daemon = launch(folder, network, { ...env, ...libraries }, options)
  const engine: Engine = {
    network,
    env,
    docker: (...words) => run(join(own, 'docker'), words, env),
    compose: (by, at, ...words) =>
      by === 'docker-compose'
        ? run('env', ['-C', at, compose, ...words], env)
        : run('env', ['-C', at, join(own, 'docker'), 'compose', ...words], env),
    beside: (argv) => run('ip', ['netns', 'exec', network, ...argv]),
    async close() {
      const running = (await engine.docker('ps', '-aq')).stdout.split('\n').filter(Boolean)
      if (running.length > 0) await engine.docker('rm', '-f', ...running)
      const gone = daemon.exitCode === null ? once(daemon, 'exit') : undefined
      daemon.kill()
      await gone
      await run('ip', ['netns', 'del', network])
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
  for (let tries = 0; (await engine.docker('version')).code !== 0; tries += 1) {
    if (tries > 300 || daemon.exitCode !== null) {
      const said = readFileSync(join(folder, 'dockerd.log'), 'utf8').slice(-2000)
      await engine.close()
      throw new Error(`no Docker engine could be started: ${said}`)
    }
    await pause(200)
  }
  if (debian !== undefined) await done(join(own, 'docker'), ['import', debian, 'debian:13-slim'], env)
  return engine
}

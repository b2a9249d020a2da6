import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Ran, run } from '../box/apt.ts'
import { checkout } from '../box/paths.ts'
import { launch, type Running } from '../box/running.ts'
import { type Change, openBox } from '../standins/box.ts'
import { type Release, usualRelease } from './releases.ts'
import { debianRoot } from './root.ts'
import { type Tools, tools } from './tools.ts'

/** A Debian that systemd has started, in namespaces of its own; what it writes is gone with it, and stays when it restarts. */
export interface Booted {
  /** runs a command in it as root, with a person's environment */
  run(argv: string[], env?: Record<string, string>): Promise<Ran>
  /** restarts it as its owner would, and waits until it is up again; what was written to its disk is there */
  reboot(): Promise<void>
  /** its first process as this machine numbers it, by which its namespaces are found */
  pid(): string
  /** a file of it; undefined where there is none */
  read(path: string): Promise<string | undefined>
  /** starts a command of the shell at a terminal of its own, as somebody does who types */
  typed(command: string): Running
  /** the network of a namespace that `ip netns` has made in it, as this side may enter it */
  network(name: string): string
  /** changes what its stand-ins pretend to be */
  pretend(change: Change): void
  /** ends it, and waits for that */
  close(): Promise<void>
}

/** nspawn puts itself into the control group of who starts it, so two machines need two (facts: linux.md §1). */
const apart = (name: string): string =>
  `for h in unified systemd; do g=/sys/fs/cgroup/$h; [ -d $g ] || continue; mkdir -p $g/${name}; echo $$ > $g/${name}/cgroup.procs; done 2> /dev/null; exec "$@"`

/** Its disk is laid over the root and kept in memory, in mounts that are gone with this shell; nspawn ends with 133 for a machine that wants to start again. */
const onDisk = `mount -t tmpfs -o size=100g disk "$1" && mkdir "$1/new" "$1/work" "$1/root" &&
mount -t overlay -o "lowerdir=$2,upperdir=$1/new,workdir=$1/work" root "$1/root" && shift 2 || exit 1
while "$@"; [ $? = 133 ]; do :; done`

/** The state of the stand-ins: an engine with models in its registry, a tailnet where the login needs nobody. */
const standIns = {
  tailscale: {
    ...{ variant: 'formula', state: 'Running', joined: true, hostName: 'ai1', os: 'linux' },
    ...{ ipv4: '100.64.0.1', ipv6: '', suffix: 'tail0lab.ts.net' },
  },
}

/** The first process that another has started; undefined where there is none. */
function childOf(pid: number | string | undefined): string | undefined {
  const file = `/proc/${pid}/task/${pid}/children`
  return pid !== undefined && existsSync(file) ? readFileSync(file, 'utf8').split(' ')[0] || undefined : undefined
}

/** The first process of the machine, from outside; undefined before there is one. */
const leader = ({ pid }: ChildProcess): string | undefined => childOf(childOf(pid))

/** Folders in the place of what the outside serves under these names. */
export type Served = Readonly<Record<string, string>>

const binds = (served: Served): string[] =>
  Object.entries(served).map(([name, folder]) => `--bind-ro=${folder}:/opt/outside/${name}`)

interface Ingredients {
  root: string
  outside: string
  served: Served
}

function start({ root, outside, served }: Ingredients, folder: string, { bin, env }: Tools): ChildProcess {
  const name = `rop-${process.pid}-${Math.random().toString(36).slice(2, 8)}`
  const log = openSync(join(folder, 'console.log'), 'w')
  const argv = [
    bin('systemd-nspawn'),
    ...['--boot', '--quiet', '--register=no', '--keep-unit', `--machine=${name}`, '--console=pipe'],
    ...['--private-network', '-D', join(folder, 'disk/root')],
    `--bind-ro=${outside}:/opt/outside`,
    `--bind=${join(folder, 'box')}:/opt/outside/box`,
    ...binds(served),
    `--bind-ro=${checkout}`,
  ]
  const laid = [
    bin('unshare'),
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-c',
    onDisk,
    'sh',
    join(folder, 'disk'),
    root,
  ]
  return spawn('sh', ['-c', apart(name), 'sh', ...laid, ...argv], { env, stdio: ['ignore', log, log] })
}

const usual = [
  'HOME=/root',
  'USER=root',
  'LANG=C.UTF-8',
  'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
]

/** What of it is up, in systemd's words; '' before anybody answers. */
async function state(child: ChildProcess): Promise<string> {
  const pid = leader(child)
  return pid === undefined
    ? ''
    : (await run('nsenter', [...inside(pid), 'systemctl', 'is-system-running'])).stdout.trim()
}

const inside = (pid: string): string[] => ['-t', pid, '-a', 'env', '-i', ...usual]

/** Boots a bare Debian. Throws, with the end of its console, when it does not come up within a minute. */
export async function boot(release: Release = usualRelease(), served: Served = {}): Promise<Booted> {
  const [{ root, outside }, own] = await Promise.all([debianRoot(release), tools()])
  const folder = mkdtempSync(join(tmpdir(), 'booted-'))
  // Root's daemon and Ollama's user both write there.
  mkdirSync(join(folder, 'box'))
  mkdirSync(join(folder, 'disk'))
  chmodSync(join(folder, 'box'), 0o777)
  writeFileSync(join(folder, 'box/mac.json'), JSON.stringify(standIns))
  chmodSync(join(folder, 'box/mac.json'), 0o666)
  const child = start({ root, outside, served }, folder, own)
  const ended = once(child, 'exit')
  const booted: Booted = {
    run: (argv, env = {}) => {
      const more = Object.entries(env).map(([name, value]) => `${name}=${value}`)
      return run('nsenter', [...inside(booted.pid()), ...more, ...argv])
    },
    pid: () => leader(child) ?? '',
    async read(path) {
      const { code, stdout } = await booted.run(['cat', path])
      return code === 0 ? stdout : undefined
    },
    typed: (command) => {
      const words = ['env', 'SHELL=/bin/sh', 'script', '-qec', `stty cols 120 rows 40; ${command}`, '/dev/null']
      const argv = ['nsenter', ...inside(leader(child) ?? ''), 'TERM=xterm', ...words]
      return launch({ argv, env: { PATH: own.env.PATH ?? '' }, enters: true })
    },
    network: (name) => `/proc/${leader(child)}/root/run/netns/${name}`,
    pretend: (change) => openBox(join(folder, 'box')).save(change),
    async reboot() {
      const before = leader(child)
      await booted.run(['systemctl', 'reboot'])
      while (before !== undefined && existsSync(`/proc/${before}`)) await pause(50)
      await up(child, folder)
    },
    async close() {
      const machine = childOf(child.pid)
      if (machine !== undefined) process.kill(Number(machine), 'SIGTERM')
      await Promise.race([ended, pause(20_000)])
      for (const pid of [machine, child.pid])
        if (child.exitCode === null && child.signalCode === null && pid !== undefined) end(Number(pid))
      rmSync(folder, { recursive: true, force: true })
    },
  }
  await up(child, folder).catch(async (error: Error) => {
    await booted.close()
    throw error
  })
  await outsideAnswers(booted)
  return booted
}

/** Waits until systemd has started everything. Throws, with the end of the console, when it has not within a minute. */
async function up(child: ChildProcess, folder: string): Promise<void> {
  const deadline = performance.now() + 60_000
  while (!/^(running|degraded)$/.test(await state(child))) {
    if (performance.now() < deadline && child.exitCode === null) await pause(100)
    else throw new Error(`Debian did not come up: ${readFileSync(join(folder, 'console.log'), 'utf8').slice(-1000)}`)
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It was gone already.
  }
}

async function outsideAnswers(booted: Booted): Promise<void> {
  const asked = ['curl', '-sf', '--retry', '100', '--retry-delay', '1', '--retry-connrefused', '-o', '/dev/null']
  const { code, stderr } = await booted.run([...asked, 'https://ollama.com/install.sh'])
  if (code !== 0) throw new Error(`the outside of the booted Debian does not answer: ${stderr.trim()}`)
}

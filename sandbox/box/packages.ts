import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs'
import { arch } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { advice, download, libraryFolders, run, unpack, unpacked } from './apt.ts'
import { cacheFolder, program } from './paths.ts'

/** Programs of the distribution, unpacked where nothing is installed. */
export interface Packages {
  /** the folder that they were unpacked in */
  root: string
  /** path of a program: the unpacked one, else this machine's; throws when there is neither */
  bin(name: string): string
  /** for LD_LIBRARY_PATH: the libraries that were unpacked along, '' when there are none */
  libraryPath: string
}

/** What a package is wanted for; one that is on this machine already is not fetched. HAProxy always is: its version is the distribution's. */
const programs: Record<string, string> = {
  iproute2: 'ip',
  procps: 'ps',
  'util-linux': 'nsenter',
  nftables: 'nft',
  fail2ban: 'fail2ban-regex',
  'systemd-container': 'systemd-nspawn',
  gnupg: 'gpg',
}

/** A holder of the lock shows every second that it lives; without a sign for this long (ms) it does not. */
const SILENT_MS = 15_000

function distribution(): string {
  const file = ['/etc/os-release', '/usr/lib/os-release'].find((path) => existsSync(path))
  const text = file ? readFileSync(file, 'utf8') : ''
  return ['ID', 'VERSION_ID'].map((key) => new RegExp(`^${key}="?([^"\\n]*)`, 'm').exec(text)?.[1] ?? '').join('-')
}

function folderFor(names: string[]): string {
  const key = [distribution(), arch(), ...[...names].sort()].join(' ')
  return join(cacheFolder(), 'packages', createHash('sha256').update(key).digest('hex').slice(0, 16))
}

async function takeLock(path: string): Promise<void> {
  for (;;) {
    try {
      mkdirSync(path)
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const seen = statSync(path, { throwIfNoEntry: false })
    if (seen && Date.now() - seen.mtimeMs > SILENT_MS) rmSync(path, { recursive: true, force: true })
    else await sleep(100)
  }
}

/** One maker at a time, of all processes; who dies at it does not block the others for long. */
export async function alone<T>(path: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(path), { recursive: true })
  await takeLock(path)
  const beat = setInterval(() => {
    try {
      utimesSync(path, new Date(), new Date())
    } catch {
      // the lock was taken away: the work is kept anyway, by an atomic rename
    }
  }, 1000)
  try {
    return await work()
  } finally {
    clearInterval(beat)
    rmSync(path, { recursive: true, force: true })
  }
}

/** Fetched and unpacked aside, then renamed into place: what has its final name is whole. */
async function make(folder: string, names: string[]): Promise<void> {
  if (await sound(folder, names)) return
  const aside = `${folder}.new`
  for (const old of [aside, folder]) rmSync(old, { recursive: true, force: true })
  mkdirSync(join(aside, 'root'), { recursive: true })
  try {
    await unpack(await download(join(aside, 'apt'), names), join(aside, 'root'))
    rmSync(join(aside, 'apt'), { recursive: true, force: true })
    renameSync(aside, folder)
  } finally {
    rmSync(aside, { recursive: true, force: true })
  }
}

/** Unpacked programs that must start, so that a cache from a machine with other libraries, or a torn one, is made anew. */
const trials: Record<string, string[]> = { haproxy: ['haproxy', '-v'], iproute2: ['ip', '-V'] }

async function sound(folder: string, names: string[]): Promise<boolean> {
  const root = join(folder, 'root')
  if (!existsSync(root)) return false
  const env = { ...process.env, LD_LIBRARY_PATH: libraryFolders(root).join(':') }
  for (const [name = '', ...args] of names.map((one) => trials[one] ?? [])) {
    if (name && (await run(unpacked(root, name) ?? name, args, env)).code !== 0) return false
  }
  return true
}

function chosenHaproxy(): string | undefined {
  const chosen = process.env.HAPROXY
  if (!chosen) return undefined
  try {
    accessSync(chosen, constants.X_OK)
  } catch {
    throw new Error(`HAPROXY=${chosen} is not a program that can be run.`)
  }
  return resolve(chosen)
}

/** Where this machine has no apt, the sentence that says what to do. */
function needApt(names: string[]): void {
  if (program('apt-get') && program('dpkg-deb')) return
  const what = names.includes('haproxy') ? 'HAProxy comes' : `${names.join(' and ')} come`
  throw new Error(`${what} from the Debian/Ubuntu packages here, and apt-get was not found; ${advice(names)}`)
}

/**
 * Programs of Debian or Ubuntu packages, fetched once into the user's cache and unpacked there; nothing is installed.
 * Works as root and as an ordinary user. `HAPROXY` in the environment names another HAProxy.
 */
export async function packages(names: string[]): Promise<Packages> {
  const haproxy = names.includes('haproxy') ? chosenHaproxy() : undefined
  const wanted = names.filter((name) => {
    if (name === 'haproxy') return haproxy === undefined
    return !program(programs[name] ?? name)
  })
  const folder = folderFor(wanted)
  const root = join(folder, 'root')
  if (wanted.length > 0 && !(await sound(folder, wanted))) {
    needApt(wanted)
    await alone(`${folder}.lock`, () => make(folder, wanted))
  }
  return {
    root,
    libraryPath: wanted.length > 0 ? libraryFolders(root).join(':') : '',
    bin(name) {
      const path = name === 'haproxy' && haproxy ? haproxy : (unpacked(root, name) ?? program(name))
      if (!path) throw new Error(`${name} is neither in the packages ${names.join(', ')} nor on this machine`)
      return path
    },
  }
}

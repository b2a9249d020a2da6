import {
  accessSync,
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { askResident } from '../standins/ask.ts'
import { absolutePlaces, offPath, standIns } from '../standins/index.ts'
import { net, servedProgram } from './init.ts'
import { bundle, cacheFolder, checkout, node, usualPaths } from './paths.ts'
import { quote } from './quote.ts'
import type { RootPlan } from './root.ts'

/** A unix socket's path holds 107 bytes; the longest in a box is about 60 bytes below its folder. */
const LONGEST_FOLDER = 40

/** A box's folder and what lies where in it. */
export interface Layout {
  /** the box's folder, at the same path on both sides */
  dir: string
  namespaced: boolean
  /** where the box's programs see HOME */
  home: string
  /** where this side sees a path of the box */
  outside(path: string): string
}

const FOLDERS = ['Applications', 'Library', 'Volumes', 'tmp', 'opt', 'bin', 'run', 'root', 'etc', 'usr/local/bin']

/** Folders of a namespaced box that its programs see at the root of their file system. */
const AT_ROOT = ['/Applications', '/Library', '/Users', '/Volumes', '/opt/homebrew', '/tmp', '/usr/local']

function wrapper(dir: string, name: string): string {
  return `#!/bin/sh\n${askResident(dir, name)}BOX=${quote(dir)} exec ${quote(node)} ${quote(join(dir, 'standins.mjs'))} ${name} "$@"\n`
}

function writeProgram(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text, { mode: 0o755 })
  chmodSync(path, 0o755)
}

/** Where a namespaced box has the `mount` of its first process. */
export const mountProgram = (dir: string): string => join(dir, 'run/mount')

/** The commands of a Mac: on the PATH by name and, in a namespaced box, where a Mac keeps them. */
function writePrograms(dir: string, namespaced: boolean): void {
  const names = Object.keys(standIns).filter((name) => !offPath.includes(name))
  for (const name of names) writeProgram(join(dir, 'bin', name), wrapper(dir, name))
  if (!namespaced) return
  writeProgram(join(dir, 'bin/ip'), servedProgram(dir, 'ip'))
  // No Mac's program, so it is not on the PATH.
  writeProgram(mountProgram(dir), servedProgram(dir, 'mount'))
  for (const [name, places] of Object.entries(absolutePlaces)) {
    for (const place of places) writeProgram(join(dir, 'system', place.replace(/^\/usr\//, '')), wrapper(dir, name))
  }
}

/** The few lines of /etc that must tell of the box's user and name, and not of this machine's. */
function writeEtc(dir: string, names: string[], folder: string): void {
  const uid = process.getuid?.() ?? 0
  const put = (name: string, lines: string[]) => writeFileSync(join(dir, 'etc', name), `${lines.join('\n')}\n`)
  const user = (id: number) => `ada:x:${id}:20:Ada Lovelace:/Users/${folder}:/bin/zsh`
  put('passwd', [user(501), ...(uid === 0 ? [user(0)] : []), 'nobody:x:65534:65534:nobody:/:/bin/false'])
  put('group', ['staff:x:20:', 'nogroup:x:65534:'])
  put('hosts', ['127.0.0.1 localhost', '::1 localhost', `${net.mac.tailnet} ${names.join(' ')}`])
  // Nothing answers names in a box, so none is asked.
  put('nsswitch.conf', ['passwd: files', 'group: files', 'hosts: files'])
}

function linkOrCopy(from: string, to: string): void {
  rmSync(to, { force: true })
  try {
    linkSync(from, to)
  } catch {
    copyFileSync(from, to)
  }
}

/** Below this a Mac warns of a full disk, which no story means to tell; bytes. */
const ROOMY = 6e9

/** Where new boxes lie: in memory, where there is room and programs may run, since an install makes and removes thousands of files. */
function ground(): string {
  const memory = '/dev/shm'
  const mounted = / \/dev\/shm tmpfs (?!\S*noexec)/.test(readFileSync('/proc/self/mounts', 'utf8'))
  if (process.env.TMPDIR !== undefined || !mounted) return tmpdir()
  const { bavail, bsize } = statfsSync(memory)
  return bavail * bsize > ROOMY && writable(memory) ? memory : tmpdir()
}

function writable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function newFolder(at: string | undefined): string {
  if (at === undefined) return mkdtempSync(join(realpathSync(ground()), 'rop-'))
  mkdirSync(at, { recursive: true })
  return realpathSync(at)
}

/** Compiled scripts are shared between boxes: tsx keeps them under the temporary folder, which each box has new. */
export function compiledScripts(): string {
  const folder = join(cacheFolder(), 'tsx')
  mkdirSync(folder, { recursive: true })
  return folder
}

function outsideOf(dir: string, namespaced: boolean, home: string): Layout['outside'] {
  return (path) => {
    const full = path.startsWith('/') ? path : join(home, path)
    const moved = namespaced && AT_ROOT.some((root) => full === root || full.startsWith(`${root}/`))
    return moved && full !== dir && !full.startsWith(`${dir}/`) ? join(dir, full) : full
  }
}

/** Makes a box's folder with everything that does not depend on its state; an older box's folder is made ready again. */
export async function makeLayout(
  namespaced: boolean,
  at: string | undefined,
  names: string[],
  folder: string,
): Promise<Layout> {
  const standins = await bundle()
  const dir = newFolder(at)
  if (dir.length > LONGEST_FOLDER)
    throw new Error(`${dir}: a box needs a folder of at most ${LONGEST_FOLDER} bytes (unix sockets)`)
  for (const stale of ['run', 'root', 'bin', 'system']) rmSync(join(dir, stale), { recursive: true, force: true })
  chmodSync(dir, 0o755)
  for (const one of [...FOLDERS, `Users/${folder}/Library`, 'system']) mkdirSync(join(dir, one), { recursive: true })
  for (const name of readdirSync(standins)) linkOrCopy(join(standins, name), join(dir, name))
  writePrograms(dir, namespaced)
  writeEtc(dir, names, folder)
  const home = join(namespaced ? '/' : dir, 'Users', folder)
  if (!namespaced) shareCompiled(dir)
  return { dir, namespaced, home, outside: outsideOf(dir, namespaced, home) }
}

/** Where tsx looks for compiled scripts in a plain box. */
export const compiledLink = (dir: string): string => join(dir, 'tmp', `tsx-${process.getuid?.() ?? 0}`)

function shareCompiled(dir: string): void {
  const link = compiledLink(dir)
  rmSync(link, { recursive: true, force: true })
  symlinkSync(compiledScripts(), link)
}

/** A program that lies directly in a folder which the box has its own of is shown alone. */
function alone(path: string): boolean {
  const folder = dirname(path)
  return folder === '/usr/local/bin' || dirname(folder) === '/'
}

/** A program's own folder and, beside it, the one with its libraries. */
function homeOf(path: string): string[] {
  const folder = dirname(path)
  const libraries = join(dirname(folder), 'lib')
  const folders = [folder, ...(existsSync(libraries) ? [libraries] : [])]
  return alone(path) ? [] : folders.filter((one) => dirname(one) !== '/')
}

/** How a namespaced box's root is put together; `further` programs are to be seen at their usual paths, and an Intel Homebrew has /usr/local for itself. */
export function rootPlan(layout: Layout, flags: string[], further: string[], intelBrew: boolean): RootPlan {
  const { dir } = layout
  const local = intelBrew ? '/usr/local' : '/usr/local/bin'
  const uid = flags.includes('--user') ? 501 : 0
  const etc = readdirSync(join(dir, 'etc')).map((name) => [`/etc/${name}`, join(dir, 'etc', name)])
  return {
    box: dir,
    visible: [...usualPaths(), ...further.flatMap(homeOf)],
    shared: { [`/tmp/tsx-${uid}`]: compiledScripts(), [local]: join(dir, local) },
    files: Object.fromEntries(etc),
    overlay: join(dir, 'system'),
    programs: [node, ...further].filter(alone),
  }
}

/** The PATH of a login shell on a Mac with Homebrew's set-up, after the box's own commands. */
export function searchPath(layout: Layout, prefix: string): string {
  const local = layout.namespaced ? '/usr/local/bin' : join(layout.dir, 'usr/local/bin')
  const system = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', dirname(node)]
  return [...new Set([join(layout.dir, 'bin'), join(prefix, 'bin'), local, ...system])].join(':')
}

/** The environment of a login shell in the box, and nothing of this process's own. */
export function environment(layout: Layout, prefix: string): Record<string, string> {
  return {
    HOME: layout.home,
    USER: 'ada',
    LOGNAME: 'ada',
    SHELL: '/bin/zsh',
    PATH: searchPath(layout, prefix),
    TERM: 'xterm-256color',
    LANG: 'en_US.UTF-8',
    ...(layout.namespaced ? {} : { TMPDIR: join(layout.dir, 'tmp') }),
  }
}

/** A root script of the checkout as `npx tsx` runs it, without npx. */
export function scriptCommand(name: string, args: string[]): string[] {
  return [node, '--import', 'tsx', resolve(checkout, name), ...args]
}

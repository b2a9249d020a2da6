import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { quote } from './quote.ts'

/** Folders of the new root that come from the box's own folder. */
const OWN = ['Applications', 'Library', 'Users', 'Volumes', 'opt', 'tmp']

/** Folders that the box has empty: other people's homes, and the outside's sockets. */
const EMPTY = ['home', 'root', 'run']

/** The home of whoever runs the box, where it is in none of these: that of a build server, say. */
const elsewhere = (): string[] =>
  [homedir()].filter((home) => home !== '/' && ![...OWN, ...EMPTY].some((name) => `${home}/`.startsWith(`/${name}/`)))

/** Made in another way below, or of no use in a box. */
const APART = ['boot', 'lost+found', 'private', 'proc']

/** What the new root is made of. */
export interface RootPlan {
  /** the box's folder, visible inside at the same path */
  box: string
  /** further paths to see inside where they are outside, read-only */
  visible: string[]
  /** folders to write to: path inside, folder outside */
  shared: Record<string, string>
  /** files put in place of the system's: path inside, file outside */
  files: Record<string, string>
  /** single programs of the outside to see in a folder that is shared */
  programs: string[]
  /** programs put beside the system's under /usr, by overlay where the kernel allows it */
  overlay: string
}

interface Mount {
  point: string
  flags: string[]
}

/** Flags that a bind mount must repeat when it is made read-only in a user namespace (mount_namespaces(7), "locked"). */
function mounts(): Mount[] {
  const kept = ['nosuid', 'nodev', 'noexec', 'noatime', 'nodiratime', 'relatime']
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\n')
  return lines.map((line) => {
    const fields = line.split(' ')
    return { point: fields[4] ?? '/', flags: (fields[5] ?? '').split(',').filter((flag) => kept.includes(flag)) }
  })
}

/** Reads `mountinfo` once and then tells the flags of the mount that a path lies on. */
function flagsOf(table: Mount[], path: string): string[] {
  const over = table.filter(({ point }) => point === '/' || path === point || path.startsWith(`${point}/`))
  return over.sort((a, b) => b.point.length - a.point.length)[0]?.flags ?? []
}

function bind(from: string, to: string): string {
  return `mount --rbind ${quote(from)} ${quote(to)}`
}

function readOnly(table: Mount[], from: string, to: string): string {
  const options = ['remount', 'bind', 'ro', ...flagsOf(table, from)].join(',')
  return `mount -o ${options} ${quote(to)} 2>/dev/null || :`
}

/** One entry of `/`: links are made again, everything else is bound. */
function systemEntry(root: string, name: string, table: Mount[]): string[] {
  const from = `/${name}`
  const to = join(root, name)
  const facts = lstatSync(from)
  if (facts.isSymbolicLink()) return [`ln -s ${quote(readlinkSync(from))} ${quote(to)}`]
  if (!facts.isDirectory()) return facts.isFile() ? [`: >${quote(to)}; ${bind(from, to)} || :`] : []
  const lines = [`mkdir ${quote(to)}`, `${bind(from, to)} || :`]
  return name === 'dev' || name === 'sys' ? lines : [...lines, readOnly(table, from, to)]
}

function system(root: string, table: Mount[]): string[] {
  const apart = [...OWN, ...EMPTY, ...APART]
  const names = readdirSync('/').filter((name) => !apart.includes(name))
  return names.flatMap((name) => systemEntry(root, name, table))
}

function own(plan: RootPlan, root: string): string[] {
  const lines = OWN.map((name) => `mkdir ${quote(join(root, name))}; ${bind(join(plan.box, name), join(root, name))}`)
  const empty = `cd ${quote(root)}; mkdir ${EMPTY.join(' ')} private proc; ln -s ../tmp ../var private/; cd /`
  return [...lines, empty]
}

/** The box's /opt shows what the system has there, too; Homebrew's folder is the box's. */
function opt(root: string, table: Mount[]): string[] {
  const real = lstatSync('/opt', { throwIfNoEntry: false })?.isDirectory() ? readdirSync('/opt') : []
  const bound = real.filter((name) => name !== 'homebrew' && lstatSync(join('/opt', name)).isDirectory())
  return bound.flatMap((name) => {
    const to = join(root, 'opt', name)
    return [`mkdir -p ${quote(to)}; ${bind(join('/opt', name), to)} || :`, readOnly(table, join('/opt', name), to)]
  })
}

function visible(plan: RootPlan, root: string, table: Mount[]): string[] {
  const covered = [
    ...[...OWN.filter((name) => name !== 'opt'), ...EMPTY, 'opt/homebrew'].map((name) => `/${name}`),
    ...elsewhere(),
  ]
  const hidden = (path: string) => covered.some((folder) => path.startsWith(`${folder}/`))
  const lines = plan.visible.filter(hidden).flatMap((path) => {
    const to = join(root, path)
    return [`mkdir -p ${quote(to)}; ${bind(path, to)}`, readOnly(table, path, to)]
  })
  const shared = Object.entries(plan.shared).map(([inside, outside]) => {
    const to = join(root, inside)
    return `mkdir -p ${quote(to)} && ${bind(outside, to)} || :`
  })
  const programs = plan.programs.map((path) => `: >${quote(join(root, path))}; ${bind(path, join(root, path))}`)
  return [...lines, ...shared, ...programs]
}

/** The box's folder, at the same path as outside: after /dev/shm, in which it may lie. */
function boxFolder(plan: RootPlan, root: string): string {
  const box = join(root, plan.box)
  return `mkdir -p ${quote(box)}; mount --bind ${quote(plan.box)} ${quote(box)}`
}

function files(plan: RootPlan, root: string): string[] {
  const regular = (path: string) => lstatSync(path, { throwIfNoEntry: false })?.isFile()
  const there = Object.entries(plan.files).filter(([inside]) => regular(inside))
  return there.map(([inside, outside]) => `mount --bind ${quote(outside)} ${quote(join(root, inside))}`)
}

/** A terminal of its own kind: pseudo-terminals are numbered by each box. */
function devices(root: string): string[] {
  const pts = quote(join(root, 'dev/pts'))
  return [
    `mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts ${pts} && mount --bind ${pts}/ptmx ${quote(join(root, 'dev/ptmx'))} || :`,
    `mount -t tmpfs -o mode=1777 shm ${quote(join(root, 'dev/shm'))} || :`,
    `mount -t proc proc ${quote(join(root, 'proc'))}`,
  ]
}

/** /usr with the Mac's programs laid over it, so that `/usr/bin/sw_vers` is there as on a Mac. */
function overlay(plan: RootPlan, root: string): string[] {
  const usr = quote(join(root, 'usr'))
  return [`mount -t overlay -o ro,lowerdir=${quote(plan.overlay)}:/usr overlay ${usr} 2>/dev/null || :`]
}

/** The shell lines that build the box's root and move into it; they run in a mount namespace of their own. */
export function rootLines(plan: RootPlan): string[] {
  const root = join(realpathSync(plan.box), 'root')
  const table = mounts()
  return [
    `mount -t tmpfs -o mode=755 box ${quote(root)}`,
    ...system(root, table),
    ...overlay(plan, root),
    ...own(plan, root),
    ...opt(root, table),
    ...elsewhere().map(
      (home) => `[ ! -d ${quote(home)} ] || mount -t tmpfs -o mode=755 home ${quote(join(root, home))}`,
    ),
    ...visible(plan, root, table),
    ...files(plan, root),
    ...devices(root),
    boxFolder(plan, root),
    `cd ${quote(root)}`,
    'mkdir .old',
    'pivot_root . .old',
    'cd /',
    'umount -l /.old',
    'rmdir /.old',
  ]
}

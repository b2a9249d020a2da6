import {
  constants,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { askResident } from '../ask.ts'
import type { Box, MacState } from '../box.ts'
import { copyWithLibraries } from './elf.ts'

/** The programs of each formula that this brew knows. */
export const formulae: Record<string, string[]> = {
  ollama: ['ollama'],
  haproxy: ['haproxy'],
  tailscale: ['tailscale', 'tailscaled'],
  node: ['node', 'npm', 'npx'],
}

/** The versions that an install brings now, by formula. */
export function latestVersions({ mac }: Box): Record<string, string> {
  const haproxy = Object.keys(mac.brew.haproxyBinaries).at(-1) ?? '3.2.1'
  return asListed(mac, { haproxy, ...mac.brew.latest })
}

/** The same for casks. */
export const latestCasks = ({ mac }: Box): Record<string, string> => asListed(mac, mac.brew.latestCasks)

/** Versions as the list has them that this brew has now. */
function asListed({ brew }: MacState, newest: Record<string, string>): Record<string, string> {
  const { unknown = [], latest = {} } = brew.old ?? {}
  const known = Object.entries(newest).filter(([name]) => !unknown.includes(name))
  return Object.fromEntries(known.map(([name, version]) => [name, latest[name] ?? version]))
}

/** Where Homebrew keeps what it downloads. */
export const cache = (): string => join(process.env.HOME ?? '/', 'Library/Caches/Homebrew')

/** Puts the list of packages where Homebrew has it, as old as it is said to be. */
export function placeIndex(box: Box): void {
  const file = join(cache(), 'api/internal/packages.arm64_tahoe.jws.json')
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, '{}\n')
  const at = Date.now() / 1000 - (box.mac.brew.old?.days ?? 0) * 86_400
  utimesSync(file, at, at)
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

/** A shell script that is the stand-in `name`; it tells ps and lsof by which path it was called. */
export function wrapper(box: Box, name: string): string {
  const program = [process.execPath, join(box.dir, 'standins.mjs')].map(quoted).join(' ')
  return `#!/bin/sh\n${askResident(box.dir, name)}BOX=${quoted(box.dir)} BOX_ARGV0="$0" exec ${program} ${name} "$@"\n`
}

/** Writes a program, whole or not at all: it may be running. */
export function writeProgram(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.new`, text, { mode: 0o755 })
  renameSync(`${path}.new`, path)
}

/** A symbolic link, replaced in one step. */
export function link(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true })
  rmSync(`${path}.new`, { force: true })
  symlinkSync(relative(dirname(path), target), `${path}.new`)
  renameSync(`${path}.new`, path)
}

function linkLibraries(folders: string, into: string): void {
  mkdirSync(into, { recursive: true })
  for (const folder of folders.split(':').filter((one) => one !== '' && existsSync(one))) {
    for (const name of readdirSync(folder).filter((one) => /\.so(\.|$)/.test(one))) {
      if (!existsSync(join(into, name))) symlinkSync(join(folder, name), join(into, name))
    }
  }
}

/** The real HAProxy of that version, or of any: an upgrade in a story may bring the same program again. */
function placeHaproxy(box: Box, version: string, bin: string): void {
  const { haproxyBinaries, libraryPath } = box.mac.brew
  const real = haproxyBinaries[version] ?? Object.values(haproxyBinaries)[0]
  if (!real) throw new Error('mac.json names no HAProxy in brew.haproxyBinaries')
  const to = join(bin, 'haproxy')
  if (libraryPath === '') {
    copyWithLibraries(real, to)
    return
  }
  linkLibraries(libraryPath, join(bin, 'lib'))
  if (copyWithLibraries(real, to)) return
  // No room for a library path in the program: bash starts it under the name that it was called by.
  renameSync(to, join(bin, 'haproxy.real'))
  writeProgram(
    to,
    `#!/bin/bash\nLD_LIBRARY_PATH=${quoted(libraryPath)} exec -a "$0" ${quoted(join(bin, 'haproxy.real'))} "$@"\n`,
  )
}

/** A program of its own and no link, since Node tells its own path without links; an Intel one and its children run under Rosetta. */
function placeNode(box: Box, bin: string): void {
  const beside = (name: string) => join(dirname(process.execPath), name)
  const others = (formulae.node ?? []).filter((name) => name !== 'node' && existsSync(beside(name)))
  if (!isIntel(box)) {
    copyFileSync(process.execPath, join(bin, 'node'), constants.COPYFILE_FICLONE)
    for (const name of others) symlinkSync(beside(name), join(bin, name))
    return
  }
  const script = (program: string) => `#!/bin/sh\nBOX_ARCH=x86_64 exec ${program} "$@"\n`
  writeProgram(join(bin, 'node'), script(quoted(process.execPath)))
  for (const name of others)
    writeProgram(join(bin, name), script(`${quoted(process.execPath)} ${quoted(realpathSync(beside(name)))}`))
}

/** The folder of a version. */
export function keg(box: Box, name: string, version: string): string {
  return join(box.mac.prefix, 'Cellar', name, version)
}

/** Versions on the disk, oldest name first. */
export function kegsOf(box: Box, name: string): string[] {
  const folder = join(box.mac.prefix, 'Cellar', name)
  return existsSync(folder) ? readdirSync(folder).sort((a, b) => a.localeCompare(b, 'en', { numeric: true })) : []
}

/** Unpacks a formula into the Cellar and links it, as pouring a bottle does; its version becomes the linked one. */
export function placeKeg(box: Box, name: string, version: string): void {
  const bin = join(keg(box, name, version), 'bin')
  rmSync(keg(box, name, version), { recursive: true, force: true })
  mkdirSync(bin, { recursive: true })
  if (name === 'haproxy') placeHaproxy(box, version, bin)
  else if (name === 'node') placeNode(box, bin)
  else if (name === 'ollama' && box.mac.brew.ollamaBinary) symlinkSync(box.mac.brew.ollamaBinary, join(bin, 'ollama'))
  else for (const program of formulae[name] ?? []) writeProgram(join(bin, program), wrapper(box, program))
  linkKeg(box, name, version)
}

/** Links a version that is in the Cellar: by `opt`, and its programs. */
export function linkKeg(box: Box, name: string, version: string): void {
  const bin = join(keg(box, name, version), 'bin')
  if (name === 'ollama' && !isIntel(box)) writeFileSync(join(box.dir, 'ollama-version'), `${version}\n`)
  link(keg(box, name, version), join(box.mac.prefix, 'opt', name))
  for (const program of (formulae[name] ?? []).filter((one) => existsSync(join(bin, one)))) {
    link(join(bin, program), join(box.mac.prefix, 'bin', program))
  }
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
}

/** Removes a formula's folders and links; a running program keeps its deleted files. */
export function removeKegs(box: Box, name: string): void {
  rmSync(join(box.mac.prefix, 'Cellar', name), { recursive: true, force: true })
  unlinkKeg(box, name)
}

/** Removes a formula's links. */
export function unlinkKeg(box: Box, name: string): void {
  const links = [
    join(box.mac.prefix, 'opt', name),
    ...(formulae[name] ?? []).map((program) => join(box.mac.prefix, 'bin', program)),
  ]
  for (const path of links.filter(isLink)) rmSync(path)
}

/** Puts brew itself at its prefix. */
export function placeBrew(box: Box): void {
  const { prefix } = box.mac
  for (const folder of ['Cellar', 'Caskroom', 'opt', 'etc', 'var/log', 'bin'])
    mkdirSync(join(prefix, folder), { recursive: true })
  placeIndex(box)
  writeProgram(join(prefix, 'bin/brew'), wrapper(box, isIntel(box) ? 'brew-intel' : 'brew'))
}

const intelPrefix = ({ usrLocalBin }: MacState): string => dirname(usrLocalBin)

/** Whether what this Homebrew pours is for Intel. */
export const isIntel = ({ mac }: Box): boolean => mac.prefix === intelPrefix(mac)

/** The Mac as its Intel Homebrew sees it. */
function asIntel(mac: MacState): MacState {
  return { ...mac, prefix: intelPrefix(mac), brew: { ...mac.brew, installed: { ...mac.intelBrew?.installed } } }
}

/** The box for the Intel Homebrew's own work: its folder, its kegs, the same Mac. */
export function intelBox(box: Box): Box {
  return {
    dir: box.dir,
    get mac() {
      return asIntel(box.mac)
    },
    save(change) {
      box.save((mac) => {
        const seen = asIntel(mac)
        if (typeof change === 'function') change(seen)
        else Object.assign(seen, change)
        mac.intelBrew = { installed: seen.brew.installed }
      })
    },
  }
}

/** The name of an app's folder and program for each cask. */
export const casks: Record<string, string> = { 'tailscale-app': 'Tailscale', 'ollama-app': 'Ollama' }

function infoPlist(name: string, version: string): string {
  const id = name === 'Tailscale' ? 'io.tailscale.ipn.macsys' : 'com.electron.ollama'
  const pairs = Object.entries({ CFBundleIdentifier: id, CFBundleName: name, CFBundleShortVersionString: version })
  const body = pairs.map(([key, value]) => `<key>${key}</key><string>${value}</string>`).join('')
  return `<?xml version="1.0" encoding="UTF-8"?>\n<plist version="1.0"><dict>${body}</dict></plist>\n`
}

/** Puts an app into the applications folder; the App Store's copy carries a receipt. */
export function placeApp(box: Box, name: string, version: string, fromStore = false): void {
  const contents = join(box.mac.applications, `${name}.app`, 'Contents')
  writeProgram(join(contents, 'MacOS', name), wrapper(box, name))
  if (name === 'Ollama') writeProgram(join(contents, 'Resources/ollama'), wrapper(box, 'ollama'))
  writeFileSync(join(contents, 'Info.plist'), infoPlist(name, version))
  if (fromStore) {
    mkdirSync(join(contents, '_MASReceipt'), { recursive: true })
    writeFileSync(join(contents, '_MASReceipt/receipt'), '')
  }
}

/** Takes an app away. */
export function removeApp(box: Box, name: string): void {
  rmSync(join(box.mac.applications, `${basename(name)}.app`), { recursive: true, force: true })
}

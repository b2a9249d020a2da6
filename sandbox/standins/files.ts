import { lstatSync, readFileSync, readlinkSync, type Stats, statfsSync, statSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { build, parse } from 'plist'
import type { Box, MacState } from './box.ts'
import { complain, say } from './system.ts'

/** Folders of the system belong to root on a Mac, whoever runs the box. */
const rootsOwn = /^\/(bin|sbin|usr|System|Library|etc|dev|private\/etc)(\/|$)/

function owner(path: string, facts: Stats, mac: MacState): { uid: number; user: string; gid: number; group: string } {
  const console = path === '/dev/console' && mac.desktop
  const local = !rootsOwn.test(resolve(path)) && facts.uid === process.getuid?.()
  if (console || local) return { uid: mac.uid, user: mac.user, gid: 20, group: 'staff' }
  return { uid: facts.uid, user: facts.uid === 0 ? 'root' : String(facts.uid), gid: 0, group: 'wheel' }
}

function modeText(facts: Stats): string {
  const kind = facts.isDirectory() ? 'd' : facts.isSymbolicLink() ? 'l' : facts.isSocket() ? 's' : '-'
  const bits = [...'rwxrwxrwx'].map((letter, at) => (facts.mode & (1 << (8 - at)) ? letter : '-'))
  return kind + bits.join('')
}

function kindName(facts: Stats): string {
  if (facts.isDirectory()) return 'Directory'
  if (facts.isSymbolicLink()) return 'Symbolic Link'
  return facts.isSocket() ? 'Socket' : 'Regular File'
}

/** The data of BSD stat's format (stat(1)): the few that scripts use. */
function facts(path: string, of: Stats, mac: MacState): Record<string, string | number> {
  const { uid, user, gid, group } = owner(path, of, mac)
  const permissions = (of.mode & 0o7777).toString(8)
  return {
    Lp: permissions,
    OLp: permissions,
    A: permissions,
    p: of.mode.toString(8),
    Sp: modeText(of),
    u: uid,
    Su: user,
    g: gid,
    Sg: group,
    z: of.size,
    m: Math.floor(of.mtimeMs / 1000),
    a: Math.floor(of.atimeMs / 1000),
    c: Math.floor(of.ctimeMs / 1000),
    i: of.ino,
    l: of.nlink,
    N: path,
    HT: kindName(of),
    Y: of.isSymbolicLink() ? readlinkSync(path) : '',
  }
}

function long(path: string, of: Stats, mac: MacState): string {
  const { user, group } = owner(path, of, mac)
  return `${of.dev} ${of.ino} ${modeText(of)} ${of.nlink} ${user} ${group} 0 ${of.size} "${of.mtime.toISOString()}" ${path}`
}

/** stat -f FORMAT FILE…, the BSD way; GNU's -c is refused as on a Mac. */
export function stat(argv: string[], { mac }: Box): number {
  const words = [...argv]
  let format: string | undefined
  let follow = false
  while (words[0]?.startsWith('-')) {
    const flag = words.shift() ?? ''
    follow ||= flag.includes('L')
    if (flag.endsWith('f')) format = words.shift()
    else if (!/^-[Lnq]+$/.test(flag))
      return complain(
        `stat: illegal option -- ${flag[1]}\nusage: stat [-FLnq] [-f format | -l | -r | -s | -x] [-t timefmt] [file|handle ...]`,
      )
  }
  let code = 0
  for (const path of words) {
    // A container may lack the console, which every Mac has.
    const there = path === '/dev/console' ? '/dev/null' : path
    const of = (follow ? statSync : lstatSync)(there, { throwIfNoEntry: false })
    if (!of) code = complain(`stat: ${path}: ${follow ? 'stat' : 'lstat'}: No such file or directory`)
    else if (format === undefined) say(long(path, of, mac))
    else
      say(format.replace(/%([OL]*[SH]?[a-zA-Z])/g, (whole, key: string) => String(facts(path, of, mac)[key] ?? whole)))
  }
  return code
}

/** df -k PATH…: real sizes in macOS's columns; mac.json may say what is free. */
export function df(argv: string[], { mac }: Box): number {
  const unit = argv.some((word) => /^-\w*[kP]/.test(word))
    ? 1024
    : argv.some((word) => /^-\w*g/.test(word))
      ? 1024 ** 3
      : 512
  const names: Record<number, string> = { 512: '512-blocks', 1024: '1024-blocks', [1024 ** 3]: '1G-blocks' }
  say(`Filesystem   ${names[unit]}      Used Available Capacity iused      ifree %iused  Mounted on`)
  const paths = argv.filter((word) => !word.startsWith('-'))
  for (const path of paths.length > 0 ? paths : ['/']) {
    const disk = statfsSync(path, { bigint: false })
    const free = mac.diskFree ?? disk.bavail * disk.bsize
    const total = Math.max(disk.blocks * disk.bsize, free)
    const [blocks, used, available] = [total, total - free, free].map((bytes) =>
      String(Math.floor(bytes / unit)).padStart(9),
    )
    const percent = Math.round((100 * (total - free)) / Math.max(1, total))
    const files = `${disk.files - disk.ffree} ${disk.ffree}`
    say(
      `/dev/disk3s5   ${blocks} ${used} ${available}    ${String(percent).padStart(2)}%  ${files}    0%   /System/Volumes/Data`,
    )
  }
  return 0
}

function readPlist(path: string): ReturnType<typeof parse> | Error {
  try {
    const text = readFileSync(path === '-' ? 0 : path, 'utf8')
    if (text.trim().length === 0) throw new Error('Conversion of string failed. The string is empty.')
    return text.trimStart().startsWith('{') ? JSON.parse(text) : parse(text)
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function lint(paths: string[]): number {
  let code = 0
  for (const path of paths) {
    const value = readPlist(path)
    if (!(value instanceof Error)) say(`${path}: OK`)
    else
      code = complain(
        `${path}: ${'code' in value ? 'file does not exist or is not readable or is not a regular file' : `(${value.message})`}`,
      )
  }
  return code
}

function convert(format: string, words: string[]): number {
  const output = words.includes('-o') ? words[words.indexOf('-o') + 1] : undefined
  const path =
    words.findLast(
      (word, at) => word !== '--' && (words[at - 1] === '--' || (word !== '-o' && words[at - 1] !== '-o')),
    ) ?? ''
  const value = readPlist(path)
  if (value instanceof Error) return complain(`${path}: Property List error: ${value.message}`)
  const text = format === 'json' ? JSON.stringify(value) : build(value)
  if (output === '-') process.stdout.write(text)
  else writeFileSync(output ?? path, text)
  return 0
}

/** plutil: -lint, -convert json|xml1 [-o OUT], -extract KEY raw. */
export function plutil(argv: string[]): number {
  const [verb, ...words] = argv
  if (verb === '-lint') return lint(words.filter((word) => !word.startsWith('-')))
  if (verb === '-convert') return convert(words[0] ?? '', words.slice(1))
  if (verb === '-extract') return extract(words)
  return verb !== undefined && !verb.startsWith('-') ? lint(argv) : complain('plutil: No files specified.')
}

function extract([key = '', form, ...rest]: string[]): number {
  let value: unknown = readPlist(rest.at(-1) ?? '')
  for (const part of key.split('.'))
    value = typeof value === 'object' && value !== null ? Reflect.get(value, part) : undefined
  if (value === undefined)
    return complain(
      `${rest.at(-1)}: Could not extract value, error: No value at that key path or invalid key path: ${key}`,
    )
  return say(form === 'raw' && typeof value !== 'object' ? String(value) : JSON.stringify(value))
}

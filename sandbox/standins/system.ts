import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { type Box, isRoot, type MacState } from './box.ts'
import type { Answer } from './launchd/answer.ts'

/** Kernel and build of some releases; other versions get a release of the right generation (macos_version.rb of Homebrew). */
const releases: Record<string, [kernel: string, build: string]> = {
  '13.6': ['22.6.0', '22G120'],
  '14.7': ['23.6.0', '23H124'],
  '15.6': ['24.6.0', '24G84'],
  '26.5.1': ['25.5.0', '25F80'],
  '27.0': ['27.0.0', '27A361'],
}

const generations: Record<number, number> = { 13: 22, 14: 23, 15: 24, 26: 25 }

function release({ macos, kernel, build }: MacState): { kernel: string; build: string } {
  const [major = 0, minor = 0] = macos.split('.').map(Number)
  const generation = generations[major] ?? major
  const known = releases[macos] ?? [`${generation}.${minor}.0`, `${generation}A100`]
  return { kernel: kernel ?? known[0], build: build ?? known[1] }
}

/** What is said is kept here instead of being written, while somebody listens. */
let kept: { stdout: string; stderr: string } | undefined

/** Says a line on stdout; gives exit code 0. */
export function say(line: string): number {
  if (kept) kept.stdout += `${line}\n`
  else process.stdout.write(`${line}\n`)
  return 0
}

/** Says a line on stderr; gives an exit code. */
export function complain(line: string, code = 1): number {
  if (kept) kept.stderr += `${line}\n`
  else process.stderr.write(`${line}\n`)
  return code
}

/** What a stand-in says before it waits for anything, and its exit code; undefined when it does not answer. */
export async function overheard(work: () => number | Promise<number> | undefined): Promise<Answer | undefined> {
  const said = { stdout: '', stderr: '' }
  kept = said
  let code: number | Promise<number> | undefined
  try {
    code = work()
  } finally {
    kept = undefined
  }
  return code === undefined ? undefined : { code: await code, ...said }
}

/** Becomes another command as far as a process can: same terminal, same exit code. */
export async function become(command: string, args: string[], env = process.env): Promise<number> {
  const child = spawn(command, args, { stdio: 'inherit', env })
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
  process.on('SIGINT', () => {})
  const ended = await Promise.race([once(child, 'exit'), once(child, 'error')])
  if (ended[0] instanceof Error) return complain(`${command}: command not found`, 127)
  const [code, signal]: [number | null, NodeJS.Signals | null] = [ended[0], ended[1]]
  return code ?? 128 + (signal ? constants.signals[signal] : 0)
}

/** sw_vers, which lies to children that carry SYSTEM_VERSION_COMPAT, as the real one does. */
export function swVers(argv: string[], box: Box): number {
  const { mac } = box
  const compat = process.env.SYSTEM_VERSION_COMPAT === '1'
  const version = compat ? (Number.parseInt(mac.macos, 10) >= 26 ? '16.0' : '10.16') : mac.macos
  const { build } = release(mac)
  const fact = { productName: 'macOS', productVersion: version, buildVersion: build }[argv[0]?.replace(/^-+/, '') ?? '']
  if (fact !== undefined) return say(fact)
  if (argv.length > 0)
    return complain('Usage: sw_vers [--help|--productName|--productVersion|--productVersionExtra|--buildVersion]')
  return say(`ProductName:\t\tmacOS\nProductVersion:\t\t${version}\nBuildVersion:\t\t${build}`)
}

/** What programs of this terminal are: `arch -arm64` leaves Rosetta for its children. */
function machine(mac: MacState): string {
  return process.env.BOX_ARCH ?? (mac.translated ? 'x86_64' : mac.arch)
}

/** Whether this process runs under Rosetta. */
export function translated(mac: MacState): boolean {
  return mac.arch === 'arm64' && machine(mac) === 'x86_64'
}

/** uname with the letters asked for; -m follows Rosetta. */
export function uname(argv: string[], { mac }: Box): number {
  const letters = argv.join('').replaceAll('-', '') || 's'
  const { kernel } = release(mac)
  const chip = mac.arch === 'arm64' ? 'ARM64' : 'X86_64'
  const facts: [string, string][] = [
    ['s', 'Darwin'],
    ['n', `${mac.computerName}.local`],
    ['r', kernel],
    ['v', `Darwin Kernel Version ${kernel}: root:xnu/RELEASE_${chip}`],
    ['m', machine(mac)],
  ]
  const asked = facts.filter(([letter]) => letters.includes(letter) || letters.includes('a')).map(([, fact]) => fact)
  if (letters.includes('p') || letters.includes('a')) asked.push(machine(mac) === 'arm64' ? 'arm' : 'i386')
  return say(asked.join(' '))
}

/** arch: the machine's name, or a command run as that architecture. */
export async function arch(argv: string[], { mac }: Box): Promise<number> {
  if (argv.length === 0) return say(machine(mac) === 'arm64' ? 'arm64' : 'i386')
  const wanted = argv[0] === '-arch' ? argv[1] : argv[0]?.slice(1)
  const [command, ...args] = argv.slice(argv[0] === '-arch' ? 2 : 1)
  if (command === undefined || (wanted !== 'arm64' && wanted !== 'x86_64')) return complain('arch: bad usage', 1)
  if (wanted === 'arm64' && mac.arch !== 'arm64')
    return complain(`arch: posix_spawnp: ${command}: Bad CPU type in executable`)
  return become(command, args, { ...process.env, BOX_ARCH: wanted })
}

/** id of the Mac’s user, or of root below sudo. */
export function id(argv: string[], { mac }: Box): number {
  const [uid, user, gid, group] = isRoot() ? [0, 'root', 0, 'wheel'] : [mac.uid, mac.user, 20, 'staff']
  const admin = mac.sudo.mode === 'not-admin' ? [] : ['80(admin)']
  const groups = [`${gid}(${group})`, '12(everyone)', '61(localaccounts)', ...admin]
  const letters = argv.join('').replace(/[^a-zA-Z]/g, '')
  if (letters === '') return say(`uid=${uid}(${user}) gid=${gid}(${group}) groups=${groups.join(',')}`)
  if (letters === 'F') return say(mac.fullName)
  const named = letters.includes('n')
  if (letters.includes('u')) return say(String(named ? user : uid))
  if (letters.includes('g')) return say(String(named ? group : gid))
  if (letters.includes('G')) return say(groups.map((entry) => entry.split(/[()]/)[named ? 1 : 0]).join(' '))
  return complain('usage: id [user]')
}

/** whoami: the Mac’s user, or root below sudo. */
export function whoami(_argv: string[], { mac }: Box): number {
  return say(isRoot() ? 'root' : mac.user)
}

/** hostname: the computer’s name in .local, or without it (-s). */
export function hostname(argv: string[], { mac }: Box): number {
  return say(argv.includes('-s') ? mac.computerName : `${mac.computerName}.local`)
}

/** scutil --get of the computer’s names. */
export function scutil(argv: string[], { mac }: Box): number {
  if (argv[0] !== '--get') return complain('usage: scutil --get pref')
  if (argv[1] === 'HostName') return complain('HostName: not set')
  return say(mac.computerName)
}

/** xcode-select -p: exit code 2 where the Command Line Tools are missing. */
export function xcodeSelect(argv: string[], { mac }: Box): number {
  if (argv[0] === '--install')
    return complain('xcode-select: note: install requested for command line developer tools', 0)
  if (argv[0] !== '-p' && argv[0] !== '--print-path') return complain('Usage: xcode-select [options]')
  if (mac.commandLineTools) return say('/Library/Developer/CommandLineTools')
  return complain(
    "xcode-select: error: Unable to get active developer directory. Use `sudo xcode-select --switch path/to/Xcode.app` to set one (or see 'man xcode-select')",
    2,
  )
}

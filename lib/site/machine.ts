import type { Look } from '../host/host.ts'
import { surveyHomebrew } from '../platform/mac/brew.ts'
import { type Address, parseIfconfig } from '../platform/mac/ifconfig.ts'
import { surveyTailscale, type Tailscale } from '../platform/tailscale.ts'

/** What this machine is, read once before each part. */
export interface Machine {
  home: string
  kernel: string
  /** macOS version as numbers, 26.5.1 -> [26, 5, 1]; empty elsewhere */
  version: number[]
  appleSilicon: boolean
  /** this process runs under Rosetta */
  translated: boolean
  /** bytes */
  memory: number
  uid: number
  user: string
  /** the user has a desktop session (launchd domain gui/UID) */
  desktop: boolean
  /** this runs over ssh: a cask that asks at the screen cannot be installed from here */
  ssh: boolean
  /** path of the `brew` that counts, when installed */
  brew?: string
  /** another `brew`, of which nothing is used: an Intel one, or one in a folder that ready-made packages are not for */
  otherBrew?: { path: string; prefix: string }
  /** Homebrew's folder, where it is or would be */
  prefix: string
  tailscale: Tailscale
  addresses: Address[]
}

/** What no part of ours can change. */
type Fixed = Pick<
  Machine,
  'home' | 'kernel' | 'version' | 'appleSilicon' | 'translated' | 'memory' | 'uid' | 'user' | 'desktop' | 'ssh'
>

/** Reads the machine by its own commands; nothing is changed. What never changes is taken from an earlier survey. */
export async function survey(look: Look, before?: Machine): Promise<Machine> {
  const [fixed, homebrew, ifconfig, tailscale] = await Promise.all([
    before ?? surveyFixed(look),
    before?.brew ? before : surveyHomebrew(look),
    look.query(['ifconfig']),
    surveyTailscale(look),
  ])
  const { brew, otherBrew, prefix } = homebrew
  return { ...fixed, brew, otherBrew, prefix, tailscale, addresses: parseIfconfig(ifconfig.stdout) }
}

async function surveyFixed(look: Look): Promise<Fixed> {
  const say = async (...argv: string[]) => {
    const { code, stdout } = await look.query(argv)
    return code === 0 ? stdout.trim() : ''
  }
  const [kernel, version, memory, arm, translated, uid, user, ssh] = await Promise.all([
    say('uname', '-s'),
    // A program built against an old SDK, or this variable, makes sw_vers lie (python/cpython#135675).
    say('env', '-u', 'SYSTEM_VERSION_COMPAT', 'sw_vers', '-productVersion'),
    say('sysctl', '-n', 'hw.memsize'),
    say('sysctl', '-n', 'hw.optional.arm64'),
    say('sysctl', '-n', 'sysctl.proc_translated'),
    say('id', '-u'),
    say('id', '-un'),
    say('printenv', 'SSH_CONNECTION'),
  ])
  const gui = await look.query(['launchctl', 'print', `gui/${uid}`])
  return {
    home: look.home,
    kernel,
    version: versionNumbers(version),
    appleSilicon: arm === '1',
    translated: translated === '1',
    memory: Number(memory) || 0,
    uid: Number(uid),
    user,
    desktop: gui.code === 0,
    ssh: ssh !== '',
  }
}

/** "16.0" is what macOS 26 calls itself to old programs (dotnet/runtime#116536). */
export function versionNumbers(text: string): number[] {
  const numbers = (/^\d+(?:\.\d+)*/.exec(text)?.[0] ?? '').split('.').filter(Boolean).map(Number)
  return numbers[0] === 16 ? [26, ...numbers.slice(1)] : numbers
}

/** Whether a version is at least another, number by number. */
export function atLeast(version: number[], minimum: number[]): boolean {
  const length = Math.max(version.length, minimum.length)
  for (let at = 0; at < length; at += 1) {
    const difference = (version[at] ?? 0) - (minimum[at] ?? 0)
    if (difference !== 0) return difference > 0
  }
  return true
}

import { type Box, isRoot } from './box.ts'
import { ancestry, ownProcesses, type Process } from './processes.ts'
import { complain, say } from './system.ts'

const valued = /^-[PUuGgst]$/

function matches(argv: string[], box: Box): Process[] {
  const words = [...argv]
  const flags: string[] = []
  while (words[0]?.startsWith('-')) flags.push(...words.splice(0, valued.test(words[0]) ? 2 : 1))
  const pattern = new RegExp(words[0] ?? '$^', flags.some((flag) => /^-\w*i/.test(flag)) ? 'i' : '')
  const full = flags.some((flag) => /^-\w*f/.test(flag))
  const exact = flags.some((flag) => /^-\w*x/.test(flag))
  const parent = flags.includes('-P') ? Number(flags[flags.indexOf('-P') + 1]) : undefined
  const self = ancestry()
  return ownProcesses(box).filter((process) => {
    if (self.includes(process.pid) || process.state === 'Z') return false
    if (parent !== undefined && process.ppid !== parent) return false
    const text = full ? process.args.join(' ') : process.command
    return exact ? pattern.exec(text)?.[0] === text : pattern.test(text)
  })
}

/** Tailscale's own daemon is a state of the Mac here, no process. */
function tailscaled(argv: string[], { mac: { tailscale } }: Box): boolean {
  return argv.at(-1) === 'tailscaled' && tailscale.daemon && [tailscale.variant, tailscale.second].includes('formula')
}

/** pgrep [-f] [-x] [-l] [-P pid] PATTERN over the box's processes. */
export function pgrep(argv: string[], box: Box): number {
  if (tailscaled(argv, box)) return say('321')
  const found = matches(argv, box)
  const long = argv.some((word) => /^-\w*l/.test(word))
  const full = argv.some((word) => /^-\w*f/.test(word))
  for (const { pid, command, args } of found) say(long ? `${pid} ${full ? args.join(' ') : command}` : String(pid))
  return found.length > 0 ? 0 : 1
}

function signalAll(found: Process[], signal: NodeJS.Signals): number {
  for (const { pid } of found) {
    try {
      process.kill(pid, signal)
    } catch {
      // it ended by itself
    }
  }
  return found.length > 0 ? 0 : 1
}

/** Linux's names are macOS's too, the numbers are not all: 9 and 15 are. */
function signalOf(words: string[]): NodeJS.Signals {
  const name = words.find(isSignal)?.slice(1) ?? 'TERM'
  const byNumber: Record<string, NodeJS.Signals> = {
    9: 'SIGKILL',
    15: 'SIGTERM',
    1: 'SIGHUP',
    2: 'SIGINT',
    30: 'SIGUSR1',
    31: 'SIGUSR2',
  }
  return byNumber[name] ?? (`SIG${name.replace(/^SIG/, '')}` as NodeJS.Signals)
}

const isSignal = (word: string) => /^-(SIG)?[A-Z][A-Z0-9]+$|^-\d+$/.test(word)

/** pkill [-SIGNAL] [-f] PATTERN: signals what pgrep would find. */
export function pkill(argv: string[], box: Box): number {
  const words = argv.filter((word) => !isSignal(word))
  return signalAll(matches(words, box), signalOf(argv))
}

/** killall [-SIGNAL] NAME: signals the processes of that name. */
export function killall(argv: string[], box: Box): number {
  const names = argv.filter((word) => !word.startsWith('-'))
  const self = ancestry()
  const found = ownProcesses(box).filter(({ command, pid }) => names.includes(command) && !self.includes(pid))
  if (found.length > 0) return signalAll(found, signalOf(argv))
  return complain(`No matching processes${isRoot() ? '' : ' belonging to you'} were found`)
}

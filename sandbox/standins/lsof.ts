import { type Box, isRoot } from './box.ts'
import { ownProcesses, type Process } from './processes.ts'
import { type Endpoint, type Held, holders, type Socket } from './sockets.ts'
import { say } from './system.ts'

interface Question {
  /** -i was given: internet sockets that pass this */
  internet: ((socket: Socket) => boolean) | undefined
  pids: number[] | undefined
  /** -a: both must hold, not either */
  both: boolean
  state: string | undefined
  /** -F with these letters */
  fields: string | undefined
  /** -t: pids alone */
  terse: boolean
}

/** `4TCP@127.0.0.1:11434`, each part optional. */
function internetFilter(text: string): (socket: Socket) => boolean {
  const [, family, , host, port] = /^([46])?(TCP|tcp)?(?:@([^:]+|\[.*\]))?(?::(.+))?$/.exec(text) ?? []
  const ports = port?.split(',').map(Number)
  const near = (end: Endpoint) =>
    (ports === undefined || ports.includes(end.port)) &&
    (host === undefined || end.address === host.replace(/^\[|\]$/g, ''))
  return (socket) =>
    (family === undefined || socket.family === Number(family)) && (near(socket.local) || near(socket.remote))
}

/** Options that take a value, which may be glued on or follow. */
function parse(argv: string[]): Question {
  const question: Question = {
    internet: undefined,
    pids: undefined,
    both: false,
    state: undefined,
    fields: undefined,
    terse: false,
  }
  const words = [...argv]
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const rest = word.slice(2)
    const value = () => rest || (words[0]?.startsWith('-') ? '' : (words.shift() ?? ''))
    if (/^-[nPalt]+$/.test(word)) {
      question.both ||= word.includes('a')
      question.terse ||= word.includes('t')
    } else if (/^-[nP]+i/.test(word)) question.internet = internetFilter(word.replace(/^-[nP]+i/, '') || value())
    else if (word.startsWith('-i')) question.internet = internetFilter(value())
    else if (word.startsWith('-p')) question.pids = value().split(',').map(Number)
    else if (word.startsWith('-s')) question.state = value().split(':')[1]
    else if (word.startsWith('-F')) question.fields = rest || 'pcuftn'
  }
  return question
}

function host({ address, port }: Endpoint): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port || '*'}`
}

function name(socket: Socket): string {
  return socket.state === 'LISTEN' ? host(socket.local) : `${host(socket.local)}->${host(socket.remote)}`
}

/** lsof cuts commands at nine characters and writes blanks as \\x20. */
function command(process: Process): string {
  return process.command.slice(0, 9).replaceAll(' ', '\\x20')
}

function fieldLines(
  { process, held }: { process: Process; held: Held[] },
  letters: string,
  uid: number,
  user: string,
): string[] {
  const has = (letter: string) => letters.includes(letter)
  const head: [string, string][] = [
    ['p', String(process.pid)],
    ['g', String(process.pgid)],
    ['R', String(process.ppid)],
    ['c', command(process)],
    ['u', String(uid)],
    ['L', user],
  ]
  const lines = head.filter(([letter]) => letter === 'p' || has(letter)).map((pair) => pair.join(''))
  const file = ({ fd, socket }: Held): [string, string][] => [
    ['f', String(fd)],
    ['t', `IPv${socket.family}`],
    ['P', 'TCP'],
    ['n', name(socket)],
    ['T', `ST=${socket.state}`],
  ]
  return [
    ...lines,
    ...held.flatMap((one) =>
      file(one)
        .filter(([letter]) => letter === 'f' || has(letter))
        .map((pair) => pair.join('')),
    ),
  ]
}

function rows({ process, held }: { process: Process; held: Held[] }, user: string): string[] {
  return held.map(({ fd, socket }) =>
    [
      command(process).padEnd(9),
      String(process.pid).padStart(5),
      user.padStart(4),
      `${fd}u`.padStart(5),
      `IPv${socket.family}`,
      `0x${Number(socket.inode).toString(16).padStart(16, '0')}`,
      '     0t0 ',
      'TCP',
      `${name(socket)} (${socket.state})`,
    ].join(' '),
  )
}

const title = 'COMMAND     PID USER   FD   TYPE             DEVICE SIZE/OFF NODE NAME'

/** With -i and -p but without -a either is enough, as in the real one. */
function passes(question: Question, pid: number, socket: Socket): boolean {
  const { internet, pids, both } = question
  if (internet === undefined || pids === undefined) return internet?.(socket) ?? pids?.includes(pid) ?? true
  return both ? internet(socket) && pids.includes(pid) : internet(socket) || pids.includes(pid)
}

/** lsof of the box's real TCP sockets in macOS's words. Nothing found is exit code 1, as there. */
export function main(argv: string[], box: Box): number {
  const question = parse(argv)
  const { mac } = box
  const states = question.state?.split(',')
  const visible = ({ state, local }: Socket) =>
    (states?.includes(state) ?? true) && (isRoot() || !mac.rootPorts.includes(local.port))
  const own = argv.includes('-iTCP') && mac.network.shared ? ownProcesses(box).map(({ pid }) => pid) : undefined
  const lines = holders(visible).flatMap(({ process, held }) => {
    if (own && !own.includes(process.pid)) return []
    const shown = { process, held: held.filter(({ socket }) => passes(question, process.pid, socket)) }
    if (shown.held.length === 0) return []
    if (question.terse) return [String(process.pid)]
    return question.fields === undefined ? rows(shown, mac.user) : fieldLines(shown, question.fields, mac.uid, mac.user)
  })
  if (lines.length === 0) return 1
  if (!question.terse && question.fields === undefined) lines.unshift(title)
  return say(lines.join('\n'))
}

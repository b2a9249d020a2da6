import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'

/** Everything that is piped into this process. */
export async function readInput(): Promise<string> {
  let text = ''
  for await (const piece of process.stdin.setEncoding('utf8')) text += piece
  return text
}

/** How this process itself was called is nothing to a program that it starts. */
const own = { ROP_TYPED: undefined, ROP_FROM: undefined }

/**
 * Hands the person's terminal to a program until it ends, and gives its exit code (128 and the signal's number after a signal).
 * An undefined variable is taken out of its environment. Rejects when it cannot be started.
 */
export function handOver(argv: string[], env: Record<string, string | undefined>): Promise<number> {
  const [program = '', ...args] = argv
  // Signals are the program's from here on: a terminal sends Ctrl-C to both, and twice means something else to an agent.
  // They are taken over before it starts, and never in between nobody's: it may be heard before this process goes on.
  let child: ChildProcess | undefined
  const pass = (signal: NodeJS.Signals) => void child?.kill(signal)
  const before = (['SIGINT', 'SIGTERM'] as const).map((signal) => [signal, process.listeners(signal)] as const)
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, pass)
  process.on('SIGINT', process.stdin.isTTY ? () => {} : pass)
  for (const [signal, heard] of before) for (const listener of heard) process.removeListener(signal, listener)
  const started = spawn(program, args, { stdio: 'inherit', env: { ...process.env, ...own, ...env } })
  child = started
  return new Promise((resolve, reject) => {
    started.once('error', reject)
    started.once('exit', (code, signal) => resolve(code ?? 128 + (constants.signals[signal ?? 'SIGTERM'] ?? 0)))
  })
}

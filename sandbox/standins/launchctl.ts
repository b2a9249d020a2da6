import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { type Box, isRoot } from './box.ts'
import type { Call } from './launchd/answer.ts'
import { usage } from './launchd/usage.ts'
import { ask } from './launchd/wire.ts'

function callOf(argv: string[]): Call {
  return {
    argv,
    cwd: process.cwd(),
    tty: process.stdout.isTTY === true,
    root: isRoot(),
    ssh: process.env.SSH_CONNECTION !== undefined || process.env.SSH_TTY !== undefined,
  }
}

async function asUser([uid, command, ...args]: string[]): Promise<number> {
  if (uid === undefined || command === undefined) {
    process.stderr.write(usage())
    return 64
  }
  const child = spawn(command, args, { stdio: 'inherit' })
  const ended = await Promise.race([once(child, 'exit'), once(child, 'error').then(() => [127, null])])
  const [code, signal]: [number | null, NodeJS.Signals | null] = [ended[0], ended[1]]
  return code ?? 128 + (signal ? constants.signals[signal] : 0)
}

/** The stand-in launchctl: hands its words to the box's launchd, says what that says, and exits with launchd's number. */
export async function main(argv: string[], box: Box): Promise<number> {
  if (argv[0] === 'asuser') return asUser(argv.slice(1))
  if (argv.length === 0) {
    process.stdout.write(usage())
    return 0
  }
  const said = await ask(box, callOf(argv))
  if (!said) {
    process.stderr.write(`launchctl: no launchd answers in ${box.dir}: nobody is logged in to this Mac in a box\n`)
    return 1
  }
  // The reader of a long print may leave early: `launchctl print gui/501 | head`.
  process.stdout.on('error', () => {})
  process.stdout.write(said.stdout)
  process.stderr.write(said.stderr)
  return said.code
}

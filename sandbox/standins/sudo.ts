import { appendFileSync, readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { ReadStream, WriteStream } from 'node:tty'
import type { Box } from './box.ts'
import { become, complain } from './system.ts'

/** A password is remembered for five minutes, as on a Mac. */
const REMEMBERED_MS = 5 * 60_000

interface Call {
  flags: string
  user: string
  command: string[]
}

function parse(argv: string[]): Call {
  const call: Call = { flags: '', user: 'root', command: [] }
  const words = [...argv]
  while (words[0]?.startsWith('-')) {
    const word = words.shift() ?? ''
    if (word === '--') break
    if (word === '-u' || word === '--user') call.user = words.shift() ?? ''
    else if (word === '-p') words.shift()
    else call.flags += word === '--non-interactive' ? 'n' : word.slice(1)
  }
  return { ...call, command: words }
}

/** It asks on the terminal itself, wherever what it says and reads goes (sudoers: `stdin` is for -S alone). */
async function askPassword(call: Call): Promise<string | undefined> {
  if (call.flags.includes('S')) return readFileSync(0, 'utf8').split('\n')[0]
  const terminal = await open('/dev/tty', 'r+').catch(() => undefined)
  if (!terminal) return undefined
  const lines = createInterface({ input: new ReadStream(terminal.fd), output: new WriteStream(terminal.fd) })
  try {
    return await lines.question('Password:')
  } finally {
    lines.close()
    await terminal.close().catch(() => {})
  }
}

/** Whether sudo lets this call pass; says why not. */
async function admitted(box: Box, call: Call): Promise<boolean> {
  const { sudo, user } = box.mac
  const remembered = sudo.cachedUntil !== undefined && sudo.cachedUntil > Date.now()
  if (sudo.mode === 'allowed' || (remembered && sudo.mode === 'password')) return true
  if (call.flags.includes('n')) return complain('sudo: a password is required') === 0
  const given = await askPassword(call)
  if (given === undefined) {
    complain(
      'sudo: a terminal is required to read the password; either use the -S option to read from standard input or configure an askpass helper',
    )
    return complain('sudo: a password is required') === 0
  }
  if (given !== sudo.password) return complain('Sorry, try again.\nsudo: 1 incorrect password attempt') === 0
  if (sudo.mode === 'not-admin')
    return complain(`${user} is not in the sudoers file.\nThis incident has been reported to the administrator.`) === 0
  box.save((mac) => {
    mac.sudo.cachedUntil = Date.now() + REMEMBERED_MS
  })
  return true
}

function asRoot(box: Box, { user, command: [command = '', ...args] }: Call): Promise<number> {
  const { SUDO_UID: _uid, ...env } = process.env
  if (user === box.mac.user) return become(command, args, env)
  return become(command, args, { ...env, SUDO_UID: String(box.mac.uid), SUDO_USER: box.mac.user })
}

/** sudo by the knobs of mac.json: free, by password, or refused. What it ran is noted in sudo.log. */
export async function main(argv: string[], box: Box): Promise<number> {
  const call = parse(argv)
  appendFileSync(join(box.dir, 'sudo.log'), `${argv.join(' ')}\n`)
  if (/[kK]/.test(call.flags) && call.command.length === 0) {
    box.save((mac) => void delete mac.sudo.cachedUntil)
    return 0
  }
  if (!(await admitted(box, call))) return 1
  if (call.command.length > 0) return asRoot(box, call)
  return call.flags.includes('v') ? 0 : complain('usage: sudo -h | -K | -k | -V')
}

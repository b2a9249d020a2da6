import { createConnection, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Answer } from './answer.ts'

/** The little that a caller needs to know of a box: its folder. */
export interface BoxDir {
  dir: string
}

/** What the box asks of its launchd beside launchctl's calls. A reboot logs in again if there was a desktop, unless told. */
export type Control = { control: 'ping' | 'login' | 'logout' } | { control: 'reboot'; login?: boolean }

/** The daemon's socket. The kernel holds a socket's path to 107 bytes, so a box lives in a short folder. */
export function socketPath(box: BoxDir): string {
  return join(box.dir, 'run/launchd.sock')
}

/** Reads one line from a socket; undefined when it closes first or says more than 1 MB. */
export function readLine(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      text += chunk
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')))
      else if (text.length > 1_000_000) socket.destroy()
    })
    // It stays for good: a peer that leaves early must not be an uncaught error.
    socket.on('error', () => resolve(undefined))
    socket.once('close', () => resolve(undefined))
  })
}

function parseAnswer(line: string | undefined): Answer | undefined {
  if (line === undefined) return undefined
  const value: Partial<Answer> = JSON.parse(line)
  return { code: value.code ?? 1, stdout: value.stdout ?? '', stderr: value.stderr ?? '' }
}

/** Asks the daemon of a box; undefined when there is none to answer. */
export async function ask(box: BoxDir, request: object): Promise<Answer | undefined> {
  const socket = createConnection(socketPath(box))
  const line = readLine(socket)
  socket.write(`${JSON.stringify(request)}\n`)
  const said = parseAnswer(await line)
  socket.destroy()
  return said
}

/** Logs in, logs out or reboots the Mac of a box; resolves when it is done. Throws when its launchd does not run. */
export async function control(box: BoxDir, request: Control): Promise<void> {
  const said = await ask(box, request)
  if (said?.code !== 0) throw new Error(`launchd of ${box.dir}: ${said?.stderr ?? 'no answer'}`)
}

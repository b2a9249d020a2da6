import { connect, type Socket } from 'node:net'

/** What the test process asks of a dialer, and what it gets with the open socket. */
export interface Dial {
  id: number
  host: string
  port: number
  /** the address to come from, where the machine has several */
  from?: string
}

export interface Dialed {
  id: number
  error?: { code?: string; message: string }
}

function answer(said: Dialed, socket?: Socket): void {
  process.send?.(said, socket, { keepOpen: false }, (error) => {
    if (error) process.exit(1)
  })
}

/** Connects in this process's network and hands the open socket itself over: half-close and reset stay what they are. */
function dial({ id, host, port, from }: Dial): void {
  const socket = connect({ host, port, localAddress: from, allowHalfOpen: true, noDelay: true })
  // Not a byte may be read here: it would be missing there.
  socket.pause()
  socket.once('error', ({ code, message }: NodeJS.ErrnoException) => answer({ id, error: { code, message } }))
  socket.once('connect', () => answer({ id }, socket))
}

/** Serves the process that started it until that one lets go. */
export function main(): Promise<number> {
  process.on('message', (request) => dial(request as Dial))
  return new Promise((resolve) => process.once('disconnect', () => resolve(0)))
}

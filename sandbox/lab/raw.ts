import { connect, type Socket } from 'node:net'
import { type ConnectionOptions, connect as shakeHands, type TLSSocket } from 'node:tls'
import { type Reply, repliesIn } from '../../lib/host/wire.ts'

export type { Reply }

/** How a connection ended: closed by the gateway, reset, or still open. */
export type End = 'closed' | 'reset' | 'open'

export interface Client {
  socket: Socket
  send(bytes: string | Buffer): void
  /** what came so far, exactly */
  bytes(): Buffer
  /** pieces as they came, by performance.now() */
  pieces: { at: number; text: string }[]
  /** final answers so far; interim ones (1xx) are left out */
  replies(): Reply[]
  /** waits until there are so many whole answers, or the connection ended, or the time (ms, 20 s unless told) is over */
  settled(count?: number, withinMs?: number): Promise<Reply[]>
  /** waits until the bytes hold this text; false when the connection ended or the time is over */
  sees(text: string, withinMs?: number): Promise<boolean>
  /** waits for the end of the connection */
  ended(withinMs?: number): Promise<End>
  end(): End
  hangUp(): void
}

export interface Where {
  address: string
  port: number
  /** the address to come from */
  from?: string
  /** what is sent before anything else, a handshake included */
  first?: string | Buffer
  /** how it speaks TLS, if it does; certificates are for the caller to judge */
  tls?: ConnectionOptions
}

/** Waits for a condition that changes with the socket's events. */
function when(socket: Socket, holds: () => boolean, withinMs: number): Promise<boolean> {
  if (holds() || socket.destroyed) return Promise.resolve(holds())
  return new Promise((resolve) => {
    const done = (value: boolean) => {
      clearTimeout(timer)
      socket.off('data', look).off('close', look)
      resolve(value)
    }
    const look = () => (holds() ? done(true) : socket.destroyed && done(false))
    const timer = setTimeout(() => done(false), withinMs)
    socket.on('data', look).on('close', look)
  })
}

const overTls = (socket: Socket, options: ConnectionOptions): TLSSocket =>
  shakeHands({ rejectUnauthorized: false, ...options, socket })

/** Opens a connection. `heads` says which of the requests are HEAD, in order. */
export async function dial({ address, port, from, first, tls }: Where, heads: boolean[] = []): Promise<Client> {
  const where = { host: address, port, localAddress: from, noDelay: true, allowHalfOpen: true }
  const plain = connect(where)
  if (first !== undefined) plain.write(first)
  const socket = tls ? overTls(plain, tls) : plain
  const got: Buffer[] = []
  const pieces: Client['pieces'] = []
  let state: End = 'open'
  socket.on('data', (data) => {
    got.push(data)
    pieces.push({ at: performance.now(), text: data.toString('latin1') })
  })
  socket.on('error', () => {
    state = 'reset'
  })
  // The other side is done: nothing more will come, and a close is what a real client would answer.
  socket.on('end', () => {
    if (state === 'open') state = 'closed'
    socket.destroy()
  })
  const stands = tls ? 'secureConnect' : 'connect'
  await new Promise<void>((resolve) => socket.once(stands, resolve).once('close', () => resolve()))
  const bytes = () => Buffer.concat(got)
  const replies = () => repliesIn(bytes(), heads, state !== 'open')
  const wholeReplies = () => replies().filter((reply) => reply.whole).length
  return {
    ...{ socket, pieces, bytes, replies, end: () => state },
    send: (data) =>
      void (socket.writable && socket.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data)),
    async settled(count = 1, withinMs = 20_000) {
      await when(socket, () => wholeReplies() >= count, withinMs)
      return replies()
    },
    sees: (text, withinMs = 20_000) => when(socket, () => bytes().includes(text), withinMs),
    async ended(withinMs = 20_000) {
      if (!socket.destroyed) await when(socket, () => socket.destroyed, withinMs)
      return state
    },
    hangUp: () => void socket.destroy(),
  }
}

export interface Exchange {
  status: number
  statuses: number[]
  headers: Record<string, string>
  body: string
  end: End
  /** from the first byte sent to the last byte taken */
  ms: number
  replies: Reply[]
}

/** Sends bytes over a connection of its own and waits for so many answers (one unless told) or for the end. */
export async function exchange(
  where: Where,
  bytes: string | Buffer,
  answers = 1,
  withinMs = 20_000,
): Promise<Exchange> {
  const text = typeof bytes === 'string' ? bytes : bytes.toString('latin1', 0, 5)
  const client = await dial(where, [text.startsWith('HEAD ')])
  const started = performance.now()
  client.send(bytes)
  const replies = await client.settled(answers, withinMs)
  const end = client.end()
  client.hangUp()
  const [first] = replies
  return {
    status: first?.status ?? 0,
    statuses: replies.map((reply) => reply.status),
    headers: Object.fromEntries(first?.head.headers ?? []),
    body: first?.body ?? '',
    ms: performance.now() - started,
    ...{ end, replies },
  }
}

/** A request's bytes: line, headers as given, and the length of the body if there is one. */
export function request(line: string, headers: string[], body?: string | Buffer): Buffer {
  const length = body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]
  const head = `${[line, ...headers, ...length].join('\r\n')}\r\n\r\n`
  return Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(body ?? '')])
}

import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { type Framing, framingOf, type Head, takeBody, takeHead, valuesOf } from '../../lib/host/wire.ts'

/** One request as the engine got it, byte for byte. */
export interface Received {
  head: Head
  method: string
  target: string
  body: Buffer
  framing: Framing
  trailers: string[]
  /** when its head was there, by performance.now() */
  at: number
  /** bytes that were no request, with the reason in the head's line */
  broken: boolean
}

/** The engine's side of a connection, for whoever answers. */
export interface Answering {
  send(text: string): void
  /** one piece of a chunked body */
  chunk(text: string): void
  /** the final chunk */
  end(): void
  /** closes without a further byte */
  die(): void
  reset(): void
  /** settles when the gateway has closed the connection, with performance.now() */
  closed: Promise<number>
}

export type Answer = (wire: Answering, request: Received) => void | Promise<void>

/** A recording engine on 127.0.0.1: keeps what reaches it and answers as told. */
export interface Recorder {
  port: number
  /** everything but HAProxy's own health checks */
  received: Received[]
  /** health checks seen */
  checks: number
  answer: Answer
  /** stops listening and cuts what is open: the engine is down */
  stop(): Promise<void>
  /** listens again on the same port */
  start(): Promise<void>
}

const open = (type: string): string =>
  `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\nX-Engine: recorder\r\n\r\n`

/** A whole JSON answer. */
export const json =
  (body = '{"ok":true}', status = '200 OK'): Answer =>
  (wire) =>
    wire.send(`HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`)

/** Bytes as they are, without regard to HTTP. */
export const bytes =
  (text: string): Answer =>
  (wire) =>
    wire.send(text)

/** Takes the request and says nothing. */
export const silent: Answer = () => {}

export interface Stream {
  count: number
  /** ms between two events */
  gap: number
  /** events after which the engine dies, by FIN or by RST */
  breakAfter?: number
  by?: 'fin' | 'rst'
  /** ms of silence before the first byte */
  before?: number
  type?: string
}

/** Events in chunks of their own; each says when it was written (ms, performance.now() of this process). */
export function events({ count, gap, breakAfter, by = 'fin', before = 0, type = 'text/event-stream' }: Stream): Answer {
  return async (wire) => {
    let gone = false
    void wire.closed.then(() => {
      gone = true
    })
    if (before) await pause(before)
    wire.send(open(type))
    for (let index = 0; index < count && !gone; index += 1) {
      if (index === breakAfter) return by === 'rst' ? wire.reset() : wire.die()
      const text = JSON.stringify({ index, at: performance.now(), text: 'x'.repeat(80) })
      wire.chunk(type === 'text/event-stream' ? `data: ${text}\n\n` : `${text}\n`)
      await pause(gap)
    }
    if (!gone) wire.end()
  }
}

function answering(socket: Socket): Answering {
  // not `once`: that would fail with the socket's error
  const closed = new Promise<number>((resolve) => socket.on('close', () => resolve(performance.now())))
  return {
    closed,
    send: (text) => void socket.write(text, 'latin1'),
    chunk: (text) => void socket.write(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`),
    end: () => void socket.write('0\r\n\r\n'),
    die: () => void socket.end(),
    reset: () => void socket.resetAndDestroy(),
  }
}

/** HAProxy's check names no client; whoever asks for the version in a test does. */
const isCheck = (request: Received): boolean =>
  request.method === 'GET' && request.target === '/api/version' && valuesOf(request.head, 'user-agent').length === 0

function requestOf(head: Head): Received {
  const [method = '', target = ''] = head.line.split(' ')
  const framing = framingOf(head, 'none')
  return { head, method, target, framing, body: Buffer.alloc(0), trailers: [], at: performance.now(), broken: false }
}

function broken(why: string, text: string): Received {
  return { ...requestOf({ line: why, headers: [], text }), broken: true }
}

/** Reads one connection; `arrived` hears of each request at its head's end, `whole` when its body is there too. */
function read(socket: Socket, arrived: (request: Received) => void, whole: (request: Received) => void): void {
  let left: Buffer = Buffer.alloc(0)
  let current: Received | undefined
  const step = (): boolean => {
    if (!current) {
      const taken = takeHead(left)
      if (!taken) return false
      current = requestOf(taken.head)
      left = taken.rest
      arrived(current)
    }
    const taken = takeBody(current.head, current.framing, left)
    current.body = Buffer.from(taken.body)
    if (!taken.done) return false
    current.trailers = taken.trailers
    left = taken.rest
    const done = current
    current = undefined
    whole(done)
    return left.length > 0
  }
  let pieces: Buffer[] = []
  const lacking = () => (current?.framing === 'length' ? Number(valuesOf(current.head, 'content-length')[0]) : 0)
  socket.on('data', (data) => {
    pieces.push(data)
    // Not joined at every piece: that would take minutes for a body of 31 MB.
    if (pieces.reduce((sum, piece) => sum + piece.length, left.length) < lacking()) return
    left = Buffer.concat([left, ...pieces])
    pieces = []
    try {
      while (step());
    } catch (error) {
      arrived(broken(`${error}`, left.toString('latin1').slice(0, 200)))
      socket.destroy()
    }
  })
  socket.on('end', () => {
    if (!current && left.length > 0) arrived(broken('bytes that are no request', left.toString('latin1').slice(0, 200)))
    socket.end()
  })
}

/** Starts a recorder on a free port of 127.0.0.1, or on this one; `backlog` connections may wait to be accepted. */
export async function startRecorder(
  answer: Answer = json(),
  { port = 0, backlog = 511 }: { port?: number; backlog?: number } = {},
): Promise<Recorder> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => {})
    const wire = answering(socket)
    const arrived = (request: Received) => void (isCheck(request) || recorder.received.push(request))
    read(socket, arrived, (request) => {
      if (!isCheck(request)) return void recorder.answer(wire, request)
      recorder.checks += 1
      void json('{"version":"0.24.0"}')(wire, request)
    })
  })
  const listen = async (at: number) => {
    server.listen(at, '127.0.0.1', backlog)
    await once(server, 'listening')
  }
  await listen(port)
  const recorder: Recorder = {
    port: (server.address() as AddressInfo).port,
    received: [],
    checks: 0,
    answer,
    async stop() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
    start: async () => void (server.listening || (await listen(recorder.port))),
  }
  return recorder
}

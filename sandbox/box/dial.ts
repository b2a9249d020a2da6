import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type ClientRequestArgs, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import type { Dial, Dialed } from './dialer.ts'

/** Opens connections from one machine of a box. */
export interface Dialer {
  dial(host: string, port: number, from?: string): Promise<Socket>
  /** false after the box's restart, which ends it */
  alive(): boolean
  close(): void
}

type Waiting = Map<number, { resolve(socket: Socket): void; reject(error: Error): void }>

function received(waiting: Waiting, said: Dialed, socket: Socket | undefined): void {
  const asked = waiting.get(said.id)
  waiting.delete(said.id)
  if (socket && !said.error) {
    socket.allowHalfOpen = true
    // A reset that comes before the caller listens is told by `destroyed` and `errored`.
    socket.on('error', () => {})
    asked?.resolve(socket)
  } else asked?.reject(Object.assign(new Error(said.error?.message ?? 'no socket came'), { code: said.error?.code }))
}

/** Starts a dialer by this command line, which enters the machine's network. */
export function startDialer(argv: string[], env: Record<string, string>): Dialer {
  const [file = '', ...args] = argv
  const child: ChildProcess = spawn(file, args, { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const waiting: Waiting = new Map()
  let next = 1
  child.on('message', (said, socket) => received(waiting, said as Dialed, socket as Socket | undefined))
  child.once('error', (error) => fail(waiting, error))
  child.once('exit', () => fail(waiting, new Error('the dialer ended')))
  child.unref()
  child.channel?.unref()
  return {
    dial(host, port, from) {
      const ask: Dial = { id: next, host, port, from }
      next += 1
      return new Promise((resolve, reject) => {
        waiting.set(ask.id, { resolve, reject })
        child.channel?.ref()
        child.send(ask, (error) => error && reject(error))
      }).finally(() => waiting.size === 0 && child.channel?.unref()) as Promise<Socket>
    },
    alive: () => child.connected,
    close: () => child.connected && child.disconnect(),
  }
}

function fail(waiting: Waiting, error: Error): void {
  for (const { reject } of waiting.values()) reject(error)
  waiting.clear()
}

/** A request through a dialed socket. */
export interface HttpOptions {
  method?: string
  path?: string
  headers?: Record<string, string>
  body?: string
  /** ms until the answer is complete; 30 s unless told */
  timeoutMs?: number
}

export interface HttpAnswer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

/** One HTTP/1.1 request over an open socket, which is closed after it. */
export async function httpOver(socket: Socket, host: string, port: number, options: HttpOptions): Promise<HttpAnswer> {
  const { method = 'GET', path = '/', headers = {}, body, timeoutMs = 30_000 } = options
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  const ask: ClientRequestArgs = { host, port, method, path, headers: { ...length, ...headers } }
  const sent = request({ ...ask, createConnection: () => socket, signal: AbortSignal.timeout(timeoutMs) })
  sent.end(body)
  try {
    const [answer]: IncomingMessage[] = await once(sent, 'response')
    if (!answer) throw new Error('no answer')
    let text = ''
    for await (const piece of answer.setEncoding('utf8')) text += piece
    return { status: answer.statusCode ?? 0, headers: answer.headers, body: text }
  } finally {
    socket.destroy()
  }
}

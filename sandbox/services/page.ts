import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'

/** A request as the page got it. */
export interface Visit {
  method: string
  target: string
  headers: IncomingHttpHeaders
  bytes: number
}

/** A page in the place of a real one: tells its name, keeps what reaches it, and echoes on a WebSocket. */
export interface Page {
  name: string
  port: number
  /** everything but health checks */
  visits: Visit[]
  stop(): Promise<void>
  start(): Promise<void>
}

/** RFC 6455 §4.2.2. */
const accepted = (key: string): string =>
  createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')

/** A text frame of up to 125 bytes from a server (RFC 6455 §5.2). */
const frame = (text: string): Buffer => Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text)])

/** The same from a client, under a mask of zeros. */
export const masked = (text: string): Buffer =>
  Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)])

/** What stands in such a frame, with the mask taken off. */
function textOf(data: Buffer): string {
  const [mask, text] = [data.subarray(2, 6), data.subarray(6, 6 + ((data[1] ?? 0) & 0x7f))]
  return Buffer.from(text.map((byte, at) => byte ^ (mask[at % 4] ?? 0))).toString()
}

function echo(socket: Duplex, { headers }: IncomingMessage): void {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accepted(headers['sec-websocket-key'] ?? '')}\r\n\r\n`,
  )
  const closing = Buffer.from([0x88, 0])
  socket.on('data', (data: Buffer) => {
    if (data[0] === closing[0]) socket.end(closing)
    else socket.write(frame(textOf(data)))
  })
  socket.on('end', () => socket.end())
  socket.on('error', () => {})
}

/** Starts it on a free port of 127.0.0.1. Requests to `health` are checks, and none that is kept. */
export async function startPage(name: string, health = '/health'): Promise<Page> {
  const open = new Set<Duplex>()
  const server = createServer(async (request, response) => {
    let bytes = 0
    for await (const piece of request) bytes += (piece as Buffer).length
    if (request.url !== health) keep(request, bytes)
    response.setHeader('content-type', 'text/html')
    // What is in front of a page says it first, and lets a second one of the page's own through (oauth2-proxy 7.15).
    response.setHeader('x-auth-request-email', ['Ann@Example.com', 'of-the-page@example.com'])
    response.end(`<!doctype html><title>${name}</title><p>This is ${name}.`)
  })
  const keep = ({ method = '', url: target = '', headers }: IncomingMessage, bytes: number) =>
    void page.visits.push({ method, target, headers, bytes })
  server.on('upgrade', (request, socket) => {
    keep(request, 0)
    echo(socket, request)
  })
  server.on('connection', (socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
  })
  const listen = async (port: number) => void (await once(server.listen(port, '127.0.0.1'), 'listening'))
  await listen(0)
  const page: Page = {
    ...{ name, port: (server.address() as AddressInfo).port, visits: [] },
    start: () => listen(page.port),
    async stop() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
  return page
}

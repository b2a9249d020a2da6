import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { goJson } from './gojson.ts'
import { hasToken, header, type Request } from './request.ts'

/** An answer as Go's server frames it: up to 2,048 bytes with a length, longer or flushed ones in chunks. */
export class Reply {
  status = 200
  /** The head is on the wire. */
  started = false
  closes: boolean
  /** Nothing more may be written: the connection was given up on purpose. */
  dead = false
  private headers: [string, string][] = []
  private parts: Buffer[] = []
  private chunked = false
  private readonly request: Request
  private readonly socket: Socket

  constructor(socket: Socket, request: Request) {
    this.socket = socket
    this.request = request
    const connection = header(request, 'connection')
    this.closes =
      hasToken(connection, 'close') || (request.version === 'HTTP/1.0' && !hasToken(connection, 'keep-alive'))
  }

  set(name: string, value: string): void {
    this.headers = this.headers.filter(([key]) => key !== name)
    this.headers.push([name, value])
  }

  add(name: string, value: string): void {
    this.headers.push([name, value])
  }

  has(name: string): boolean {
    return this.headers.some(([key]) => key === name)
  }

  /** Something was written that is not on the wire yet. */
  get pending(): boolean {
    return this.parts.length > 0
  }

  /** Cuts the connection without an end of the body. */
  cut(): void {
    this.dead = true
    this.socket.destroy()
  }

  write(part: string | Buffer): void {
    this.parts.push(Buffer.from(part))
  }

  /** gin's `c.JSON`: no newline, charset named. */
  json(status: number, value: unknown): void {
    this.status = status
    if (!this.has('Content-Type')) this.set('Content-Type', 'application/json; charset=utf-8')
    this.write(goJson(value))
  }

  /** Go's `json.NewEncoder`: a newline at the end, no charset. */
  encode(status: number, value: unknown): void {
    this.status = status
    this.set('Content-Type', 'application/json')
    this.write(`${goJson(value)}\n`)
  }

  text(status: number, type: string, body: string): void {
    this.status = status
    this.set('Content-Type', type)
    this.write(body)
  }

  /** Sends what was written as one chunk; waits while the client does not read. */
  async flush(): Promise<void> {
    const body = Buffer.concat(this.parts)
    this.parts = []
    if (this.dead || this.socket.destroyed) return
    if (!this.started) this.startChunked()
    if (body.length > 0 && this.request.method !== 'HEAD') {
      const head = this.chunked ? `${body.length.toString(16)}\r\n` : ''
      this.socket.write(Buffer.concat([Buffer.from(head), body, Buffer.from(this.chunked ? '\r\n' : '')]))
    }
    await this.drained()
  }

  /** The end of the answer. */
  async end(): Promise<void> {
    if (this.dead || this.socket.destroyed) return
    if (!this.started && this.size() <= 2048) return this.endShort()
    await this.flush()
    if (this.chunked && this.request.method !== 'HEAD') this.socket.write('0\r\n\r\n')
  }

  private size(): number {
    return this.parts.reduce((sum, part) => sum + part.length, 0)
  }

  private endShort(): void {
    const body = Buffer.concat(this.parts)
    const bare = this.status === 204 || this.status === 304 || (this.request.method === 'HEAD' && body.length === 0)
    const length = bare ? '' : `Content-Length: ${body.length}\r\n`
    const alive = this.request.version === 'HTTP/1.0' && !this.closes ? 'Connection: keep-alive\r\n' : ''
    this.writeHead(length, alive, '', this.request.method === 'HEAD' || bare ? undefined : body)
  }

  private startChunked(): void {
    this.chunked = this.request.version !== 'HTTP/1.0'
    if (!this.chunked) this.closes = true
    const silent = this.request.method === 'HEAD'
    this.writeHead('', '', this.chunked && !silent ? 'Transfer-Encoding: chunked\r\n' : '')
  }

  private writeHead(length: string, alive: string, coding: string, body?: Buffer): void {
    this.started = true
    const rows = this.headers.filter(([key]) => !(this.closes && key === 'Connection'))
    const order = rows
      .map((row, at) => ({ row, at }))
      .sort((a, b) => (a.row[0] < b.row[0] ? -1 : a.row[0] > b.row[0] ? 1 : a.at - b.at))
    const lines = order.map(({ row }) => `${row[0]}: ${row[1]}\r\n`).join('')
    const close = this.closes && this.request.version === 'HTTP/1.1' ? 'Connection: close\r\n' : ''
    const first = `${this.request.version} ${this.status} ${STATUS_CODES[this.status] ?? `status code ${this.status}`}\r\n`
    const head = Buffer.from(
      `${first}${lines}Date: ${new Date().toUTCString()}\r\n${length}${close || alive}${coding}\r\n`,
    )
    this.socket.write(body ? Buffer.concat([head, body]) : head)
  }

  private async drained(): Promise<void> {
    if (this.socket.destroyed || this.socket.writableLength < 262_144) return
    await new Promise<void>((resolve) => {
      this.socket.once('drain', resolve)
      this.socket.once('close', () => resolve())
    })
  }
}

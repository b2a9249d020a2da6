import { createServer, type Server as NetServer, type Socket } from 'node:net'
import { cors, hostKind } from './access.ts'
import type { Server, Turn } from './context.ts'
import { ApiError, HungUp, Leaked } from './errors.ts'
import { readFaults } from './faults.ts'
import { Inbox } from './inbox.ts'
import { ginLine, Journal } from './journal.ts'
import { refuse } from './refuse.ts'
import { Reply } from './reply.ts'
import { BadRequest, Body, locate, parseHead, type Request, readHead } from './request.ts'
import { cleanPath, matchRoute, type Route } from './routes.ts'

let requests = 0

const redirect = (reply: Reply, request: Request, status: 301 | 307, path: string): void => {
  const place = request.query ? `${path}?${request.query}` : path
  const text = status === 301 ? 'Moved Permanently' : 'Temporary Redirect'
  reply.set('Location', place)
  reply.status = status
  if (request.method !== 'GET' && request.method !== 'HEAD') return
  reply.set('Content-Type', 'text/html; charset=utf-8')
  reply.write(`<a href="${place}">${text}</a>.\n\n`)
}

/** A path that only differs by a slash at its end from one that has this method. */
const trailing = (routes: Route[], method: string, path: string): string | undefined => {
  const other = path.endsWith('/') ? path.slice(0, -1) : `${path}/`
  return path !== '/' && matchRoute(routes, method, other).route ? other : undefined
}

/** Routing in Ollama's order: path, CORS, Host, route or method. Handlers throw ApiError for their refusals. */
const answer = async (
  server: Server,
  routes: Route[],
  request: Request,
  reply: Reply,
  open: boolean,
): Promise<void> => {
  const clean = cleanPath(request.escapedPath)
  if (request.method !== 'CONNECT' && clean !== request.escapedPath) return redirect(reply, request, 307, clean)
  const match = matchRoute(routes, request.method, request.path)
  const slash = match.route || match.allowed.length > 0 ? undefined : trailing(routes, request.method, request.path)
  if (slash) return redirect(reply, request, request.method === 'GET' ? 301 : 307, slash)
  if (!match.route && match.allowed.length > 0) reply.set('Allow', match.allowed.join(', '))
  if (cors(request, reply, server.settings.origins)) return
  const kind = open ? 'address' : hostKind(request.host)
  if (kind === 'refused') reply.status = 403
  else if (kind === 'name' && request.method === 'OPTIONS') reply.status = 204
  else if (match.route) await handle({ server, request, reply, param: match.param }, match.route)
  else if (match.allowed.length > 0) reply.text(405, 'text/plain', '405 method not allowed')
  else reply.text(404, 'text/plain', '404 page not found')
}

const handle = async (turn: Turn, route: Route): Promise<void> => {
  try {
    await route.handler(turn)
  } catch (error) {
    if (error instanceof HungUp) {
      turn.reply.closes = true
      return refuse.native(turn, new ApiError(500, error.message))
    }
    if (!(error instanceof ApiError)) throw error
    refuse.native(turn, error)
  }
}

/** Connections of one server: what is open, what is written down, and the loop of requests on each. */
export class Connections {
  private readonly open = new Set<Socket>()
  private readonly server: Server
  private readonly routes: Route[]
  private readonly journal: Journal
  private readonly unchecked: boolean

  /** `unchecked`: bound beyond loopback, so Ollama leaves the Host check out. */
  constructor(server: Server, routes: Route[], unchecked: boolean) {
    this.server = server
    this.routes = routes
    this.unchecked = unchecked
    this.journal = new Journal(server.box)
  }

  listen(): NetServer {
    return createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.open.add(socket)
      socket.on('close', () => this.open.delete(socket))
      socket.on('error', () => socket.destroy())
      void this.serve(socket)
    })
  }

  /** Ollama's stop: every connection is cut, in the middle of an answer too. */
  cutAll(): void {
    for (const socket of this.open) socket.destroy()
  }

  private async serve(socket: Socket): Promise<void> {
    const inbox = new Inbox(socket)
    try {
      while (await this.one(socket, inbox));
    } catch (error) {
      if (error instanceof Leaked) return
      if (error instanceof BadRequest) return this.refuse(socket, error)
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
      socket.destroy()
      return
    }
    socket.end()
  }

  private refuse(socket: Socket, { raw, status }: BadRequest): void {
    this.journal.refused(raw, status)
    const body = status.startsWith('501') ? 'Unsupported transfer encoding' : status
    socket.end(`HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${body}`)
  }

  /** One request and its answer; true when the connection goes on. */
  private async one(socket: Socket, inbox: Inbox): Promise<boolean> {
    const raw = await readHead(inbox)
    if (!raw) return false
    const hangUp = new AbortController()
    const request = this.makeRequest(raw, inbox, hangUp.signal)
    request.body.whenComplete = () => this.journal.request(request)
    if (request.body.complete) this.journal.request(request)
    const stop = inbox.onOver(() => {
      hangUp.abort()
      this.journal.request(request)
      this.journal.hungUp(request)
    })
    const began = process.hrtime.bigint()
    const reply = new Reply(socket, request)
    await this.reply(request, reply)
    if (!request.body.complete && !(await request.body.drain())) reply.closes = true
    this.journal.request(request)
    await reply.end()
    stop()
    const ms = Number(process.hrtime.bigint() - began) / 1e6
    this.journal.answered(request, reply.status, ms)
    process.stderr.write(ginLine(request, reply.status, ms))
    return !reply.closes && !socket.destroyed && !(inbox.over && inbox.length === 0)
  }

  private async reply(request: Request, reply: Reply): Promise<void> {
    const forced = readFaults(this.server.box).status
    if (forced === undefined) return answer(this.server, this.routes, request, reply, this.unchecked)
    reply.status = forced
  }

  private makeRequest(raw: Buffer, inbox: Inbox, signal: AbortSignal): Request {
    const address = (inbox.socket.remoteAddress ?? '').replace(/^::ffff:/, '')
    try {
      const head = parseHead(raw)
      return { ...head, ...locate(head), id: ++requests, at: new Date(), body: new Body(inbox, head), signal, address }
    } catch (error) {
      if (error instanceof BadRequest) error.raw = raw
      throw error
    }
  }
}

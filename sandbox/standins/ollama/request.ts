import { createHash } from 'node:crypto'
import type { Inbox } from './inbox.ts'

/** A request head as it came: nothing is merged, lowered or dropped. */
export interface Head {
  raw: Buffer
  method: string
  target: string
  version: string
  headers: [string, string][]
}

export interface Request extends Head {
  id: number
  at: Date
  /** Host as Go sees it: of the absolute-form target if there is one, else of the header. */
  host: string
  /** Path with its escapes, without the query. */
  escapedPath: string
  path: string
  query: string
  body: Body
  /** Aborted when the client hangs up or shuts its sending side. */
  signal: AbortSignal
  address: string
}

/** An answer that Go's server gives before any handler, text in the status line included. */
export class BadRequest extends Error {
  readonly status: string
  /** The head that was refused, as it came. */
  raw: Buffer = Buffer.alloc(0)
  constructor(status: string) {
    super(status)
    this.status = status
  }
}

const MAX_HEAD = 1_048_576 + 4096

/** Reads the bytes of one request head; undefined when the connection ends before its end. */
export const readHead = async (inbox: Inbox): Promise<Buffer | undefined> => {
  let scanned = 0
  for (;;) {
    const bytes = inbox.bytes()
    const end = /\r?\n\r?\n/.exec(bytes.toString('latin1', Math.max(0, scanned - 3)))
    const length = end ? Math.max(0, scanned - 3) + end.index + end[0].length : bytes.length
    if (length > MAX_HEAD) throw new BadRequest('431 Request Header Fields Too Large')
    if (end) return inbox.take(length)
    scanned = bytes.length
    if (!(await inbox.more())) return undefined
  }
}

/** A head in its parts, nothing changed. */
export const parseHead = (raw: Buffer): Head => {
  const [first = '', ...lines] = raw
    .toString('latin1')
    .replace(/\r?\n\r?\n$/, '')
    .split(/\r?\n/)
  const match = /^([^ ]+) ([^ ]+) (HTTP\/(\d)\.(\d))$/.exec(first)
  if (!match) throw new BadRequest('400 Bad Request')
  const [, method = '', target = '', version = '', major = ''] = match
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(method)) throw new BadRequest('400 Bad Request')
  if (major !== '1') throw new BadRequest('505 HTTP Version Not Supported: unsupported protocol version')
  return { raw, method, target, version, headers: lines.map(parseHeader) }
}

const parseHeader = (line: string): [string, string] => {
  const colon = line.indexOf(':')
  const name = line.slice(0, colon)
  if (colon < 1 || !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) throw new BadRequest('400 Bad Request')
  return [name, line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')]
}

export const allHeaders = (head: Head, name: string): string[] =>
  head.headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value)
export const header = (head: Head, name: string): string => allHeaders(head, name)[0] ?? ''
export const hasToken = (value: string, token: string): boolean =>
  value.split(',').some((part) => part.trim().toLowerCase() === token)

/** Where a request goes: host, path and query, after Go's own checks of Host. */
export const locate = (head: Head): { host: string; escapedPath: string; path: string; query: string } => {
  const hosts = allHeaders(head, 'host')
  if (hosts.length === 0 && head.version === 'HTTP/1.1')
    throw new BadRequest('400 Bad Request: missing required Host header')
  if (hosts.length > 1) throw new BadRequest('400 Bad Request: too many Host headers')
  if (!/^[A-Za-z0-9!$%&'()*+,\-.:;=[\]_~]*$/.test(hosts[0] ?? '')) {
    throw new BadRequest('400 Bad Request: malformed Host header')
  }
  const absolute = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)(.*)$/i.exec(head.target)
  const rest = absolute ? absolute[2] || '/' : head.target
  const [escapedPath = '', ...query] = rest.split('?')
  return {
    host: absolute?.[1] || (hosts[0] ?? ''),
    escapedPath,
    path: unescapePath(escapedPath),
    query: query.join('?'),
  }
}

const unescapePath = (escaped: string): string => {
  if (/%(?![0-9a-fA-F]{2})/.test(escaped)) throw new BadRequest('400 Bad Request')
  return Buffer.from(
    escaped.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString('utf8')
}

/** How the body is framed. A chunked body beats a length, as in Go; two different lengths are refused. */
export const framing = (head: Head): { kind: 'none' | 'chunked' } | { kind: 'length'; length: number } => {
  const codings = allHeaders(head, 'transfer-encoding')
  if (codings.length > 0 && head.version === 'HTTP/1.1') {
    if (codings.length > 1 || codings[0]?.toLowerCase() !== 'chunked') throw new BadRequest('501 Not Implemented')
    return { kind: 'chunked' }
  }
  const lengths = [...new Set(allHeaders(head, 'content-length').map((value) => value.trim()))]
  if (lengths.length > 1 || (lengths.length === 1 && !/^\d+$/.test(lengths[0] ?? '')))
    throw new BadRequest('400 Bad Request')
  return lengths.length === 0 ? { kind: 'none' } : { kind: 'length', length: Number(lengths[0]) }
}

/** A request body: read once, counted and hashed on the way, its trailers kept as raw lines. */
export class Body {
  readonly inbox: Inbox
  readonly frame: ReturnType<typeof framing>
  readonly trailers: string[] = []
  /** Everything that belongs to the body was read. */
  complete: boolean
  broken = false
  bytes = 0
  /** Called once when the last byte of the body was read. */
  whenComplete: (() => void) | undefined
  private readonly hash = createHash('sha256')
  private before: (() => void) | undefined

  constructor(inbox: Inbox, head: Head) {
    this.inbox = inbox
    this.frame = framing(head)
    this.complete = this.frame.kind === 'none' || (this.frame.kind === 'length' && this.frame.length === 0)
    const asks = header(head, 'expect').toLowerCase() === '100-continue' && head.version === 'HTTP/1.1'
    this.before = asks && !this.complete ? () => inbox.socket.write('HTTP/1.1 100 Continue\r\n\r\n') : undefined
  }

  get sha256(): string {
    return this.hash.copy().digest('hex')
  }

  /** The rest of the body, at most about this many bytes (used to drain before an early answer). */
  async read(limit = Number.POSITIVE_INFINITY): Promise<Buffer> {
    if (this.complete || this.broken) return Buffer.alloc(0)
    this.before?.()
    this.before = undefined
    const out = this.frame.kind === 'chunked' ? await this.readChunks(limit) : await this.readLength(limit)
    if (this.complete) this.whenComplete?.()
    else if (this.inbox.over) this.broken = true
    return out
  }

  /** Whether an unread rest would be too long to skip (Go gives up after 256 KiB and closes). */
  async drain(): Promise<boolean> {
    if (this.before && this.bytes === 0 && !this.complete) return false
    await this.read(262_144)
    return this.complete
  }

  private count(part: Buffer): Buffer {
    this.bytes += part.length
    this.hash.update(part)
    return part
  }

  private async readLength(limit: number): Promise<Buffer> {
    const left = (this.frame.kind === 'length' ? this.frame.length : 0) - this.bytes
    const part = this.count(await this.inbox.exactly(Math.min(left, limit)))
    this.complete = part.length === left
    return part
  }

  private async readChunks(limit: number): Promise<Buffer> {
    const parts: Buffer[] = []
    for (let sum = 0; sum < limit; ) {
      const size = /^([0-9a-fA-F]+)[ \t]*(;.*)?\r?\n$/.exec((await this.inbox.line()) ?? '')
      if (!size) {
        this.broken = true
        break
      }
      const length = Number.parseInt(size[1] ?? '', 16)
      if (length === 0) {
        await this.readTrailers()
        break
      }
      const part = this.count(await this.inbox.exactly(length))
      parts.push(part)
      sum += part.length
      await this.inbox.line()
    }
    return Buffer.concat(parts)
  }

  private async readTrailers(): Promise<void> {
    for (;;) {
      const line = await this.inbox.line()
      if (line === undefined) return
      if (/^\r?\n$/.test(line)) break
      this.trailers.push(line.replace(/\r?\n$/, ''))
    }
    this.complete = true
  }
}

/** A message's head, as it was on the wire, and where its body begins. */
export interface Head {
  /** the first line, without its end */
  line: string
  /** in wire order, names in lower case, values without blanks around them */
  headers: [string, string][]
  /** the exact text, the empty line included (latin1) */
  text: string
}

/** How a body says where it ends. */
export type Framing = 'none' | 'length' | 'chunked' | 'close' | 'both'

/** Takes the head off the front of these bytes; undefined while it is not whole. */
export function takeHead(bytes: Buffer): { head: Head; rest: Buffer } | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const text = bytes.subarray(0, end + 4).toString('latin1')
  const [line = '', ...lines] = text.slice(0, -4).split('\r\n')
  const headers = lines.map((entry): [string, string] => {
    const colon = entry.indexOf(':')
    return [entry.slice(0, colon).toLowerCase(), entry.slice(colon + 1).trim()]
  })
  return { head: { line, headers, text }, rest: bytes.subarray(end + 4) }
}

/** The values of one header, in order. */
export const valuesOf = (head: Head, name: string): string[] =>
  head.headers.filter(([given]) => given === name).map(([, value]) => value)

/** How the body of this message is framed; `otherwise` where nothing is said. */
export function framingOf(head: Head, otherwise: 'none' | 'close'): Framing {
  const chunked = valuesOf(head, 'transfer-encoding').length > 0
  const lengths = valuesOf(head, 'content-length').length
  if ((chunked && lengths > 0) || lengths > 1) return 'both'
  if (chunked) return 'chunked'
  return lengths > 0 ? 'length' : otherwise
}

/** A body as far as it has come. */
export interface Taken {
  done: boolean
  body: Buffer
  /** what follows the body: the next message's bytes */
  rest: Buffer
  /** lines between the last chunk and the end */
  trailers: string[]
}

/** Takes a body off the front of these bytes. Throws where the chunks are not chunks. */
export function takeBody(head: Head, framing: Framing, bytes: Buffer): Taken {
  if (framing === 'none') return { done: true, body: Buffer.alloc(0), rest: bytes, trailers: [] }
  if (framing === 'close') return { done: false, body: bytes, rest: Buffer.alloc(0), trailers: [] }
  if (framing === 'chunked' || framing === 'both') return takeChunks(bytes)
  const length = Number(valuesOf(head, 'content-length')[0])
  const done = bytes.length >= length
  return { done, body: bytes.subarray(0, length), rest: done ? bytes.subarray(length) : Buffer.alloc(0), trailers: [] }
}

function takeChunks(bytes: Buffer): Taken {
  const parts: Buffer[] = []
  let at = 0
  const unfinished = (): Taken => ({ done: false, body: Buffer.concat(parts), rest: Buffer.alloc(0), trailers: [] })
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd < 0) return unfinished()
    const text = bytes.subarray(at, lineEnd).toString('latin1')
    const size = /^[0-9a-fA-F]+/.exec(text)?.[0]
    if (size === undefined) throw new Error(`not a chunk: ${JSON.stringify(text.slice(0, 60))}`)
    const start = lineEnd + 2
    if (Number.parseInt(size, 16) === 0) return takeTrailers(bytes, start, parts) ?? unfinished()
    const end = start + Number.parseInt(size, 16)
    if (bytes.length < end + 2) {
      parts.push(bytes.subarray(start, end))
      return unfinished()
    }
    parts.push(bytes.subarray(start, end))
    at = end + 2
  }
}

function takeTrailers(bytes: Buffer, start: number, parts: Buffer[]): Taken | undefined {
  const body = Buffer.concat(parts)
  if (bytes.subarray(start, start + 2).toString('latin1') === '\r\n')
    return { done: true, body, rest: bytes.subarray(start + 2), trailers: [] }
  const end = bytes.indexOf('\r\n\r\n', start)
  if (end < 0) return undefined
  const trailers = bytes.subarray(start, end).toString('latin1').split('\r\n')
  return { done: true, body, rest: bytes.subarray(end + 4), trailers }
}

/** One answer on a connection. `end` tells whether the body came to its end. */
export interface Reply {
  status: number
  head: Head
  body: string
  /** the body's bytes came to the end that its framing promised */
  whole: boolean
  /** bytes on the wire after the head: chunk lines included */
  wire: string
}

/** Splits what came into final answers; `heads` says which of the requests are HEAD, in order: they and 204 have no body. */
export function repliesIn(bytes: Buffer, heads: boolean[], closed: boolean): Reply[] {
  const replies: Reply[] = []
  let rest = bytes
  for (;;) {
    const taken = takeHead(rest)
    if (!taken) return replies
    const status = Number(taken.head.line.split(' ')[1])
    rest = taken.rest
    if (status >= 100 && status < 200) continue
    const empty =
      status === 204 || (heads[replies.length] === true && valuesOf(taken.head, 'connection')[0] !== 'close')
    const body = takeBody(taken.head, empty ? 'none' : framingOf(taken.head, 'close'), rest)
    const whole = body.done || (closed && framingOf(taken.head, 'close') === 'close')
    const wire = rest.toString('latin1')
    replies.push({ status, head: taken.head, body: body.body.toString('utf8'), whole, wire })
    if (!body.done) return replies
    rest = body.rest
  }
}

/** A parsed JSON value as Go's decoder meets it: every pair of an object in wire order, duplicates included. */
export type Node =
  | { type: 'object'; pairs: [string, Node][]; from: number; to: number }
  | { type: 'array'; items: Node[]; from: number; to: number }
  | { type: 'string'; text: string; from: number; to: number }
  | { type: 'number'; text: string; from: number; to: number }
  | { type: 'bool'; yes: boolean; from: number; to: number }
  | { type: 'null'; from: number; to: number }

/** A message of Go's JSON scanner or decoder, word for word. */
export class GoJsonError extends Error {}

const SPACE = new Set([0x20, 0x09, 0x0a, 0x0d])
const ESCAPES: Record<string, string> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}

/** One byte as Go quotes it in `invalid character 'x'`. */
const quoteByte = (byte: number): string => {
  const char = String.fromCharCode(byte)
  if (char === "'") return `'\\''`
  if (char === '"') return `'"'`
  const named: Record<string, string> = {
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
    '\\': '\\\\',
    '\b': '\\b',
    '\f': '\\f',
  }
  if (named[char]) return `'${named[char]}'`
  if (byte < 0x20 || byte === 0x7f) return `'\\x${byte.toString(16).padStart(2, '0')}'`
  return byte > 0x7f && byte < 0xa1 ? `'\\u00${byte.toString(16)}'` : `'${char}'`
}

class Scanner {
  readonly bytes: Buffer
  at = 0
  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  skip(): void {
    while (SPACE.has(this.bytes[this.at] ?? -1)) this.at++
  }

  /** The byte here; the end of the text is Go's `unexpected EOF`. */
  peek(): number {
    const byte = this.bytes[this.at]
    if (byte === undefined) throw new GoJsonError('unexpected EOF')
    return byte
  }

  wrong(where: string): never {
    throw new GoJsonError(`invalid character ${quoteByte(this.peek())} ${where}`)
  }

  value(): Node {
    this.skip()
    const char = String.fromCharCode(this.peek())
    if (char === '{') return this.object()
    if (char === '[') return this.array()
    if (char === '"') return this.string()
    if (char === '-' || (char >= '0' && char <= '9')) return this.number()
    if (char === 't' || char === 'f' || char === 'n') return this.literal(char)
    return this.wrong('looking for beginning of value')
  }

  object(): Node {
    const from = this.at++
    const pairs: [string, Node][] = []
    this.skip()
    if (this.peek() === 0x7d) return { type: 'object', pairs, from, to: ++this.at }
    for (;;) {
      this.skip()
      if (this.peek() !== 0x22) this.wrong('looking for beginning of object key string')
      const key = this.string()
      this.skip()
      if (this.peek() !== 0x3a) this.wrong('after object key')
      this.at++
      pairs.push([key.type === 'string' ? key.text : '', this.value()])
      this.skip()
      if (this.peek() === 0x7d) return { type: 'object', pairs, from, to: ++this.at }
      if (this.peek() !== 0x2c) this.wrong('after object key:value pair')
      this.at++
    }
  }

  array(): Node {
    const from = this.at++
    const items: Node[] = []
    this.skip()
    if (this.peek() === 0x5d) return { type: 'array', items, from, to: ++this.at }
    for (;;) {
      items.push(this.value())
      this.skip()
      if (this.peek() === 0x5d) return { type: 'array', items, from, to: ++this.at }
      if (this.peek() !== 0x2c) this.wrong('after array element')
      this.at++
    }
  }

  string(): Node {
    const from = this.at++
    const parts: string[] = []
    let start = this.at
    for (;;) {
      const byte = this.peek()
      if (byte === 0x22) break
      if (byte < 0x20) this.wrong('in string literal')
      if (byte === 0x5c) {
        parts.push(this.bytes.toString('utf8', start, this.at), this.escape())
        start = this.at
      } else this.at++
    }
    parts.push(this.bytes.toString('utf8', start, this.at))
    return { type: 'string', text: parts.join(''), from, to: ++this.at }
  }

  escape(): string {
    this.at++
    const char = String.fromCharCode(this.peek())
    if (char !== 'u') {
      const plain = ESCAPES[char]
      if (plain === undefined) return this.wrong('in string escape code')
      this.at++
      return plain
    }
    let code = 0
    for (let i = 0; i < 4; i++) {
      this.at++
      const digit = Number.parseInt(String.fromCharCode(this.peek()), 16)
      if (Number.isNaN(digit)) this.wrong('in \\u hexadecimal character escape')
      code = code * 16 + digit
    }
    this.at++
    return String.fromCharCode(code)
  }

  digits(where: string): void {
    const isDigit = () => this.at < this.bytes.length && this.peek() >= 0x30 && this.peek() <= 0x39
    if (!isDigit()) this.wrong(where)
    while (isDigit()) this.at++
  }

  number(): Node {
    const from = this.at
    if (this.peek() === 0x2d) this.at++
    if (this.peek() === 0x30) this.at++
    else this.digits('in numeric literal')
    if (this.bytes[this.at] === 0x2e) {
      this.at++
      this.digits('after decimal point in numeric literal')
    }
    if (((this.bytes[this.at] ?? 0) | 0x20) === 0x65) {
      this.at++
      if (this.peek() === 0x2b || this.peek() === 0x2d) this.at++
      this.digits('in exponent of numeric literal')
    }
    return { type: 'number', text: this.bytes.toString('latin1', from, this.at), from, to: this.at }
  }

  literal(first: string): Node {
    const from = this.at
    const word = first === 't' ? 'true' : first === 'f' ? 'false' : 'null'
    for (const char of word) {
      if (this.peek() !== char.charCodeAt(0)) this.wrong(`in literal ${word} (expecting '${char}')`)
      this.at++
    }
    if (word === 'null') return { type: 'null', from, to: this.at }
    return { type: 'bool', yes: word === 'true', from, to: this.at }
  }
}

/** Parses the first JSON value of a body as `json.Decoder` does: text after it is ignored; no text at all is `EOF`. */
export const parseFirst = (body: Buffer): Node => {
  const scanner = new Scanner(body)
  scanner.skip()
  if (scanner.at >= body.length) throw new GoJsonError('EOF')
  return scanner.value()
}

/** A node as an ordinary value; of duplicate keys the last one holds, as in a Go map. */
export const plain = (node: Node): unknown => {
  if (node.type === 'object') return Object.fromEntries(node.pairs.map(([key, value]) => [key, plain(value)]))
  if (node.type === 'array') return node.items.map(plain)
  if (node.type === 'string') return node.text
  if (node.type === 'number') return Number(node.text)
  return node.type === 'bool' ? node.yes : null
}

/** Text as Go's encoder writes it: `<`, `>`, `&` and the two line separators escaped. */
export const goJson = (value: unknown): string =>
  JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** The same value with the keys of every object in alphabetical order, as Go writes a map. */
export const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).filter(([, v]) => v !== undefined)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, sorted(v)]))
}

import type { Socket } from 'node:net'

/** The bytes that came in on a connection and were not used yet, with a way to wait for more. */
export class Inbox {
  readonly socket: Socket
  /** The client shut its sending side or the connection broke: nothing more will come. */
  over = false
  private parts: Buffer[] = []
  private size = 0
  private waiting: (() => void) | undefined
  private readonly watchers = new Set<() => void>()

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (part: Buffer) => this.push(part))
    socket.on('end', () => this.finish())
    socket.on('close', () => this.finish())
    socket.on('error', () => this.finish())
  }

  /** Called once when the client hangs up; a half-close counts, as it does for Go. Returns a way to stop watching. */
  onOver(then: () => void): () => void {
    if (this.over) then()
    else this.watchers.add(then)
    return () => this.watchers.delete(then)
  }

  get length(): number {
    return this.size
  }

  /** All unused bytes as one buffer. */
  bytes(): Buffer {
    if (this.parts.length > 1) this.parts = [Buffer.concat(this.parts)]
    return this.parts[0] ?? Buffer.alloc(0)
  }

  take(count: number): Buffer {
    const all = this.bytes()
    const taken = all.subarray(0, count)
    this.parts = count < all.length ? [all.subarray(count)] : []
    this.size = all.length - taken.length
    return taken
  }

  /** True when bytes came, false when none will come any more. */
  async more(): Promise<boolean> {
    const before = this.size
    if (!this.over) await new Promise<void>((resolve) => (this.waiting = resolve))
    return this.size > before
  }

  /** Exactly this many bytes, or what there is when the client leaves before. */
  async exactly(count: number): Promise<Buffer> {
    while (this.size < count && (await this.more()));
    return this.take(Math.min(count, this.size))
  }

  /** A line with its end, or undefined when the connection ends first or the line passes the limit. */
  async line(limit = 65536): Promise<string | undefined> {
    for (;;) {
      const end = this.bytes().indexOf(10)
      if (end >= 0) return this.take(end + 1).toString('latin1')
      if (this.size > limit || !(await this.more())) return undefined
    }
  }

  private push(part: Buffer): void {
    this.parts.push(part)
    this.size += part.length
    this.wake()
  }

  private wake(): void {
    const then = this.waiting
    this.waiting = undefined
    then?.()
  }

  private finish(): void {
    if (this.over) return
    this.over = true
    for (const then of this.watchers) then()
    this.watchers.clear()
    this.wake()
  }
}

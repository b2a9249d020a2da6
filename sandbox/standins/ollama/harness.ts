import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import type { Faults } from './faults.ts'

/** A stand-in server in a child process with its own box and HOME, for tests. */
export interface Running {
  port: number
  box: string
  home: string
  child: ChildProcess
  /** Everything the server wrote to stderr so far. */
  log: () => string
  faults: (faults: Faults) => void
  /** What the engine received, oldest first. */
  received: () => Record<string, unknown>[]
  /** Ends the server by its own pid and removes its folders; gives the exit code. */
  stop: (signal?: NodeJS.Signals) => Promise<number | null>
}

const entry =
  "import { main } from './ollama.ts'\nprocess.exit(await main(process.argv.slice(2), { dir: process.env.BOX ?? '' }))"

/** Where the stand-in lies in its box, as one file. */
export const programOf = (box: string): string => join(box, 'ollama.mjs')

/** Makes that file. */
export const buildInto = async (box: string): Promise<void> => {
  const stdin = { contents: entry, resolveDir: join(import.meta.dirname, '..'), loader: 'ts' as const }
  const outfile = programOf(box)
  await build({ stdin, bundle: true, platform: 'node', format: 'esm', target: 'node20', outfile, logLevel: 'error' })
}

export const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })

const answers = async (port: number): Promise<boolean> => {
  const socket = connect(port, '127.0.0.1')
  const up = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
  })
  socket.destroy()
  return up
}

/** A folder that stands for a box, with the home of its user in it. */
const makeBox = (): { box: string; home: string } => {
  const box = mkdtempSync(join(tmpdir(), 'box-'))
  const home = join(box, 'home', 'user')
  mkdirSync(home, { recursive: true })
  return { box, home }
}

export const startServer = async (
  env: Record<string, string> = {},
  faults: Faults = {},
  version = '0.24.0',
): Promise<Running> => {
  const port = await freePort()
  const { box, home } = makeBox()
  const setFaults = (next: Faults) => writeFileSync(join(box, 'ollama-faults.json'), JSON.stringify(next))
  setFaults(faults)
  writeFileSync(join(box, 'ollama-version'), version)
  await buildInto(box)
  const PATH = process.env.PATH ?? ''
  const child = spawn(process.execPath, [programOf(box), 'serve'], {
    env: { PATH, HOME: home, BOX: box, OLLAMA_HOST: `127.0.0.1:${port}`, OLLAMA_NO_CLOUD: '1', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr?.on('data', (part: Buffer) => {
    log += part.toString()
  })
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  while (child.exitCode === null && !(await answers(port))) await new Promise((resolve) => setTimeout(resolve, 15))
  return {
    port,
    box,
    home,
    child,
    log: () => log,
    faults: setFaults,
    received: () => lines(join(box, 'ollama-requests.jsonl')),
    stop: async (signal = 'SIGTERM') => {
      child.kill(signal)
      const code = await ended
      rmSync(box, { recursive: true, force: true })
      return code
    },
  }
}

const lines = (file: string): Record<string, unknown>[] => {
  const text = readFileSync(file, 'utf8')
  return text.split('\n').flatMap((line) => (line ? [JSON.parse(line) as Record<string, unknown>] : []))
}

/** One row of a recording. */
export interface Row {
  ev: string
  status?: string
  headers?: [string, string][]
  data?: string
  b64?: string
  how?: string
  where?: string
  head?: string
  body_bytes?: number
  sha256?: string
}

/** Reads an answer off a raw socket, byte by byte as the recorder of the transcripts did. */
export class Wire {
  readonly socket: Socket
  /** How long a close is waited for after an answer, in milliseconds. */
  patience = 6
  private bytes = Buffer.alloc(0)
  private over: 'eof' | 'reset' | undefined
  private wake: (() => void) | undefined

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.socket.on('data', (part) => {
      this.bytes = Buffer.concat([this.bytes, part])
      this.wake?.()
    })
    this.socket.on('end', () => this.end('eof'))
    this.socket.on('error', () => this.end('reset'))
    this.socket.on('close', () => this.end('eof'))
  }

  private end(how: 'eof' | 'reset'): void {
    this.over ??= how
    this.wake?.()
  }

  private async more(): Promise<boolean> {
    if (this.over) return false
    const before = this.bytes.length
    await new Promise<void>((resolve) => {
      this.wake = resolve
    })
    return this.bytes.length > before || !this.over
  }

  private async line(): Promise<string | undefined> {
    for (;;) {
      const at = this.bytes.indexOf(10)
      if (at >= 0) return this.take(at + 1).toString('latin1')
      if (!(await this.more())) return undefined
    }
  }

  private take(count: number): Buffer {
    const taken = this.bytes.subarray(0, count)
    this.bytes = this.bytes.subarray(count)
    return taken
  }

  private async exactly(count: number): Promise<Buffer | undefined> {
    while (this.bytes.length < count) if (!(await this.more())) return undefined
    return this.take(count)
  }

  /** All rows of one answer; `onChunk` is told of each chunk as it arrives. */
  async answer(method: string, onChunk?: (count: number) => void): Promise<Row[]> {
    const rows: Row[] = []
    for (;;) {
      const head = await this.head()
      if (!head) return [...rows, { ev: 'end', how: this.over ?? 'eof', where: 'before the status line' }]
      rows.push(head)
      const code = Number(head.status?.split(' ')[1])
      if (code === 100) continue
      return [...rows, ...(await this.body(method, code, head.headers ?? [], onChunk))]
    }
  }

  private async head(): Promise<Row | undefined> {
    const status = await this.line()
    if (status === undefined) return undefined
    const headers: [string, string][] = []
    for (let line = await this.line(); line !== undefined && line.trim() !== ''; line = await this.line()) {
      headers.push([line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()])
    }
    return { ev: 'head', status: status.trimEnd(), headers }
  }

  private async body(
    method: string,
    code: number,
    headers: [string, string][],
    onChunk?: (n: number) => void,
  ): Promise<Row[]> {
    const value = (name: string) => headers.find(([key]) => key.toLowerCase() === name)?.[1]
    if (method === 'HEAD' || code === 204 || code === 304) return [{ ev: 'end', how: 'no body' }, await this.after()]
    if (value('transfer-encoding') === 'chunked') return this.chunks(onChunk)
    const length = value('content-length')
    if (length !== undefined) {
      const data = await this.exactly(Number(length))
      if (!data) return [{ ev: 'end', how: this.over ?? 'eof', where: 'inside a body with content-length' }]
      return [{ ev: 'body', data: data.toString('utf8') }, { ev: 'end', how: 'content-length' }, await this.after()]
    }
    while (await this.more());
    return [
      { ev: 'body', data: this.bytes.toString('utf8') },
      { ev: 'end', how: this.over ?? 'eof' },
    ]
  }

  private async chunks(onChunk?: (n: number) => void): Promise<Row[]> {
    const rows: Row[] = []
    for (;;) {
      const size = await this.line()
      const length = Number.parseInt(size ?? '', 16)
      const data = size === undefined ? undefined : await this.exactly(length + 2)
      if (!data)
        return [...rows, { ev: 'end', how: this.over ?? 'eof', where: 'between chunks (no terminating chunk)' }]
      if (length === 0) return [...rows, { ev: 'end', how: 'terminating chunk' }, await this.after()]
      rows.push({ ev: 'chunk', data: data.subarray(0, length).toString('utf8') })
      onChunk?.(rows.length)
    }
  }

  /** Whether the connection is still there a moment after the answer. */
  private async after(): Promise<Row> {
    if (!this.over) await Promise.race([this.more(), new Promise((resolve) => setTimeout(resolve, this.patience))])
    return { ev: 'after', how: this.over ? 'server closed' : 'kept open' }
  }
}

/** Sends raw bytes on a new connection and reads the one answer. */
export const exchange = async (
  port: number,
  bytes: Buffer,
  method: string,
  more: { onChunk?: (n: number) => void; patience?: number } = {},
): Promise<Row[]> => {
  const wire = new Wire(port)
  wire.patience = more.patience ?? wire.patience
  wire.socket.write(bytes)
  const rows = await wire.answer(method, more.onChunk)
  wire.socket.destroy()
  return rows
}

/** A JSON request as bytes. */
export const jsonRequest = (method: string, path: string, body?: unknown): Buffer => {
  const data = body === undefined ? '' : JSON.stringify(body)
  const more =
    body === undefined ? '' : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(data)}\r\n`
  return Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:11434\r\n${more}\r\n${data}`)
}

/** Text of an answer's body, chunks joined. */
export const bodyOf = (rows: Row[]): string =>
  rows.map((row) => (row.ev === 'chunk' || row.ev === 'body' ? (row.data ?? '') : '')).join('')
export const statusOf = (rows: Row[]): number => Number(rows.find((row) => row.ev === 'head')?.status?.split(' ')[1])

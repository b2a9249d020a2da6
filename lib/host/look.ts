import type { Output } from './command.ts'
import type { Greeted, Greeting } from './handshake.ts'
import type { Lookup } from './resolve.ts'
import type { Say } from './runtime-api.ts'

export type { Greeted, Greeting, Say }

/** An HTTP/1.1 request that leaves the machine as given: target, Host and headers are not touched. */
export interface RawRequest {
  address: string
  port: number
  method: string
  target: string
  headers?: Record<string, string>
  body?: string
  /** ms until the answer must be complete; 10,000 when absent. */
  timeoutMs?: number
  /** the name to shake hands for: then it goes over TLS, whatever certificate is shown */
  tlsName?: string
  /** who must have signed that certificate (PEM); then another is refused */
  tlsRoots?: string
}

/** What came back: `end` tells how; `pieces` are the body's parts with ms since the request was sent. */
export interface RawAnswer {
  end: 'complete' | 'cut' | 'refused' | 'timeout'
  status: number
  headers: Record<string, string>
  body: string
  pieces: { ms: number; text: string }[]
  ms: number
  /** ms until the connection stood, which the kernel sees to and not who listens; absent when it never did */
  connectMs?: number
  error?: string
}

/** Bytes for a connection of their own, as they are: what no HTTP client would send. */
export interface RawBytes {
  address: string
  port: number
  bytes: Uint8Array
  /** whether what came so far is all that is waited for */
  enough(come: Buffer): boolean
  /** ms until nothing more is waited for; 3,000 when absent */
  timeoutMs?: number
  /** the name to shake hands for, as in `RawRequest` */
  tlsName?: string
}

/** What came back on the wire, and how the connection stood then: `refused` when there was none. */
export interface RawEnd {
  come: Buffer
  end: 'closed' | 'reset' | 'open' | 'refused'
}

export interface FileFacts {
  kind: 'file' | 'folder' | 'link' | 'other'
  /** Permission bits, e.g. 0o600. */
  mode: number
  uid: number
  /** bytes */
  size: number
  /** where a link points */
  target?: string
}

export interface QueryOptions {
  timeoutMs?: number
  input?: string
}

/** The systems that there are ways for. */
export type System = 'mac' | 'linux' | 'container'

/** Reads the machine and changes nothing. A check is given this and no more. */
export interface Look {
  home: string
  system: System
  /** Runs a command that only reads; a missing program is code 127, a deadline (10 s unless told) code 124. */
  query(argv: string[], options?: QueryOptions): Promise<Output>
  read(file: string): Promise<string | undefined>
  stat(file: string): Promise<FileFacts | undefined>
  /** The first of these programs that is there: bare names are sought in PATH, absolute paths as they are. */
  find(candidates: string[]): Promise<string | undefined>
  /** Names in a folder, sorted; empty when there is none. */
  list(folder: string): Promise<string[]>
  /** Free bytes on the disk that holds the path. */
  free(folder: string): Promise<number>
  /** Sends a row of the endpoint table, or something that must be refused. */
  probe(request: RawRequest): Promise<RawAnswer>
  /** The same below HTTP: malformed requests that must be refused, or that are a row of the table after all. */
  raw(request: RawBytes): Promise<RawEnd>
  /** Whom a listener shows for a name in a TLS handshake. */
  greet(greeting: Greeting): Promise<Greeted>
  /** The addresses that a resolver gives for a name; undefined when it does not answer. */
  resolve(lookup: Lookup): Promise<string[] | undefined>
  /** HAProxy's `show …` on a stats or master socket; undefined when nobody answers. */
  ask(socket: string, command: string): Promise<string | undefined>
  /** Several `show …` on one connection to a stats socket, so that one worker answers them all; undefined when nobody does, or not to the end. */
  asking<T>(socket: string, talk: (ask: (command: string) => Promise<string>) => Promise<T>): Promise<T | undefined>
  /** Polls (every 250 ms unless told) until `test` is true or the time (ms) is over; tells which. `what` ends the sentence "Waiting until …" that a person is told of a long wait; empty where they were told. */
  until(what: string, withinMs: number, test: () => Promise<boolean>, everyMs?: number): Promise<boolean>
}

/** How a person hears of a command's own words. */
export interface Overheard {
  /** whose words they are */
  by: string
  /** what is to be seen for good, and where nobody sits, too, once this line came; undefined where nothing is */
  tells?(line: string): string | undefined
}

export interface RunOptions {
  /** The person's terminal is handed to the command (passwords, logins). */
  interactive?: boolean
  /**
   * All that the command says is for the log, line by line as it comes. Where the terminal is handed to it, its last
   * line is shown in place; all of it, where it fails.
   */
  overheard?: Overheard
  env?: Record<string, string>
  timeoutMs?: number
  /** What it says may repeat a secret that it was given: no log has it. */
  secret?: boolean
  /** Exit codes that are an answer, not a failure; [0] when absent. */
  codes?: number[]
}

export interface WriteOptions {
  /**
   * false: the disk need not have it at once, so a power cut may take it; for what is made anew every few seconds.
   * On macOS a flush is one of the whole drive (libuv syncs by F_FULLFSYNC).
   */
  flush?: boolean
}

/** Changes the machine. `apply` and `undo` are given this. */
export interface Host extends Look {
  /** Runs a command; throws `Unexpected` when its exit code is not among the expected ones. */
  run(argv: string[], options?: RunOptions): Promise<Output>
  /** Writes by temporary file and rename; makes the folders above it. Mode 0600 unless told. */
  write(file: string, text: string, mode?: number, options?: WriteOptions): Promise<void>
  /** Makes a folder (0700 unless told) and those above it. */
  folder(folder: string, mode?: number): Promise<void>
  /** A symbolic link, replaced in one step. */
  link(target: string, file: string): Promise<void>
  move(from: string, to: string): Promise<void>
  copy(from: string, to: string): Promise<void>
  remove(file: string): Promise<void>
  /** POSTs JSON and hands over each line of the answer as it comes; gives the status. Without a deadline (ms) it waits for ever. */
  post(url: string, body: unknown, onLine?: (line: string) => void, timeoutMs?: number): Promise<number>
  /** A command on HAProxy's runtime or master socket, with the lines of its payload if it takes one; gives its answer. */
  tell(socket: string, command: string, payload?: string[]): Promise<string>
  /** The same on one connection, for questions, too: one worker hears them all. Undefined when nobody does, or not to the end. */
  telling<T>(socket: string, talk: (tell: Say) => Promise<T>): Promise<T | undefined>
  /** Calls a sleeping machine on this machine's own networks: a magic packet with its hardware address (AMD, Magic Packet Technology, 1995). */
  wake(mac: string): Promise<void>
  /** Starts a command that outlives no one: it ends with this process. Gives back a stop. */
  beside(argv: string[]): () => void
}

/**
 * A look that runs each query once and gives its output to whoever asks the same again, so that the checks of one
 * pass see one machine, and sooner. `until` waits for a change, so each of its rounds asks anew.
 */
export function askingOnce(look: Look): Look {
  const known = new Map<string, Promise<Output>>()
  return {
    ...look,
    query(argv, options) {
      const question = JSON.stringify([argv, options])
      const output = known.get(question) ?? look.query(argv, options)
      known.set(question, output)
      // A deadline that was missed says nothing of the machine.
      void output.then(({ code }) => code === 124 && known.delete(question))
      return output
    },
    until: (what, withinMs, test, everyMs) =>
      look.until(
        what,
        withinMs,
        () => {
          known.clear()
          return test()
        },
        everyMs,
      ),
  }
}

import { createHash } from 'node:crypto'

/** SHA-256 in hex of a text. */
export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** What a program printed as JSON; undefined where it is none. */
export function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Nobody listens on a socket of HAProxy's, the connection ended, or nothing came for 10 s. */
export class Hangup extends Error {}

/** What a command left behind. */
export interface Output {
  code: number
  stdout: string
  stderr: string
}

/** A command that had to succeed and did not. */
export class Unexpected extends Error {
  readonly argv: string[]
  readonly output: Output

  constructor(argv: string[], output: Output) {
    const lines = (output.stderr.trim() || output.stdout.trim()).split('\n')
    const first = lines.findIndex((line) => /error|fail|cannot|denied/i.test(line))
    // The line that follows an error often has its cause: brew's with curl's words, Tailscale's with the way out.
    const said = (first < 0 ? lines.slice(-1) : lines.slice(first, first + 3))
      .map((line) => line.trim())
      .join(' ')
      .trim()
    super(`\`${argv.join(' ')}\` ended with ${output.code}${said ? `: ${said}` : ' and said nothing'}`)
    this.argv = argv
    this.output = output
  }

  /** whether its words say that the network was out of reach (curl, git, Go) */
  get offline(): boolean {
    return /could not resolve host|no such host|network is unreachable|failed to connect to \S+ port/i.test(
      `${this.output.stderr}\n${this.output.stdout}`,
    )
  }
}

/** Something the person can mend: shown as one sentence on stderr, with its exit code, without a stack. */
export class Stop extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

/** The exit codes of every script; docs/wrong.md says the same, and a test compares. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  precondition: 3,
  declined: 4,
  partly: 5,
  interrupted: 130,
} as const

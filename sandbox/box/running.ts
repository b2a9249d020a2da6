import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { signalFollowers, signalGroup } from './processes.ts'

/** How a command ended. `code` is 128 + n after signal n, 124 when its time was over. */
export interface Outcome {
  code: number
  stdout: string
  stderr: string
}

/** What came at once, and when: ms since the command was started. */
export interface Piece {
  at: number
  text: string
}

/** A command that still runs in the box. */
export interface Running {
  /** what it has written so far, both streams together */
  output(): string
  /** the same in the pieces in which it came */
  pieces(): Piece[]
  /** gives it this to read, from its terminal or its input */
  write(text: string): void
  /** closes its input */
  end(): void
  /** waits until new output holds this, and gives it; throws with all output when the time (30 s) or the command is over */
  expect(pattern: string | RegExp, withinMs?: number): Promise<string>
  /** signals the command and what it started, SIGTERM unless told */
  kill(name?: NodeJS.Signals): void
  done: Promise<Outcome>
}

/** A command as the outside starts it. */
export interface Launch {
  argv: string[]
  env: Record<string, string>
  cwd?: string
  /** the first program only enters the box and must not be signalled */
  enters: boolean
}

const EXPECT_MS = 30_000

function find(text: string, pattern: string | RegExp): { at: number; found: string } | undefined {
  if (typeof pattern === 'string') {
    const at = text.indexOf(pattern)
    return at < 0 ? undefined : { at, found: pattern }
  }
  const match = new RegExp(pattern.source, pattern.flags.replace('g', '')).exec(text)
  return match ? { at: match.index, found: match[0] } : undefined
}

/** What a command has written so far, and who waits for more. */
interface Transcript {
  text: string
  pieces: Piece[]
  /** how much of it was matched by `expect` already */
  read: number
  ended: boolean
  waiting: Set<() => void>
}

function add(transcript: Transcript, text: string): void {
  transcript.text += text
  for (const look of [...transcript.waiting]) look()
}

function end(transcript: Transcript): void {
  transcript.ended = true
  add(transcript, '')
}

/** Takes the next match out of what is new. */
function take(transcript: Transcript, pattern: string | RegExp): string | undefined {
  const match = find(transcript.text.slice(transcript.read), pattern)
  if (match) transcript.read += match.at + match.found.length
  return match?.found
}

function expect(transcript: Transcript, pattern: string | RegExp, withinMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      clearTimeout(timer)
      transcript.waiting.delete(look)
      settle()
    }
    const fail = (why: string) => {
      const news = transcript.text.slice(transcript.read)
      finish(() => reject(new Error(`${why} ${String(pattern)}; new output:\n${news}`)))
    }
    const look = () => {
      const found = take(transcript, pattern)
      if (found !== undefined) finish(() => resolve(found))
      else if (transcript.ended) fail('the command ended without')
    }
    const timer = setTimeout(() => fail(`after ${withinMs} ms still no`), withinMs)
    transcript.waiting.add(look)
    look()
  })
}

function outcomeCode(code: number | null, name: NodeJS.Signals | null): number {
  return code ?? 128 + (name ? constants.signals[name] : 0)
}

function collect(child: ChildProcess, transcript: Transcript): { stdout: string; stderr: string } {
  const started = performance.now()
  const texts = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text
      transcript.pieces.push({ at: performance.now() - started, text })
      add(transcript, text)
    })
  }
  return texts
}

/** Starts a command in a process group of its own. With `input` its input is that text; else it stays open for `write`. */
export function launch({ argv, env, cwd, enters }: Launch, input?: string): Running {
  const [file = '', ...args] = argv
  const child = spawn(file, args, { env, cwd, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  const transcript: Transcript = { text: '', pieces: [], read: 0, ended: false, waiting: new Set() }
  const texts = collect(child, transcript)
  // A command may end before it has read its input.
  child.stdin.on('error', () => {})
  if (input !== undefined) child.stdin.end(input)
  const done = new Promise<Outcome>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, name) => {
      end(transcript)
      resolve({ code: outcomeCode(code, name), ...texts })
    })
  })
  // Whoever does not wait for a failed start shall not be ended by it.
  done.catch(() => end(transcript))
  return {
    output: () => transcript.text,
    pieces: () => transcript.pieces,
    write: (text) => void child.stdin.write(text),
    end: () => void child.stdin.end(),
    expect: (pattern, withinMs = EXPECT_MS) => expect(transcript, pattern, withinMs),
    kill: (name = 'SIGTERM') => kill(child, name, enters),
    done,
  }
}

function kill(child: ChildProcess, name: NodeJS.Signals, enters: boolean): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  // Who enters the box stops with the program, and does not go on with it.
  if (enters && name !== 'SIGCONT') signalFollowers(child.pid, name)
  else signalGroup(child.pid, name)
}

/** Waits for a command's end, and ends it when the time is over or the caller says so. */
export async function finish(running: Running, timeoutMs: number, abort?: AbortSignal): Promise<Outcome> {
  let late = false
  const stop = () => running.kill('SIGKILL')
  const timer = setTimeout(() => {
    late = true
    stop()
  }, timeoutMs)
  abort?.addEventListener('abort', stop, { once: true })
  try {
    const outcome = await running.done
    if (!late) return outcome
    return { ...outcome, code: 124, stderr: `${outcome.stderr}\nbox: ended after ${timeoutMs} ms\n` }
  } finally {
    clearTimeout(timer)
    abort?.removeEventListener('abort', stop)
  }
}

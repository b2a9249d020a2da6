import { errorText } from './errors.ts'

/** What one call of launchctl gives back: its exit status and what it writes. */
export interface Answer {
  code: number
  stdout: string
  stderr: string
}

/** A call as launchctl hands it over: its words, its folder, and what it knows of its caller. */
export interface Call {
  argv: string[]
  cwd: string
  /** standard output is a terminal */
  tty: boolean
  /** run through sudo */
  root: boolean
  /** run in an ssh session, whose domain is user/UID even when a desktop is up */
  ssh: boolean
}

/** Success, with nothing said unless given. */
export function ok(stdout = ''): Answer {
  return { code: 0, stdout, stderr: '' }
}

/** Failure: the exit status and the lines on stderr. */
export function fail(code: number, ...lines: string[]): Answer {
  return { code, stdout: '', stderr: lines.map((line) => `${line}\n`).join('') }
}

/** `Bootstrap failed: 5: Input/output error`: the shape in which most verbs report an error number. */
export function failed(verb: string, code: number, ...more: string[]): Answer {
  return fail(code, `${verb} failed: ${code}: ${errorText(code)}`, ...more)
}

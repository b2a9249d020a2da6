import type { Piece } from '../box/box.ts'

/** Pieces of several commands, one after the other, as one recording of a terminal. */
export interface Recording {
  pieces: Piece[]
  /** ms */
  length: number
}

export const nothing: Recording = { pieces: [], length: 0 }

const letterMs = 35

/** A line as somebody types it after a prompt. */
function typing(prompt: string, line: string, at: number): Piece[] {
  const letters = [...line].map((text, place) => ({ at: at + place * letterMs, text }))
  return [{ at, text: prompt }, ...letters, { at: at + line.length * letterMs, text: '\r\n' }]
}

/** The recording goes on with a command that is typed, and with what came of it. */
export function continued({ pieces, length }: Recording, prompt: string, line: string, came: Piece[]): Recording {
  const typed = typing(prompt, line, length)
  const begun = length + (line.length + 1) * letterMs
  const later = came.map(({ at, text }) => ({ at: begun + at, text }))
  return { pieces: [...pieces, ...typed, ...later], length: (later.at(-1)?.at ?? begun) + 400 }
}

const spinner = /[⠀-⣿]/g

/** What only turns a spinner further is left out: each of its frames begins by taking away the one before. */
function withoutTurns(pieces: Piece[]): Piece[] {
  let last: string | undefined
  return pieces.filter(({ text }) => {
    const still = spinner.test(text) ? text.replaceAll(spinner, '⠿') : undefined
    const again = still !== undefined && still === last
    last = still
    return !again
  })
}

/** The recording as an asciicast, version 2 (docs.asciinema.org/manual/asciicast/v2); pauses are played no longer than 2 s. */
export function asciicast({ pieces }: Recording, title: string, columns = 80): string {
  const head = { version: 2, width: columns, height: 24, idle_time_limit: 2, title, env: { TERM: 'xterm-256color' } }
  const events = withoutTurns(pieces).map(({ at, text }) => [Math.round(at) / 1000, 'o', text])
  return [head, ...events].map((line) => `${JSON.stringify(line)}\n`).join('')
}

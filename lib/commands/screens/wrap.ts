import { stripVTControlCharacters } from 'node:util'
import { wrapAnsi } from 'fast-wrap-ansi'

/**
 * A text at the width of a terminal (columns): no word is cut, and what a line begins with (blanks, a mark, a word with
 * two blanks after it) is left free below it. A line that begins with four blanks is to be copied and stays whole.
 */
export const wrapped = (text: string, width: number): string =>
  text
    .split('\n')
    .map((line) => (line.startsWith('    ') ? line : hanging(line, width)))
    .join('\n')

/** Prints a text and ends its line; wrapped where somebody reads it on a terminal. */
export const print = (stream: NodeJS.WriteStream, text: string): void =>
  void stream.write(`${stream.isTTY ? wrapped(text, stream.columns || 80) : text}\n`)

/** The same on stderr: what went wrong, and what to do. */
export const complain = (text: string): void => print(process.stderr, text)

/** Colours take no room. */
const colours = '(?:\\x1b\\[[\\d;]*m)*'
/** A help text at the width of a terminal: what an option does stays in its column, and what follows `Usage:` beside that. */
export const wrappedHelp = (text: string, width: number): string =>
  text
    .split('\n')
    .map((line) => hanging(line, width, /^(Usage: |\s*(?:\S+(?: \S+)*? {2,})?)(.*)$/))
    .join('\n')

const beginning = new RegExp(
  `^(${colours}\\s*${colours}(?:\\S${colours} (?=\\S))?(?:[^\\s\\x1b]+ {2,}${colours})?)(.*)$`,
)

function hanging(line: string, width: number, starting = beginning): string {
  const [, begin = '', rest = ''] = starting.exec(line) ?? []
  const start = stripVTControlCharacters(begin)
  const below = ' '.repeat(start.length)
  return wrapAnsi(rest, Math.max(20, width - start.length), { trim: true })
    .split('\n')
    .map((part, at) => (at === 0 ? begin : below) + part)
    .join('\n')
}

/** Rows of cells, each column as wide as its widest cell, two blanks between; the last is as long as it is. */
export function columns(rows: string[][], indent = '  '): string[] {
  const widths = rows.reduce<number[]>((found, row) => row.map((cell, at) => Math.max(found[at] ?? 0, cell.length)), [])
  return rows.map((row) => (indent + row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ')).trimEnd())
}

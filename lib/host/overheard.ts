import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { stripVTControlCharacters } from 'node:util'
import type { Overheard } from './look.ts'

/** Whoever wants no escape codes gets every line, one below the other. */
const inPlace = (): boolean => process.stderr.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb'

/** Columns behind the line for what a command asks on the terminal itself, such as sudo its `Password:`. */
const room = 12

let standing = false

/** Takes back the line that stands there for now. */
export function takeBack(): void {
  if (standing) process.stderr.write('\r\x1b[K')
  standing = false
}

function put(text: string): void {
  process.stderr.write(`\r\x1b[K${text.slice(0, Math.max(20, (process.stderr.columns || 80) - room))}`)
  standing = true
}

/** Lines of what comes, and what a line has of it so far. */
function lined(stream: Readable, whole: (line: string) => void, begun: (text: string) => void): void {
  let rest = ''
  const decoder = new StringDecoder('utf8')
  stream.on('data', (bytes: Buffer) => {
    const lines = (rest + stripVTControlCharacters(decoder.write(bytes))).split(/\r?\n|\r/)
    rest = lines.pop() ?? ''
    for (const line of lines) whole(line)
    if (rest.trim() !== '') begun(rest)
  })
  stream.on('end', () => rest && whole(rest))
}

/**
 * Listens to a command's own words: each line goes to `note`, the last one stands on the terminal for now where it is
 * `handed` to the command. Gives what is to be called at its end: what failed is shown in full there.
 */
export function overhear(
  streams: Readable[],
  { by, tells }: Overheard,
  handed: boolean,
  note: (line: string) => void,
): (failed: boolean) => void {
  const said: string[] = []
  const passing = handed && inPlace()
  const whole = (line: string) => {
    takeBack()
    note(`  ${line}`)
    said.push(line)
    const lasting = tells?.(line) ?? (handed && !passing ? line : undefined)
    if (lasting !== undefined) process.stderr.write(`${lasting}\n`)
    if (passing && line.trim() !== '') put(`${by}: ${line.trim()}`)
  }
  for (const stream of streams) lined(stream, whole, (text) => passing && put(`${by}: ${text.trim()}`))
  return (failed) => {
    takeBack()
    if (failed && passing) process.stderr.write(`${said.join('\n').trim()}\n`)
  }
}

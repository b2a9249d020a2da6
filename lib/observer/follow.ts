import { type Piece, type Position, pieceSize, readFrom } from '../host/appended.ts'

/** Lines, without what nobody wrote: a gateway begins with an empty one, and one whose file was emptied leaves a hole of zeros before its next. */
const written = (text: string): string[] => text.replaceAll('\0', '').split('\n').filter(Boolean)

export interface Follower {
  /** the next lines, in the order of the file; none when all are read */
  next(): Promise<string[]>
  position(): Position
  /** how often a file was begun anew before all of it was read */
  gaps(): number
}

/** Reads a file that others append to, line by line, from where an earlier one stopped; when it is begun anew, what is left of it is read in its copy `FILE.1` first. */
export function follow(file: string, start: Position = { id: '', offset: 0 }): Follower {
  let position = start
  let gaps = 0

  async function next(): Promise<string[]> {
    const current = await readFrom(file, position.offset)
    // Its first line is not whole yet.
    if (!current?.id) return []
    if (current.id === position.id && current.size >= position.offset) return more(current)
    const copy = await readFrom(`${file}.1`, position.offset)
    // One that is being made: what it is a copy of is still there.
    const older = copy?.id === current.id ? undefined : copy
    const left = older?.id === position.id ? take(older) : []
    if (left.length > 0) return left
    if (position.id && older && (older.id !== position.id || position.offset < older.size)) gaps += 1
    position = { id: older && older.id !== position.id ? older.id : current.id, offset: 0 }
    return next()
  }

  /** The next lines; what holds none is passed over, for an empty list says that all is read. */
  async function more(piece: Piece): Promise<string[]> {
    const { offset } = position
    const lines = take(piece)
    return lines.length > 0 || position.offset === offset ? lines : next()
  }

  function take({ id, bytes }: Piece): string[] {
    const end = bytes.lastIndexOf(10) + 1 || (bytes.length === pieceSize ? bytes.length : 0)
    if (end === 0) return []
    position = { id, offset: position.offset + end }
    return written(bytes.subarray(0, end).toString('utf8'))
  }

  return { next, position: () => position, gaps: () => gaps }
}

import { type Piece, pieceSize, readFrom } from '../host.ts'

/** Up to where a file has been read, always between two lines. */
export interface Position {
  id: string
  offset: number
}

export interface Follower {
  /** the next lines, in the order of the file; none when all are read */
  next(): Promise<string[]>
  position(): Position
}

/** Reads a file that others append to, line by line across its rotation to `FILE.1`, from where an earlier one stopped. */
export function follow(file: string, start: Position = { id: '', offset: 0 }): Follower {
  let position = start
  /** the beginning of a line that the rotation cut */
  let rest: Buffer = Buffer.alloc(0)

  async function next(): Promise<string[]> {
    const current = await readFrom(file, position.offset)
    if (!current) return []
    if (current.id === position.id && current.size >= position.offset) return take(current)
    if (current.id === position.id) {
      // Somebody emptied it by hand.
      position = { id: current.id, offset: 0 }
      return next()
    }
    const older = await readFrom(`${file}.1`, position.offset)
    // Rotated between the two looks; the next one sees it whole.
    if (older?.id === current.id) return []
    if (older?.id === position.id) {
      const lines = take(older)
      if (lines.length > 0) return lines
      rest = Buffer.from(older.bytes)
      position = { id: current.id, offset: 0 }
    } else position = { id: (older ?? current).id, offset: 0 }
    return next()
  }

  function take({ id, bytes }: Piece): string[] {
    const end = bytes.lastIndexOf(10) + 1 || (bytes.length === pieceSize ? bytes.length : 0)
    if (end === 0) return []
    const text = Buffer.concat([rest, bytes.subarray(0, end)]).toString('utf8')
    rest = Buffer.alloc(0)
    position = { id, offset: position.offset + end }
    return text.replace(/\n$/, '').split('\n')
  }

  return { next, position: () => position }
}

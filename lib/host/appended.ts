import { createHash } from 'node:crypto'
import { fstatSync, ftruncateSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import path from 'node:path'

const missing = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')

/** What a work on a file gives, or something else where there is no such file. */
export async function unless<T>(work: Promise<T>, otherwise: T): Promise<T> {
  return work.catch((error) => {
    if (missing(error)) return otherwise
    throw error
  })
}

/** Bytes that are read at once. */
export const pieceSize = 262_144

/** Up to where a file has been read, always between two lines. */
export interface Position {
  id: string
  offset: number
}

/** A piece of a file that others append to. */
export interface Piece {
  /** tells its content from what a later or an earlier file of the same name holds, also in a copy: by its first line. Empty while that is not whole */
  id: string
  /** of the whole file, in bytes */
  size: number
  bytes: Buffer
}

/** Bytes of a first line that tell it from every other: the moment and the request's own id are among them. */
const telling = 200

async function identity(handle: fs.FileHandle): Promise<string> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(telling), { position: 0 })
  const end = buffer.subarray(0, bytesRead).indexOf(10)
  if (end < 0 && bytesRead < telling) return ''
  const first = end < 0 ? buffer : buffer.subarray(0, end)
  return createHash('sha256').update(first).digest('hex').slice(0, 16)
}

/** What stands in a file from an offset on, `pieceSize` at most; undefined when there is no file. */
export async function readFrom(file: string, offset: number): Promise<Piece | undefined> {
  const handle = await unless(fs.open(file), undefined)
  if (!handle) return undefined
  try {
    const id = await identity(handle)
    const { size } = await handle.stat()
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(pieceSize), { position: offset })
    return { id, size, bytes: buffer.subarray(0, bytesRead) }
  } finally {
    await handle.close()
  }
}

/** ms in which nobody has written, so that nothing comes while a file is emptied */
const quiet = 1000

/** Whether all of an open file is known and nobody writes: a copy that is made of it just then would hold what is unread. */
function still(fd: number, known: Position): boolean {
  const { size, mtimeMs } = fstatSync(fd)
  return size === known.offset && Math.abs(Date.now() - mtimeMs) >= quiet
}

/** Empties a file that others append to, when all of it is known and nobody writes at the moment; its older copy goes, too. Tells whether. */
export async function empty(file: string, known: Position): Promise<boolean> {
  const handle = await unless(fs.open(file, 'r+'), undefined)
  if (!handle) return false
  try {
    if ((await identity(handle)) !== known.id || !still(handle.fd, known)) return false
    await fs.rm(`${file}.1`, { force: true })
    // In one step of this process: microseconds after the look.
    if (!still(handle.fd, known)) return false
    ftruncateSync(handle.fd)
    return true
  } finally {
    await handle.close()
  }
}

/** Appends to a file of ours alone (0600); makes the folders above it. */
export async function append(file: string, text: string): Promise<void> {
  await fs.mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
  await fs.appendFile(file, text, { mode: 0o600 })
}

/** Begins a file anew that is over so many bytes; whoever appends to it goes on in the same one. */
export async function bound(file: string, most: number): Promise<void> {
  const facts = await unless(fs.lstat(file), undefined)
  if ((facts?.size ?? 0) > most) await fs.truncate(file)
}

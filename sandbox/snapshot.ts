import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join, relative } from 'node:path'

/** What lies in a folder: path relative to it → kind, permission bits and, for a file, the SHA-256 of its bytes. */
export type Snapshot = Map<string, string>

function describe(path: string): string {
  const facts = lstatSync(path)
  const mode = (facts.mode & 0o7777).toString(8).padStart(4, '0')
  if (facts.isSymbolicLink()) return `link ${readlinkSync(path)}`
  if (facts.isDirectory()) return `folder ${mode}`
  if (!facts.isFile()) return `other ${mode}`
  return `file ${mode} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`
}

/** Takes a snapshot; a missing folder gives an empty one. Links are not followed. */
export function snapshot(folder: string): Snapshot {
  if (!lstatSync(folder, { throwIfNoEntry: false })?.isDirectory()) return new Map()
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true })
  const paths = entries.map((entry) => join(entry.parentPath, entry.name)).sort()
  return new Map(paths.map((path) => [relative(folder, path), describe(path)]))
}

/** The lines by which two snapshots differ: `+ path`, `- path`, `~ path`. */
export function differences(before: Snapshot, after: Snapshot): string[] {
  const gone = [...before.keys()].filter((path) => !after.has(path)).map((path) => `- ${path}`)
  const added = [...after.keys()].filter((path) => !before.has(path)).map((path) => `+ ${path}`)
  const other = [...after.keys()].filter((path) => before.has(path) && before.get(path) !== after.get(path))
  return [...gone, ...added, ...other.map((path) => `~ ${path}`)].sort()
}

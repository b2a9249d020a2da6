import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join, relative } from 'node:path'

/** What lies in a folder: path relative to it → kind, permission bits and, for a file, the SHA-256 of its bytes. */
export type Snapshot = Map<string, string>

/** Undefined when it went meanwhile, as the drafts of running jobs do. */
function describe(path: string): string | undefined {
  const facts = lstatSync(path, { throwIfNoEntry: false })
  if (!facts) return undefined
  const mode = (facts.mode & 0o7777).toString(8).padStart(4, '0')
  if (facts.isSymbolicLink()) return `link ${readlinkSync(path)}`
  if (facts.isDirectory()) return `folder ${mode}`
  if (!facts.isFile()) return `other ${mode}`
  if (path.endsWith('.writing')) return undefined
  return `file ${mode} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`
}

/** Takes a snapshot; a missing folder gives an empty one. Links are not followed. */
export function snapshot(folder: string): Snapshot {
  if (!lstatSync(folder, { throwIfNoEntry: false })?.isDirectory()) return new Map()
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true })
  const paths = entries.map((entry) => join(entry.parentPath, entry.name)).sort()
  return new Map(
    paths.flatMap((path): [string, string][] => {
      const facts = describe(path)
      return facts === undefined ? [] : [[relative(folder, path), facts]]
    }),
  )
}

/** The lines by which two snapshots differ: `+ path`, `- path`, `~ path`. */
export function differences(before: Snapshot, after: Snapshot): string[] {
  const gone = [...before.keys()].filter((path) => !after.has(path)).map((path) => `- ${path}`)
  const added = [...after.keys()].filter((path) => !before.has(path)).map((path) => `+ ${path}`)
  const other = [...after.keys()].filter((path) => before.has(path) && before.get(path) !== after.get(path))
  return [...gone, ...added, ...other.map((path) => `~ ${path}`)].sort()
}

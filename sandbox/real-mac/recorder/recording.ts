import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** One call of a command and what came of it, in the form of sandbox/transcripts/tailscale/index.json. */
export interface Recorded {
  name: string
  argv: string[]
  /** the situation, in words */
  when: string
  exit: number
  stdout: string
  stderr: string
}

/** As it stands in index.json: what a command printed is a file beside it, or null when it printed nothing. */
type Row = Omit<Recorded, 'stdout'> & { stdout: string | null }

/** Writes a recording as a folder: index.json, and a file for each call that printed something. Replaces an older one. */
export function writeRecording(folder: string, recorded: Recorded[]): void {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const rows = recorded.map(({ stdout, ...rest }): Row => {
    const file = stdout === '' ? null : `${rest.name}.txt`
    if (file !== null) writeFileSync(join(folder, file), stdout)
    return { ...rest, stdout: file }
  })
  writeFileSync(join(folder, 'index.json'), `${JSON.stringify(rows, null, 1)}\n`)
}

/** Reads such a folder; throws when it holds none. */
export function readRecording(folder: string): Recorded[] {
  const rows = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as Row[]
  return rows.map((row) => ({
    ...row,
    stdout: row.stdout === null ? '' : readFileSync(join(folder, row.stdout), 'utf8'),
  }))
}

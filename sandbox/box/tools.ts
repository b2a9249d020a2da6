import { execFileSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packages } from './packages.ts'
import { program } from './paths.ts'
import { quote } from './quote.ts'

/** The program `ip`: this machine's, or an unpacked one behind a script (in `folder`) that finds its libraries. */
export async function ipProgram(folder: string): Promise<string> {
  const here = program('ip')
  if (here) return here
  const { bin, libraryPath } = await packages(['iproute2'])
  const script = join(folder, 'unpacked-ip')
  writeFileSync(script, `#!/bin/sh\nLD_LIBRARY_PATH=${quote(libraryPath)} exec ${quote(bin('ip'))} "$@"\n`)
  chmodSync(script, 0o755)
  return script
}

/** The real HAProxy that brew's stand-in installs, as mac.json names it. */
export interface Haproxy {
  version: string
  haproxyBinaries: Record<string, string>
  /** where it finds its libraries */
  libraryPath: string
}

async function find(): Promise<Haproxy> {
  const { bin, libraryPath } = await packages(['haproxy'])
  return haproxyAt(bin('haproxy'), libraryPath)
}

/** A program as Homebrew's HAProxy; it finds its libraries by itself unless told where. */
export function haproxyAt(file: string, libraryPath = ''): Haproxy {
  const said = execFileSync(file, ['-v'], { env: { LD_LIBRARY_PATH: libraryPath }, encoding: 'utf8' })
  const version = /version (\d+\.\d+\.\d+)/.exec(said)?.[1]
  if (!version) throw new Error(`${file} -v says no version: ${said}`)
  return { version, haproxyBinaries: { [version]: file }, libraryPath }
}

let found: Promise<Haproxy> | undefined

/** The HAProxy of this machine's distribution; it is fetched when it was never needed before. */
export function haproxy(): Promise<Haproxy> {
  found ??= find()
  return found
}

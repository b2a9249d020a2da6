import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import { packages } from '../box/packages.ts'
import { quote } from '../box/quote.ts'

/** What else a browser is told. */
interface Browsing {
  /** where it is started, such as a network namespace: what stands before a command there, and a folder for a script */
  place?: { within: string[]; folder: string }
  /** more of its arguments */
  args?: string[]
}

/** A program that starts another one elsewhere, for whoever starts programs by their path. */
function elsewhere(program: string, { within, folder }: NonNullable<Browsing['place']>): string {
  const file = join(folder, 'browser')
  writeFileSync(file, `#!/bin/sh\nexec ${[...within, program].map(quote).join(' ')} "$@"\n`, { mode: 0o755 })
  return file
}

/** Debian's own Chromium, fetched into the cache and not installed, which finds these names where the rules say (Chromium's `--host-resolver-rules`). */
export async function startBrowser(rules: string, { place, args = [] }: Browsing = {}): Promise<Browser> {
  const { root, libraryPath } = await packages(['chromium'])
  const further = libraryPath.split(':').map((folder) => join(folder, 'pulseaudio'))
  const unpacked = join(root, 'usr/lib/chromium/chromium')
  const program = existsSync(unpacked) ? unpacked : '/usr/bin/chromium'
  return chromium.launch({
    executablePath: place ? elsewhere(program, place) : program,
    args: [...(rules ? [`--host-resolver-rules=${rules}`] : []), ...args],
    env: { ...process.env, LD_LIBRARY_PATH: [libraryPath, ...further.filter(existsSync)].join(':') },
  })
}

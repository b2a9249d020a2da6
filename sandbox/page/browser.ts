import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import { packages } from '../box/packages.ts'

/** Debian's own Chromium, fetched into the cache and not installed, which finds these names where the rules say (Chromium's `--host-resolver-rules`). */
export async function startBrowser(rules: string): Promise<Browser> {
  const { root, libraryPath } = await packages(['chromium'])
  const further = libraryPath.split(':').map((folder) => join(folder, 'pulseaudio'))
  const unpacked = join(root, 'usr/lib/chromium/chromium')
  return chromium.launch({
    executablePath: existsSync(unpacked) ? unpacked : '/usr/bin/chromium',
    args: [`--host-resolver-rules=${rules}`],
    env: { ...process.env, LD_LIBRARY_PATH: [libraryPath, ...further.filter(existsSync)].join(':') },
  })
}

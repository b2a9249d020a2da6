import { existsSync, readFileSync } from 'node:fs'

/** Why no Debian can be booted here; undefined where one can: as root, on Debian 12, as in CI. */
export function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return 'a Debian is booted by root alone'
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : ''
  return /^ID=debian$/m.test(release) && /^VERSION_ID="?12"?$/m.test(release)
    ? undefined
    : 'the root of a Debian is made on Debian 12 alone'
}

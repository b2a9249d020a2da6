/** A release of Debian that can be booted here, by what its repositories and its settings differ in. */
export interface Release {
  version: string
  /** name of its suite, which packages and repositories go by */
  suite: string
}

const releases: Release[] = [
  { version: '12', suite: 'bookworm' },
  { version: '13', suite: 'trixie' },
]

/** The release of that version. Throws with those that there are. */
export function releaseOf(version: string): Release {
  const found = releases.find((release) => release.version === version)
  if (!found) {
    const known = releases.map((release) => release.version).join(', ')
    throw new Error(`there is no Debian ${version} to be booted here, only ${known}`)
  }
  return found
}

/** The release that stories boot: Debian 12, or what the environment variable DEBIAN says. Throws as `releaseOf` does. */
export const usualRelease = (): Release => releaseOf(process.env.DEBIAN || '12')

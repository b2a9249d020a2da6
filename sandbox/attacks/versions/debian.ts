import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { arch } from 'node:os'
import { basename, join } from 'node:path'
import { download, libraryFolders, run, type Suite, unpack, unpacked } from '../../box/apt.ts'
import { alone, packages } from '../../box/packages.ts'
import { cacheFolder } from '../../box/paths.ts'

/** Suites of Debian whose HAProxy is newer than Debian 12's, oldest first: 3.0, 3.2 and 3.4 when this was written. */
export const suites = ['trixie', 'sid', 'experimental'] as const

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** The mirror of Debian that this machine's apt uses. */
async function mirror(): Promise<string> {
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(REPO_URI)'])
  const found = stdout.split('\n').find((line) => /\/debian\/?$/.test(line))
  if (!found) throw new Error('the apt of this machine knows no mirror of Debian')
  return found
}

/** Experimental holds only what is newer than in sid, so it needs sid beside it. */
const sourcesOf = (suite: string, uri: string): string =>
  [
    'Types: deb',
    `URIs: ${uri}`,
    `Suites: ${suite === 'experimental' ? 'experimental sid' : suite}`,
    'Components: main',
    `Signed-By: ${keyring}`,
    '',
  ].join('\n')

/** Of what HAProxy depends on, only libraries are needed to run it from a folder. */
const needed = (file: string): boolean => /^(haproxy|lib|zlib)/.test(basename(file))

const folderFor = (suite: string): string => join(cacheFolder(), 'haproxy', `${suite}-${arch()}`)

/** Its own loader and libraries are written into the program, since its libc is newer than the machine's, and HAProxy's master starts itself again by its own path at each reload. */
async function independent(from: string, root: string, to: string): Promise<void> {
  const patchelf = await packages(['patchelf'])
  const patch = async (...argv: string[]) => {
    const { code, stdout, stderr } = await run(patchelf.bin('patchelf'), argv, {
      ...process.env,
      LD_LIBRARY_PATH: patchelf.libraryPath,
    })
    if (code !== 0) throw new Error(`patchelf ${argv.join(' ')}: ${stderr.trim()}`)
    return stdout.trim()
  }
  const folders = libraryFolders(join(from, 'root'))
  const name = basename(await patch('--print-interpreter', to))
  const home = folders.find((folder) => existsSync(join(folder, name)))
  if (!home) throw new Error(`there is no ${name} among the unpacked packages`)
  const final = (path: string) => path.replace(join(from, 'root'), root)
  await patch('--set-interpreter', join(final(home), name), to)
  await patch('--force-rpath', '--set-rpath', folders.map(final).join(':'), to)
}

async function make(folder: string, suite: Suite): Promise<void> {
  if (await starts(folder)) return
  const aside = `${folder}.new`
  for (const old of [aside, folder]) rmSync(old, { recursive: true, force: true })
  mkdirSync(join(aside, 'root'), { recursive: true })
  try {
    const files = await download(join(aside, 'apt'), ['haproxy'], suite)
    await unpack(files.filter(needed), join(aside, 'root'))
    rmSync(join(aside, 'apt'), { recursive: true, force: true })
    renameSync(unpacked(join(aside, 'root'), 'haproxy') ?? '', join(aside, 'haproxy'))
    await independent(aside, join(folder, 'root'), join(aside, 'haproxy'))
    renameSync(aside, folder)
  } finally {
    rmSync(aside, { recursive: true, force: true })
  }
}

/** A suite of Debian as apt takes it. Throws where its packages could not be verified, or no mirror of Debian is known. */
export async function suiteOf(name: string): Promise<Suite> {
  if (!existsSync(keyring)) throw new Error(`${keyring}, which would verify Debian's packages, is not on this machine`)
  return { name, sources: sourcesOf(name, await mirror()) }
}

const starts = async (folder: string): Promise<boolean> => (await run(join(folder, 'haproxy'), ['-v'])).code === 0

/**
 * HAProxy of another suite of Debian, as a program that runs on this machine; fetched once into the user's cache, with
 * apt's ordinary verification, and not installed. Throws when it cannot be had.
 */
export async function haproxyOf(suite: string): Promise<string> {
  const folder = folderFor(suite)
  if (!(await starts(folder))) {
    const found = await suiteOf(suite)
    await alone(`${folder}.lock`, () => make(folder, found))
  }
  return join(folder, 'haproxy')
}

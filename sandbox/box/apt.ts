import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Ran {
  code: number
  stdout: string
  stderr: string
}

/** Runs a program to its end; a missing one is code 127. */
export function run(command: string, args: string[], env: NodeJS.ProcessEnv = process.env): Promise<Ran> {
  return new Promise((done) => {
    execFile(command, args, { env: { ...env, LC_ALL: 'C' }, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      const code = error ? (typeof error.code === 'number' ? error.code : 127) : 0
      done({ code, stdout, stderr })
    })
  })
}

/** A suite of Debian that is not this machine's: its sources in deb822 form. Packages come with all that they depend on. */
export interface Suite {
  name: string
  sources: string
}

/** What to do without these packages. */
export const advice = (names: string[]): string =>
  names.includes('haproxy')
    ? 'set HAPROXY=/path/to/haproxy (2.6 or newer) and run again.'
    : 'install them and run again.'

/** What dpkg knows of this machine, without the wanted packages: apt is to fetch those even where they are installed. */
function statusWithout(names: string[]): string {
  const file = '/var/lib/dpkg/status'
  const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
  const kept = text.split(/\n\n+/).filter((stanza) => !names.includes(/^Package: (.+)$/m.exec(stanza)?.[1] ?? ''))
  return `${kept.join('\n\n').trimEnd()}\n\n`
}

/** The keys that sign a suite stay those that Debian put on this machine. */
function sourcesOf(folder: string, suite: Suite): Record<string, string> {
  const file = join(folder, 'suite.sources')
  writeFileSync(file, suite.sources)
  return { 'Dir::Etc::sourcelist': file, 'Dir::Etc::sourceparts': '-', 'APT::Default-Release': suite.name }
}

/** apt with folders of its own, so that it needs no root, no earlier update, and leaves the machine's alone. */
function aptOptions(folder: string, names: string[], suite?: Suite): string[] {
  for (const name of ['lists/partial', 'cache/archives/partial', 'state'])
    mkdirSync(join(folder, name), { recursive: true })
  writeFileSync(join(folder, 'status'), suite ? '' : statusWithout(names))
  const settings = {
    'Dir::State': join(folder, 'state'),
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::State::extended_states': join(folder, 'extended_states'),
    'Dir::Cache': join(folder, 'cache'),
    'Dir::Cache::archives': join(folder, 'cache/archives'),
    'Debug::NoLocking': '1',
    // Downloads are written as this user: _apt may not write here.
    'APT::Sandbox::User': process.getuid?.() === 0 ? 'root' : '',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
    'APT::Install-Recommends': 'false',
    ...(suite ? sourcesOf(folder, suite) : {}),
  }
  return Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])
}

function firstError({ stderr, stdout }: Ran): string {
  const lines = `${stderr}\n${stdout}`.split('\n').filter((line) => line.startsWith('E: '))
  return (lines[0] ?? 'apt-get gave no reason').replace(/^E: /, '')
}

/** Fetches packages into a folder of apt's own and gives the files; throws, with what to do, when they cannot be had. */
export async function download(folder: string, names: string[], suite?: Suite): Promise<string[]> {
  const options = aptOptions(folder, names, suite)
  // Its own result does not matter: one source of many may be out of reach.
  const update = await run('apt-get', [...options, '-q', 'update'])
  const fetched = await run('apt-get', [
    ...options,
    '-q',
    '-y',
    '--download-only',
    '--no-install-recommends',
    'install',
    ...names,
  ])
  if (fetched.code !== 0) {
    const reason =
      update.code === 0 && !/^(W|Err)/m.test(update.stderr + update.stdout)
        ? firstError(fetched)
        : `${firstError(fetched)}; is this machine offline?`
    throw new Error(
      `The Debian/Ubuntu packages ${names.join(', ')}${suite ? ` of ${suite.name}` : ''} could not be fetched (${reason}). Connect to the internet, or ${advice(names)}`,
    )
  }
  const archives = join(folder, 'cache/archives')
  return readdirSync(archives)
    .filter((name) => name.endsWith('.deb'))
    .map((name) => join(archives, name))
}

/** Unpacks packages without installing them. */
export async function unpack(files: string[], root: string): Promise<void> {
  for (const file of files) {
    const { code, stderr } = await run('dpkg-deb', ['-x', file, root])
    if (code !== 0) throw new Error(`${file} could not be unpacked: ${stderr.trim()}`)
  }
}

/** Folders with shared libraries, in the order that the loader is to search them. */
export function libraryFolders(root: string): string[] {
  const found = ['usr/lib', 'lib'].flatMap((name) => {
    const folder = join(root, name)
    if (!existsSync(folder)) return []
    const inside = readdirSync(folder, { withFileTypes: true }).filter(
      (entry) => entry.isDirectory() && entry.name.includes('-linux-'),
    )
    return [...inside.map((entry) => join(folder, entry.name)), folder]
  })
  return found.filter((folder) => readdirSync(folder).some((name) => /\.so(\.|$)/.test(name)))
}

/** A program among unpacked packages. */
export function unpacked(root: string, name: string): string | undefined {
  const places = ['usr/sbin', 'usr/bin', 'sbin', 'bin'].map((folder) => join(root, folder, name))
  return places.find((path) => existsSync(path))
}

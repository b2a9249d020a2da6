import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout that this box belongs to. */
export const checkout = resolve(dirname(fileURLToPath(import.meta.url)), '../..')

/** The Node that runs this, and that the box's scripts and stand-ins run under. */
export const node = realpathSync(process.execPath)

/** Where bundles and unpacked packages are kept between runs: `$XDG_CACHE_HOME` or `~/.cache`. */
export function cacheFolder(): string {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'remote-ollama-proxy')
  mkdirSync(folder, { recursive: true })
  return realpathSync(folder)
}

/** What a box must see at its usual path besides the system: the checkout, its packages, Node and the cache. */
export function usualPaths(): string[] {
  const modules = join(checkout, 'node_modules')
  const paths = [
    checkout,
    ...(existsSync(modules) ? [realpathSync(modules)] : []),
    dirname(dirname(node)),
    cacheFolder(),
  ]
  return [...new Set(paths)].filter((path) => path !== '/' && path !== '/usr')
}

/** The first of these programs on this machine's PATH, with the folders that a plain user's PATH lacks. */
export function program(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin', '/usr/bin', '/bin']
  return folders.map((folder) => join(folder, name)).find((path) => path.startsWith('/') && existsSync(path))
}

function sources(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true })
  const files = entries.filter((entry) => entry.isFile() && /\.(ts|json)$/.test(entry.name))
  return files.map((entry) => join(entry.parentPath, entry.name)).sort()
}

/** A name for what these files hold: all sources in a folder, and further ones. */
export function fingerprint(folder: string, more: string[]): string {
  const hash = createHash('sha256')
  for (const file of [...sources(folder), ...more]) hash.update(file).update(readFileSync(file))
  return hash.digest('hex').slice(0, 16)
}

/** A folder with the stand-ins, made once for each content of theirs: `standins.mjs` to start, and a chunk for each, so that a call reads no other's. */
export async function bundle(): Promise<string> {
  const standins = join(checkout, 'sandbox/standins')
  const dialer = join(checkout, 'sandbox/box/dialer.ts')
  const folder = join(cacheFolder(), 'bundles', fingerprint(standins, [dialer, fileURLToPath(import.meta.url)]))
  if (existsSync(join(folder, 'standins.mjs'))) return folder
  const fresh = `${folder}.${process.pid}`
  const { build } = await import('esbuild')
  await build({
    entryPoints: { standins: join(standins, 'index.ts') },
    outdir: fresh,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    minify: true,
    chunkNames: 'standins-[hash]',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'error',
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)" },
  })
  settle(fresh, folder)
  return folder
}

/** Two boxes may have built the same at once: the first one stays. */
export function settle(fresh: string, folder: string): void {
  try {
    renameSync(fresh, folder)
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true })
    if (!existsSync(folder)) throw error
  }
}

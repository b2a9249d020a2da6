import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Plugin } from 'esbuild'
import { checkout, fingerprint, settle } from './paths.ts'

/** What a person starts: the scripts at the top of the checkout. */
const names = readdirSync(checkout).filter((name) => /^[\w-]+\.ts$/.test(name))

/** Each file goes on knowing itself by its own place in the checkout, beside which it finds templates. */
const places: Plugin = {
  name: 'places',
  setup: (build) =>
    build.onLoad({ filter: /\.ts$/, namespace: 'file' }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)),
      loader: 'ts',
    })),
}

async function build(outdir: string): Promise<void> {
  const esbuild = await import('esbuild')
  await esbuild.build({
    entryPoints: names.map((name) => join(checkout, name)),
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'error',
    plugins: [places],
    banner: {
      js: "import { createRequire as requiring } from 'node:module'; const require = requiring(import.meta.url)",
    },
  })
}

/** Removes what earlier sources were compiled to, unless a run of today may still start it. */
function tidy(folder: string): void {
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const old = join(folder, name)
    if (Date.now() - statSync(old).mtimeMs > 86_400_000) rmSync(old, { recursive: true, force: true })
  }
}

let made: Promise<string> | undefined

async function make(): Promise<string> {
  const more = [...names, 'package-lock.json', 'sandbox/box/compiled.ts'].map((name) => join(checkout, name))
  // Below the packages, so that a script finds them as in the checkout.
  const folder = join(checkout, 'node_modules/.cache/scripts', fingerprint(join(checkout, 'lib'), more))
  if (existsSync(folder)) return folder
  tidy(dirname(folder))
  const fresh = `${folder}.${process.pid}`
  await build(fresh)
  settle(fresh, folder)
  return folder
}

/**
 * A folder with the scripts of this checkout and all that they import, made once for each content of theirs. Else tsx finds
 * and compiles hundreds of files at each start, which takes five times as long as all that most of them do.
 */
export function compiled(): Promise<string> {
  made ??= make()
  return made
}

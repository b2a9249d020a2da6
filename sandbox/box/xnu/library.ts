import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { arch } from 'node:os'
import { join } from 'node:path'
import { run } from '../apt.ts'
import { alone, packages } from '../packages.ts'
import { cacheFolder, checkout, program } from '../paths.ts'

/** What XNU does otherwise than Linux, as a library for LD_PRELOAD; built once for its text, by this machine's C compiler or Debian's tcc. Throws where neither can be had. */
export async function xnuLibrary(): Promise<string> {
  const source = join(checkout, 'sandbox/box/xnu/xnu.c')
  const name = createHash('sha256').update(readFileSync(source)).update(arch()).digest('hex').slice(0, 16)
  const folder = join(cacheFolder(), 'xnu')
  const library = join(folder, `${name}.so`)
  if (!existsSync(library)) await alone(`${library}.lock`, () => build(source, folder, library))
  return library
}

async function build(source: string, folder: string, library: string): Promise<void> {
  if (existsSync(library)) return
  const { compiler, libraryPath } = await cc()
  mkdirSync(folder, { recursive: true })
  const aside = `${library}.new`
  const env = { ...process.env, LD_LIBRARY_PATH: libraryPath }
  const { code, stderr } = await run(compiler, ['-shared', '-fPIC', '-nostdlib', '-o', aside, source], env)
  if (code !== 0) {
    rmSync(aside, { force: true })
    throw new Error(`${compiler} could not build ${source}: ${stderr.trim()}`)
  }
  renameSync(aside, library)
}

async function cc(): Promise<{ compiler: string; libraryPath: string }> {
  const here = program('cc')
  if (here) return { compiler: here, libraryPath: '' }
  const { bin, libraryPath } = await packages(['tcc'])
  return { compiler: bin('tcc'), libraryPath }
}

/** The environment of a program that runs on XNU; `loses` 3 loses one handed-over socket of three. */
export const onXnu = (library: string, loses?: number): Record<string, string> => ({
  LD_PRELOAD: library,
  ...(loses ? { XNU_LOSES: `${loses}` } : {}),
})

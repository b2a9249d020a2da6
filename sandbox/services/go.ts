import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { alone } from '../box/packages.ts'
import { cacheFolder } from '../box/paths.ts'

const minutes = 60_000

/** Runs `go` for the build, with more of its environment if it needs any; gives what it printed. */
export type Go = (argv: string[], env?: Record<string, string>) => Promise<string>

/** What some programs need beside their module: more arguments of `go install`, and what must be in its environment, which may be fetched first. */
export interface Special {
  argv?: string[]
  env?(go: Go, folder: string): Promise<Record<string, string>>
}

/** Builds a program of Go's module proxy once into the cache, and gives its path; `module` is as `go install` takes it, with its version. Throws where Go or the module cannot be had. */
export async function built(name: string, module: string, special: Special = {}): Promise<string> {
  const folder = join(cacheFolder(), 'services', `${name}-${module.split('@').at(-1)}`)
  const program = join(folder, name)
  if (!existsSync(program)) await alone(`${folder}.lock`, async () => build(folder, name, module, special))
  return program
}

/** Built aside, so that what is in place is whole; what Go fetched for it goes again. */
async function build(folder: string, name: string, module: string, { argv = [], env }: Special): Promise<void> {
  if (existsSync(join(folder, name))) return
  const aside = join(folder, 'new')
  rmSync(aside, { recursive: true, force: true })
  mkdirSync(aside, { recursive: true })
  const own = { GOBIN: join(aside, 'bin'), GOPATH: join(aside, 'go'), GOCACHE: join(aside, 'cache') }
  const go: Go = async (words, more) => {
    const env = { ...process.env, ...own, GOFLAGS: '-buildvcs=false -modcacherw', ...more }
    const { stdout } = await promisify(execFile)('go', words, { env, cwd: aside, timeout: 30 * minutes })
    return stdout
  }
  await go(['install', ...argv, module], await env?.(go, aside))
  renameSync(join(aside, 'bin', name), join(folder, name))
  rmSync(aside, { recursive: true, force: true })
}

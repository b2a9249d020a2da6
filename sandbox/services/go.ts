import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { alone } from '../box/packages.ts'
import { cacheFolder } from '../box/paths.ts'

const minutes = 60_000

/** Builds a program of Go's module proxy once into the cache, and gives its path; `module` is as `go install` takes it, with its version. Throws where Go or the module cannot be had. */
export async function built(name: string, module: string): Promise<string> {
  const folder = join(cacheFolder(), 'services', `${name}-${module.split('@').at(-1)}`)
  const program = join(folder, name)
  if (!existsSync(program)) await alone(`${folder}.lock`, async () => build(folder, name, module))
  return program
}

/** Built aside, so that what is in place is whole; what Go fetched for it goes again. */
function build(folder: string, name: string, module: string): void {
  if (existsSync(join(folder, name))) return
  const aside = join(folder, 'new')
  rmSync(aside, { recursive: true, force: true })
  mkdirSync(aside, { recursive: true })
  const own = { GOBIN: join(aside, 'bin'), GOPATH: join(aside, 'go'), GOCACHE: join(aside, 'cache') }
  const env = { ...process.env, ...own, GOFLAGS: '-buildvcs=false -modcacherw' }
  execFileSync('go', ['install', module], { env, stdio: 'pipe', timeout: 15 * minutes })
  renameSync(join(aside, 'bin', name), join(folder, name))
  rmSync(aside, { recursive: true, force: true })
}

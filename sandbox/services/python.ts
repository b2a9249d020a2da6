import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from '../box/paths.ts'

/** What is installed with pip, and the program that comes of it. */
export interface PythonProgram {
  name: string
  /** lines of a requirements file */
  wanted: string
  /** every package is among the lines, so that none is chosen by pip */
  whole: boolean
}

const minutes = 60_000

const run = (file: string, ...argv: string[]): string =>
  execFileSync(file, argv, { encoding: 'utf8', stdio: 'pipe', timeout: 10 * minutes })

/** A Python from 3.11 to 3.12; it is asked, since a name may be of one that cannot run. */
function python(): string {
  for (const name of ['python3.12', 'python3.11', '/usr/bin/python3', 'python3'])
    try {
      const found = run(name, '-c', 'import sys; print(sys.executable if (3,11)<=sys.version_info[:2]<(3,13) else "")')
      if (found.trim()) return found.trim()
    } catch {
      // The next one may run.
    }
  throw new Error('there is no Python 3.11 or 3.12')
}

/** Installs it once into the cache, and gives the program's path. Throws where Python or a package cannot be had. */
export function installed({ name, wanted, whole }: PythonProgram): string {
  const key = createHash('sha256').update(wanted).digest('hex').slice(0, 12)
  const folder = join(cacheFolder(), 'services', `${name}-${key}`)
  const [venv, done] = [join(folder, 'venv'), join(folder, 'done')]
  const program = join(venv, 'bin', name)
  if (existsSync(done) && existsSync(program)) return program
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const [own, list] = [python(), join(folder, 'wanted.txt')]
  writeFileSync(list, wanted)
  run(own, '-m', 'venv', join(folder, 'uv'))
  run(join(folder, 'uv/bin/pip'), '-q', 'install', 'uv==0.13.9')
  const uv = join(folder, 'uv/bin/uv')
  run(uv, 'venv', '-q', '--python', own, venv)
  run(uv, 'pip', 'install', '-q', ...(whole ? ['--no-deps'] : []), '--python', join(venv, 'bin/python'), '-r', list)
  writeFileSync(done, '')
  return program
}

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from '../box/paths.ts'
import type { Real } from './real.ts'

/** Where the clients are kept; the box sees it at the same path. */
const root = join(cacheFolder(), 'clients')

/** Newer than most laptops' Node, since some of these ask for it; npm has it as a package. */
const nodePackage = 'node@24.9.0'

/** Runs to its end; throws with its last lines. */
function run(argv: string[], cwd: string): void {
  const [program = '', ...args] = argv
  const { status, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8', timeout: 900_000 })
  if (status !== 0) throw new Error(error?.message ?? stderr.trim().split('\n').slice(-3).join(' '))
}

/** Makes a folder whole or not at all; what it holds is in its name. */
function made(kind: string, packages: string[], make: (folder: string) => void): string {
  const folder = join(root, `${kind}-${packages.join('+').replaceAll(/[^\w.@+=-]/g, '_')}`)
  if (existsSync(join(folder, 'complete'))) return folder
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  make(folder)
  writeFileSync(join(folder, 'complete'), '')
  return folder
}

/** npm packages in a folder of the cache; throws with the reason where they cannot be had. */
export const npm = (packages: string[]): string =>
  made('npm', packages, (folder) => {
    writeFileSync(join(folder, 'package.json'), '{"private":true,"type":"module"}\n')
    run(['npm', 'install', '--no-audit', '--no-fund', '--loglevel=error', ...packages], folder)
  })

/** A virtual environment knows its own path, so it is made where it stays. */
const pip = (packages: string[]): string =>
  made('pip', packages, (folder) => {
    run(['python3', '-m', 'venv', '.'], folder)
    run(['bin/pip', '-q', 'install', ...packages], folder)
  })

/** A client on this machine: its folder, and the folders of programs that come first on its PATH. */
export interface Fetched {
  folder: string
  path: string[]
}

/** Node for the clients. */
export const fetchNode = (): string => join(npm([nodePackage]), 'node_modules/.bin')

/** Brings a client into the cache; throws with the reason where it cannot be had. */
export function fetchClient(real: Real, node: string): Fetched {
  if (real.npm) {
    const folder = npm(real.npm)
    return { folder, path: [join(folder, 'node_modules/.bin'), node] }
  }
  if (!real.pip) return { folder: root, path: [] }
  const folder = pip(real.pip)
  return { folder, path: [join(folder, 'bin')] }
}

/** The program behind the python of a virtual environment, which the box has to see; undefined where there is none. */
export function pythonOf({ folder }: Fetched): string | undefined {
  const python = join(folder, 'bin/python')
  return existsSync(python) ? realpathSync(python) : undefined
}

import { execFile } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { bundle } from '../box/paths.ts'
import { type Box, macWith, openBox } from './box.ts'
import { wrapper } from './brew/kegs.ts'
import { offPath, standIns } from './index.ts'

export interface Said {
  code: number
  stdout: string
  stderr: string
}

/** A box for tests of single commands: no namespaces, no launchd, everything in one folder. */
export interface CommandBox extends Box {
  home: string
  path: string
  run(argv: string[], options?: { env?: Record<string, string | undefined>; input?: string }): Promise<Said>
  close(): void
}

function places(dir: string): object {
  const folders = { prefix: 'opt/homebrew', applications: 'Applications', usrLocalBin: 'usr/local/bin' }
  return Object.fromEntries(Object.entries(folders).map(([key, folder]) => [key, join(dir, folder)]))
}

function execute(argv: string[], env: NodeJS.ProcessEnv, input: string): Promise<Said> {
  const [command = '', ...args] = argv
  return new Promise((resolve) => {
    const child = execFile(command, args, { env, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr })
    })
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}

/** Opens such a box; `differences` are those of its Mac from a fresh one. */
export async function openCommandBox(differences: object = {}): Promise<CommandBox> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'command-')))
  const box = openBox(dir)
  const home = join(dir, 'home')
  for (const folder of [home, join(dir, 'bin'), join(dir, 'run')]) mkdirSync(folder, { recursive: true })
  cpSync(await bundle(), dir, { recursive: true })
  for (const name of Object.keys(standIns).filter((one) => !offPath.includes(one) || one === 'socketfilterfw')) {
    writeFileSync(join(dir, 'bin', name), wrapper(box, name))
    chmodSync(join(dir, 'bin', name), 0o755)
  }
  box.save(macWith({ ...places(dir), ...differences }))
  const path = [
    join(dir, 'bin'),
    join(dir, 'opt/homebrew/bin'),
    '/usr/bin',
    '/bin',
    '/usr/sbin',
    dirname(process.execPath),
  ].join(':')
  const env = { PATH: path, HOME: home, TERM: 'xterm' }
  return {
    dir,
    home,
    path,
    get mac() {
      return box.mac
    },
    save: (change) => box.save(change),
    run: (argv, options = {}) => execute(argv, { ...env, ...options.env }, options.input ?? ''),
    close: () => rmSync(dir, { recursive: true, force: true }),
  }
}

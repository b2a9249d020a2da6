import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build as bundle } from 'esbuild'
import { build, type PlistValue } from 'plist'
import { type Control, control } from './wire.ts'

/** What one call of a command gave. */
export interface Said {
  code: number
  stdout: string
  stderr: string
}

/** A small box for tests of launchd alone: a home, a mac.json and a running daemon. */
export interface TestBox {
  dir: string
  home: string
  launchctl(...argv: string[]): Promise<Said>
  launchctlWith(env: Record<string, string>, ...argv: string[]): Promise<Said>
  control(request: Control): Promise<void>
  /** writes an agent's plist into LaunchAgents and gives its path */
  agent(label: string, keys: Record<string, PlistValue>): string
  /** changes knobs and other keys of mac.json */
  mac(change: object): void
  pid(label: string): Promise<number>
  state(label: string): Promise<string | undefined>
  restartDaemon(): Promise<void>
  close(): Promise<void>
}

const entry = `
const name = process.argv[2]
import { openBox } from './box.ts'
const { main } = name === 'launchd' ? await import('./launchd.ts') : await import('./launchctl.ts')
process.exitCode = await main(process.argv.slice(3), openBox(process.env.BOX))
`

/** Bundles the command and the daemon as the box does; gives the file. */
export async function bundleStandins(dir: string): Promise<string> {
  const outfile = join(dir, 'standins.mjs')
  const resolveDir = new URL('..', import.meta.url).pathname
  const stdin = { contents: entry, resolveDir, loader: 'ts' as const }
  await bundle({ stdin, outfile, bundle: true, platform: 'node', format: 'esm', logLevel: 'silent' })
  return outfile
}

/** Awaits a condition, asked every 25 ms, up to ten seconds. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

/** Whether a process is there and no zombie. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** One value of `launchctl print`, read as a careful script does: lines indented by exactly one tab. */
export function field(printed: string, name: string): string | undefined {
  return new RegExp(`^\\t${name} = (.*)$`, 'm').exec(printed)?.[1]
}

function run(file: string, argv: string[], env: Record<string, string | undefined>): Promise<Said> {
  return new Promise((resolve) => {
    execFile(process.execPath, [file, ...argv], { env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr })
    })
  })
}

function answers(dir: string): Promise<boolean> {
  return control({ dir }, { control: 'ping' }).then(
    () => true,
    () => false,
  )
}

async function startDaemon(file: string, dir: string, env: Record<string, string | undefined>): Promise<ChildProcess> {
  const child = spawn(process.execPath, [file, 'launchd'], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  try {
    await until('launchd answers', () => child.exitCode === null && answers(dir))
  } catch (error) {
    await stopDaemon(child)
    throw error
  }
  return child
}

async function stopDaemon(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  await gone
}

function writeAgent(home: string, label: string, keys: Record<string, PlistValue>): string {
  const path = join(home, 'Library/LaunchAgents', `${label}.plist`)
  writeFileSync(path, build({ Label: label, ...keys }))
  chmodSync(path, 0o644)
  return path
}

function changeMacFile(dir: string, change: object): void {
  const path = join(dir, 'mac.json')
  const old: unknown = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {}
  writeFileSync(path, JSON.stringify({ ...(old as object), ...change }))
}

/** Opens a test box; `mac` is merged into its mac.json before the daemon starts. */
export async function openTestBox(file: string, mac: object = {}): Promise<TestBox> {
  const dir = mkdtempSync(join(tmpdir(), 'ld-'))
  const home = join(dir, 'home')
  mkdirSync(join(home, 'Library/LaunchAgents'), { recursive: true })
  changeMacFile(dir, { macos: '15.6', desktop: true, launchd: { throttleMs: 400 }, ...mac })
  const env = { PATH: process.env.PATH, HOME: home, BOX: dir }
  let daemon = await startDaemon(file, dir, env)
  const launchctl = (...argv: string[]) => run(file, ['launchctl', ...argv], env)
  const printed = async (label: string) => (await launchctl('print', `gui/501/${label}`)).stdout
  return {
    dir,
    home,
    launchctl,
    launchctlWith: (more, ...argv) => run(file, ['launchctl', ...argv], { ...env, ...more }),
    control: (request) => control({ dir }, request),
    agent: (label, keys) => writeAgent(home, label, keys),
    mac: (change) => changeMacFile(dir, change),
    state: async (label) => field(await printed(label), 'state'),
    async pid(label) {
      let pid = 0
      await until(`${label} has a pid`, async () => {
        pid = Number(field(await printed(label), 'pid') ?? 0)
        return pid > 0
      })
      return pid
    },
    async restartDaemon() {
      await stopDaemon(daemon)
      daemon = await startDaemon(file, dir, env)
    },
    async close() {
      await stopDaemon(daemon)
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

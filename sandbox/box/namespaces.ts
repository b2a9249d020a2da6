import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { initScript, type Machine } from './init.ts'
import type { Layout } from './layout.ts'
import { program } from './paths.ts'
import { processesWith, signal } from './processes.ts'
import type { RootPlan } from './root.ts'

/** Where a box's programs run: namespaces of their own, or this machine as it is. */
export interface Ground {
  namespaced: boolean
  /** paths of the box at which something else is mounted or linked, which outlasts a restart */
  mounted: string[]
  /** the command line that runs a command on one of the box's machines */
  enter(machine: Machine, argv: string[]): string[]
  /** the process that holds a machine's network, as this side counts processes; undefined where it is this machine's own */
  holder(machine: Machine): number | undefined
  /** the box's live processes, without those that make it a box */
  processes(): number[]
  /** ends every process of the box and resolves when they are gone */
  close(): Promise<void>
  /** the same without waiting, for the end of this process */
  closeNow(): void
}

/** Whether a box can have namespaces here, with the flags for `unshare`; else the reason. */
export type Possible = { flags: string[] } | { why: string }

const SPACES = ['--mount', '--net', '--pid', '--ipc', '--uts']

/** A Mac's first user is 501 in group 20 (staff). Its first process keeps what it needs to set the box up. */
const AS_USER = ['--user', '--map-user=501', '--map-group=20', '--keep-caps']

/** Root without user namespaces (a container may forbid them): the box's programs are root then. */
const AS_ROOT: string[] = []

const TRIAL =
  'mount -t tmpfs none /mnt && mount -t proc proc /proc && mount --make-rprivate / && cd /mnt && mkdir old && pivot_root . old'

function why(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string }
  return (stderr?.trim() || message).split('\n')[0] ?? message
}

function attempt(flags: string[]): string | undefined {
  const unshare = program('unshare')
  if (!unshare) return 'this machine has no unshare (util-linux)'
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }
  try {
    execFileSync(unshare, [...flags, ...SPACES, '--fork', 'sh', '-c', TRIAL], { env, stdio: 'pipe', encoding: 'utf8' })
    return undefined
  } catch (error) {
    return why(error)
  }
}

let known: Possible | undefined

function explore(): Possible {
  if (process.platform !== 'linux') return { why: `namespaces are Linux's; this is ${process.platform}` }
  const asUser = attempt(AS_USER)
  if (asUser === undefined) return { flags: AS_USER }
  if (process.getuid?.() === 0 && attempt(AS_ROOT) === undefined) return { flags: AS_ROOT }
  return { why: `no namespaces of its own here: ${asUser}` }
}

/** Tries once, by doing it, whether this machine lets a box have its own namespaces. */
export function namespaces(): Possible {
  known ??= explore()
  return known
}

type Pids = Record<Machine, number>

/** Reads `NAME PID` lines until `ready`; throws with the script's complaints when it ends before. */
async function readPids(child: ChildProcess): Promise<Pids> {
  let complaints = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaints += text
  })
  const found = new Map<string, number>()
  if (!child.stdout) throw new Error('no output to read')
  for await (const line of createInterface({ input: child.stdout })) {
    const [name = '', pid] = line.split(' ')
    found.set(name, Number(pid))
    if (name === 'ready') break
  }
  const { mac, laptop, neighbour } = Object.fromEntries(found)
  if (found.has('ready') && mac && laptop && neighbour) return { mac, laptop, neighbour }
  if (child.exitCode === null) await once(child, 'close')
  throw new Error(`the box was not set up: ${complaints || `code ${child.exitCode}, ${[...found.keys()]}`}`)
}

/** Sets up a box's namespaces and its first process; they last until `close`, or as long as this process. */
export async function openNamespaces(layout: Layout, flags: string[], ip: string, plan: RootPlan): Promise<Ground> {
  const script = join(layout.dir, 'run/init.sh')
  writeFileSync(script, initScript({ ...plan, ip }))
  const unshare = program('unshare') ?? 'unshare'
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/' }
  const child = spawn(unshare, [...flags, ...SPACES, '--fork', '--kill-child', 'sh', script], {
    env,
    // Signals of the terminal are for the programs in the box, not for its first process.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const gone = once(child, 'exit')
  gone.catch(() => {})
  child.stdin.on('error', () => {})
  const pids = await readPids(child)
  letGo(child)
  const user = flags.includes('--user') ? ['--user', '--preserve-credentials'] : []
  const nsenter = program('nsenter') ?? 'nsenter'
  const fixed = new Set(processesWith(pids.mac))
  const closeNow = () => {
    // After its end the pid may be somebody else's.
    if (child.exitCode === null && child.signalCode === null) signal(pids.mac, 'SIGKILL')
  }
  return {
    namespaced: true,
    mounted: [layout.dir, ...plan.visible, ...plan.programs, ...Object.keys(plan.shared)],
    enter: (machine, argv) => [nsenter, '--target', String(pids[machine]), ...user, ...SPACES, '--', ...argv],
    holder: (machine) => pids[machine],
    processes: () => processesWith(pids.mac).filter((pid) => !fixed.has(pid)),
    closeNow,
    async close() {
      child.ref()
      closeNow()
      await gone
    },
  }
}

/** The box does not keep this process alive; when this process ends, the box's input closes and it ends too. */
function letGo(child: ChildProcess): void {
  child.unref()
  for (const stream of [child.stdin, child.stdout, child.stderr]) {
    const handle = stream as unknown as { unref?: () => void } | null
    handle?.unref?.()
  }
}

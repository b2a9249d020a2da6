import { execFileSync, spawn } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'plist'
import type { Look } from '../../../lib/host/look.ts'
import { told } from '../../../lib/platform/mac/told.ts'
import type { Question } from '../../../lib/platform/platform.ts'
import { tailscaleState } from '../../../lib/platform/tailscale.ts'

/** One command that only looks, and what it printed, as the scripts of lib/ read it. */
export interface Fact {
  argv: string[]
  exit: number
  stdout: string
  stderr: string
  ms: number
}

export interface Facts {
  commands: Fact[]
  /** what this system's pipes and sockets do; times in ms */
  measured: Record<string, number | string>
}

/** Blocks of ifconfig that matter, in their form. */
function devices(text: string): string {
  return text
    .split(/\n(?=\S)/)
    .filter((block) => /^(lo0|en0|utun\d+):/.test(block))
    .join('\n')
}

/** Headings and the lines that hold one of these. */
const lines =
  (...words: string[]) =>
  (text: string): string =>
    text
      .split('\n')
      .filter((line, at) => at < 2 || words.some((word) => line.includes(word)))
      .join('\n')

/** Questions about a process, sockets and files that are ours and gone afterwards. */
function ours({ pid, ports, file, plist }: Throwaway): Question[] {
  return [
    [['ps', '-o', 'user=', '-p', `${pid}`]],
    [['ps', '-o', 'args=', '-p', `${pid}`]],
    [['env', 'LC_ALL=C', 'TZ=UTC', 'ps', '-o', 'lstart=', '-p', `${pid}`]],
    [['ps', '-Ao', 'pid=,ppid='], (text) => text.split('\n').slice(0, 3).join('\n')],
    [['pgrep', '-x', 'no-such-program']],
    ...ports.map((port): Question => [['lsof', '-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpcutn']]),
    [['lsof', '-nP', `-iTCP:${ports[0]}`, '-sTCP:LISTEN']],
    [['netstat', '-anl', '-p', 'tcp'], lines(...ports.map((port) => `.${port} `))],
    [['ifconfig'], devices],
    [['stat', '-f', '%Su %Lp %z', file]],
    [['stat', '-f', '%Su', '/dev/console']],
    [['df', '-k', '/']],
    [['plutil', '-lint', plist]],
  ]
}

interface Throwaway {
  folder: string
  file: string
  plist: string
  pid: number
  ports: number[]
  remove(): void
}

function listening(host: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', reject).listen(0, host, () => resolve(server))
  })
}

const portOf = (server: Server): number => {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function throwaway(): Promise<Throwaway> {
  const folder = mkdtempSync(join(tmpdir(), 'recorder-'))
  const [file, plist] = [join(folder, 'file'), join(folder, 'a.plist')]
  writeFileSync(file, 'twelve bytes', { mode: 0o600 })
  writeFileSync(plist, build({ Label: 'a', ProgramArguments: ['/bin/sleep', '1'] }))
  const child = spawn('/bin/sleep', ['600'], { stdio: 'ignore' })
  const servers = [
    await listening('127.0.0.1'),
    ...(await listening('::1').then(
      (one) => [one],
      () => [],
    )),
  ]
  const remove = () => {
    child.kill()
    for (const server of servers) server.close()
    rmSync(folder, { recursive: true, force: true })
  }
  return { folder, file, plist, pid: child.pid ?? 0, ports: servers.map(portOf), remove }
}

async function asked(look: Look, [argv, kept]: Question): Promise<Fact> {
  const started = performance.now()
  const { code, stdout, stderr } = await look.query(argv, { timeoutMs: 60_000 })
  return { argv, exit: code, stdout: kept?.(stdout) ?? stdout, stderr, ms: Math.round(performance.now() - started) }
}

/** How much a FIFO holds that nobody reads, and whether its last write was a short one: 64 KB and none on Linux. */
function fifo(folder: string): Record<string, number | string> {
  const path = join(folder, 'fifo')
  try {
    execFileSync('mkfifo', ['-m', '600', path], { stdio: 'ignore' })
    const handle = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
    const written: number[] = []
    try {
      const piece = Buffer.alloc(500, 'x')
      while (written.length < 10_000) written.push(writeSync(handle, piece))
    } catch {
      // Full.
    }
    closeSync(handle)
    return {
      'fifo holds bytes': written.reduce((sum, one) => sum + one, 0),
      'fifo last write of 500': written.at(-1) ?? 0,
    }
  } catch (error) {
    return {
      'fifo holds bytes': error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? 'failed') : 'failed',
    }
  }
}

/** Time until a connection is made or refused, in ms: the way there and back. */
function connected(host: string, port: number): Promise<number> {
  const started = performance.now()
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const done = () => {
      socket.destroy()
      resolve(performance.now() - started)
    }
    socket.setTimeout(3000, done).once('connect', done).once('error', done)
  })
}

async function median(times: number, measure: () => Promise<number>): Promise<number> {
  const all: number[] = []
  for (let at = 0; at < times; at += 1) all.push(await measure())
  return Number(all.sort((a, b) => a - b)[Math.floor(times / 2)]?.toFixed(3))
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

/** A closed port: nothing has to listen on the tailnet, and the kernel of whoever carries the address answers. */
const closed = 9

async function measured(look: Look, { folder, ports }: Throwaway): Promise<Facts['measured']> {
  const { ipv4 } = await tailscaleState(look)
  const uid = process.getuid?.() ?? 501
  const gui = () => look.query(['launchctl', 'print', `gui/${uid}`])
  return {
    ...fifo(folder),
    'connect to loopback, ms': await median(21, () => connected('127.0.0.1', ports[0] ?? closed)),
    ...(ipv4 ? { 'refused at its own tailnet address, ms': await median(21, () => connected(ipv4, closed)) } : {}),
    'launchctl print gui, ms': await median(5, () => timed(gui)),
    'node starts, ms': await median(5, () => timed(() => look.query([process.execPath, '-e', '0']))),
  }
}

/** What this Mac is, as its commands say it; nothing is changed, and what is asked about is our own and gone afterwards. */
export async function recordFacts(look: Look): Promise<Facts> {
  const things = await throwaway()
  try {
    const commands: Fact[] = []
    for (const question of [...told, ...ours(things)]) commands.push(await asked(look, question))
    return { commands, measured: await measured(look, things) }
  } finally {
    things.remove()
  }
}

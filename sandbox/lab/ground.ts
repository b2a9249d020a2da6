import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkout } from '../box/paths.ts'
import { ipProgram } from '../box/tools.ts'
import { watchOver } from './gateway.ts'

/** Network namespaces of a test's own, and what runs in them. */
export interface Ground {
  /** for files; gone with it */
  folder: string
  /** the program `ip` */
  ip: string
  /** what a namespace of it is called on this machine */
  name(where: string): string
  /** starts a program in a namespace, which writes to that file and ends with this process */
  begin(where: string, argv: string[], log: string, env?: NodeJS.ProcessEnv): ChildProcess
  /** runs one there and gives what it printed; throws where it fails */
  run(where: string, ...argv: string[]): string
  /** what stands before a command that is to run there */
  within(where: string): string[]
  /** asks `ip` for something, in this namespace where one is named */
  set(where: string | undefined, ...argv: string[]): void
  /** two cards with a cable between them */
  cable(one: string, card: string, other: string, otherCard: string): void
  /** by which addresses whoever runs there knows names: `/etc/hosts` of this namespace alone */
  names(where: string, addresses: Record<string, string[]>): void
  /** ends all that runs there */
  close(): void
}

/** Why none can be had here; undefined where one can. */
export const whyNoGround = (): string | undefined =>
  process.getuid?.() === 0 && process.platform === 'linux' ? undefined : 'network namespaces are made by root alone'

const hostsOf = (addresses: Record<string, string[]>): string =>
  [['127.0.0.1', ['localhost']] as const, ...Object.entries(addresses)]
    .map(([address, names]) => `${address} ${names.join(' ')}\n`)
    .join('')

/** Makes such namespaces, each with its loopback up. */
export async function startGround(label: string, places: string[]): Promise<Ground> {
  const folder = mkdtempSync(join(tmpdir(), `${label}-`))
  const ip = await ipProgram(folder)
  const children: ChildProcess[] = []
  const name = (where: string) => `${label}-${process.pid}-${where}`
  const own = (where: string) => join('/etc/netns', name(where))
  const set = (where: string | undefined, ...argv: string[]) =>
    void execFileSync(ip, where === undefined ? argv : ['-n', name(where), ...argv], { stdio: 'pipe' })
  const within = (where: string) => [ip, 'netns', 'exec', name(where)]
  const run = (where: string, ...argv: string[]) =>
    execFileSync(ip, ['netns', 'exec', name(where), ...argv], { encoding: 'utf8', stdio: 'pipe' })
  for (const where of places) {
    set(undefined, 'netns', 'add', name(where))
    set(where, 'link', 'set', 'lo', 'up')
  }
  return {
    ...{ folder, ip, name, set, within, run },
    begin(where, argv, log, env = {}) {
      const out = openSync(log, 'w')
      const child = spawn(ip, ['netns', 'exec', name(where), ...argv], {
        ...{ cwd: checkout, env: { PATH: process.env.PATH, ...env } },
        stdio: ['ignore', out, out],
      })
      closeSync(out)
      watchOver(child.pid ?? 0)
      children.push(child)
      return child
    },
    cable: (one, card, other, otherCard) =>
      set(
        undefined,
        ...['link', 'add', card, 'netns', name(one), 'type', 'veth'],
        ...['peer', 'name', otherCard, 'netns', name(other)],
      ),
    names(where, addresses) {
      mkdirSync(own(where), { recursive: true })
      writeFileSync(join(own(where), 'hosts'), hostsOf(addresses))
    },
    close() {
      for (const child of children) child.kill('SIGKILL')
      for (const where of places) for (const pid of pids(ip, name(where))) process.kill(pid, 'SIGKILL')
      for (const where of places) set(undefined, 'netns', 'delete', name(where))
      for (const path of [...places.map(own), folder]) rmSync(path, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

const pids = (ip: string, name: string): number[] =>
  execFileSync(ip, ['netns', 'pids', name], { encoding: 'utf8' }).split('\n').filter(Boolean).map(Number)

/** Port numbers on which somebody listens in a namespace, on whatever address. */
export const portsOf = (ground: Ground, where: string): number[] => [
  ...new Set(
    ['tcp', 'tcp6'].flatMap((family) =>
      [...ground.run(where, 'cat', `/proc/net/${family}`).matchAll(/^ *\d+: [0-9A-F]+:([0-9A-F]{4}) \S+ 0A /gm)].map(
        ([, port = '']) => Number.parseInt(port, 16),
      ),
    ),
  ),
]

/** Tries to connect to all that it is given at once, for a second each, and prints with whom it could. */
const trying = `
const open = JSON.parse(process.argv[1]).map(([host, port]) => new Promise((resolve) => {
  const socket = require('net').connect({ host, port })
  const end = (whether) => { socket.destroy(); resolve(whether ? [host + ':' + port] : []) }
  socket.setTimeout(1000).on('timeout', () => end(false)).on('error', () => end(false)).on('connect', () => end(true))
}))
Promise.all(open).then((all) => console.log(JSON.stringify(all.flat())))`

/** As which `ADDRESS:PORT` somebody in a namespace comes to stand in a connection. */
export const reached = (ground: Ground, where: string, addresses: string[], ports: number[]): string[] =>
  JSON.parse(
    ground.run(
      where,
      ...[process.execPath, '-e', trying],
      JSON.stringify(addresses.flatMap((address) => ports.map((port) => [address, port]))),
    ),
  )

import { existsSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { type Change, type MacState, macWith, openBox } from '../standins/box.ts'
import { closer } from './closing.ts'
import { compiled } from './compiled.ts'
import { type Dialer, type HttpAnswer, type HttpOptions, httpOver, startDialer } from './dial.ts'
import { type Machine, net } from './init.ts'
import { inside } from './inside.ts'
import { environment, type Layout, makeLayout, rootPlan, scriptCommand } from './layout.ts'
import { type Life, makeLife } from './life.ts'
import { type Ground, namespaces, openNamespaces } from './namespaces.ts'
import { checkout, node } from './paths.ts'
import { NotHere, openPlain, ownAddress, type Ports, settledPorts } from './plain.ts'
import { combine, type Preset, presetMac } from './presets.ts'
import { quoteAll } from './quote.ts'
import { finish, launch, type Outcome, type Piece, type Running } from './running.ts'
import { type Snapshot, snapshot } from './snapshot.ts'
import { type Haproxy, haproxy, ipProgram } from './tools.ts'
import { xnuLibrary } from './xnu/library.ts'

export { differences } from './snapshot.ts'
export type { HttpAnswer, HttpOptions, Machine, Outcome, Piece, Running, Snapshot }
export { NotHere, namespaces, net }

export interface BoxOptions {
  /** bare: a Mac as unpacked; brew: with Homebrew; ready: with Ollama and HAProxy too, and Tailscale up. Bare unless told */
  preset?: Preset
  /** false: a plain box even where namespaces are possible */
  namespaces?: boolean
  /** differences of the Mac from its preset, to any depth */
  mac?: object
  /** another HAProxy than the usual one; false: none is fetched, and brew cannot install it */
  haproxy?: Haproxy | false
  /** another `ollama` program in the stand-in's place */
  ollama?: string
  /** further programs that it sees at their usual paths */
  programs?: string[]
  /** what the home folder is called: ada unless told */
  folder?: string
  /** a folder to make or reopen and to leave behind; without it a new one that is removed */
  keep?: string
}

export interface StartOptions {
  env?: Record<string, string>
  /** a folder as the box sees it; HOME unless told */
  cwd?: string
  /** with a real pseudo-terminal: standard output and error are one */
  tty?: boolean
  /** which of the box's machines it runs on: all have the same files, each has its own network */
  on?: Machine
}

export interface RunOptions extends StartOptions {
  input?: string
  /** 120 s unless told */
  timeoutMs?: number
  signal?: AbortSignal
}

/** A Mac in a box: a private folder, private processes and, where possible, a private root and network. */
export interface Box {
  dir: string
  namespaced: boolean
  /** why it has no namespaces of its own */
  why?: string
  /** HOME as the box's programs see it */
  home: string
  prefix: string
  /** the tailnet address */
  address: string
  port: number
  enginePort: number
  /** where the observer serves its metrics on 127.0.0.1 */
  metricsPort: number
  /** the process that holds a machine's network; undefined in a plain box */
  holder(machine: Machine): number | undefined
  /** a path of the box as this side sees it; relative paths are in HOME */
  outside(path: string): string
  run(argv: string[], options?: RunOptions): Promise<Outcome>
  start(argv: string[], options?: StartOptions): Running
  /** runs a script of this checkout in the checkout; one at its top, such as install.ts, compiled (`compiled.ts`) */
  script(name: string, args?: string[], options?: RunOptions): Promise<Outcome>
  startScript(name: string, args?: string[], options?: StartOptions): Running
  /** the command line and environment that run something in the box with this process's own terminal */
  command(argv: string[], options?: StartOptions): { argv: string[]; env: Record<string, string> }
  /** what the Mac pretends to be, and a change of it */
  state(): MacState
  mac(change: Change): void
  read(path: string): string
  write(path: string, text: string, mode?: number): void
  exists(path: string): boolean
  snapshot(folder: string): Snapshot
  /** a raw connection from one of the box's machines; half-close and reset are the real ones */
  dial(from: Machine, host: string, port: number): Promise<Socket>
  http(from: Machine, options?: HttpOptions & { host?: string; port?: number }): Promise<HttpAnswer>
  /** makes the box's files and addresses agree with what `mac` changed: apps, formulae, Tailscale */
  place(): Promise<void>
  /** Tailscale comes up or goes down, with its address */
  tailnet(up: boolean): Promise<void>
  login(): Promise<void>
  logout(): Promise<void>
  /** ends everything, empties /tmp and starts anew; the tailnet address is back after `addressAfterMs`, 0 unless told */
  reboot(options?: { addressAfterMs?: number }): Promise<void>
  close(): Promise<void>
}

interface Inside {
  layout: Layout
  ground: Ground
  /** the folder of the compiled scripts */
  scripts: string
  why?: string
}

/** The deadline of a command that none is set for, in ms. */
const RUN_MS = 120_000

/** What further programs need to be seen inside. */
function wanted({ ollama, programs = [] }: BoxOptions, fetched: Partial<Haproxy>): string[] {
  const real = ollama === undefined ? [] : [realpathSync(ollama)]
  return [...real, ...programs, ...Object.values(fetched.haproxyBinaries ?? {})]
}

async function open(options: BoxOptions, fetched: Partial<Haproxy>): Promise<Inside> {
  const possible = options.namespaces === false ? { why: 'asked for' } : namespaces()
  const namespaced = 'flags' in possible
  const scripts = await compiled()
  const layout = await makeLayout(
    namespaced,
    options.keep,
    ['studio.tail0lab.ts.net', 'studio'],
    options.folder ?? 'ada',
  )
  if (!namespaced) return { layout, scripts, ground: openPlain(layout), why: possible.why }
  try {
    const ip = await ipProgram(join(layout.dir, 'run'))
    const intelBrew = combine(openBox(layout.dir).mac, options.mac).intelBrew !== undefined
    const plan = rootPlan(layout, possible.flags, wanted(options, fetched), intelBrew)
    return { layout, scripts, ground: await openNamespaces(layout, possible.flags, ip, plan) }
  } catch (error) {
    if (options.keep === undefined) rmSync(layout.dir, { recursive: true, force: true })
    throw error
  }
}

/** What this machine decides about the Mac: where things lie, and who carries its addresses. */
function fitted({ layout: { dir }, ground }: Inside): object {
  if (ground.namespaced) return { network: { namespaced: true, ip: join(dir, 'bin/ip') } }
  const ipv4 = ownAddress()
  return {
    prefix: join(dir, 'opt/homebrew'),
    applications: join(dir, 'Applications'),
    usrLocalBin: join(dir, 'usr/local/bin'),
    network: { shared: true },
    // No device of this machine carries an IPv6 address of the tailnet.
    tailscale: { ipv4, ipv6: '' },
    fakeAddresses: { lo0: ['127.0.0.1'], utun4: [ipv4] },
  }
}

/** The Mac of a new box. */
function firstMac(inside: Inside, options: BoxOptions, fetched: Partial<Haproxy>, library?: string): MacState {
  const { version, ...brew } = fetched
  const ollama = options.ollama === undefined ? {} : { ollamaBinary: realpathSync(options.ollama) }
  const preset = presetMac(options.preset ?? 'bare', version)
  return macWith(combine(preset, { brew: { ...brew, ...ollama }, xnu: { library } }, fitted(inside), options.mac))
}

/** The command line in the box: from the right folder, and on request under a terminal. */
function inBox(argv: string[], cwd: string, tty: boolean): string[] {
  const words = tty ? ['/usr/bin/env', 'SHELL=/bin/zsh', ...argv] : argv
  const terminal = [
    '/usr/bin/env',
    'SHELL=/bin/sh',
    'script',
    '-qec',
    `stty cols 120 rows 40; exec ${quoteAll(words)}`,
    '/dev/null',
  ]
  return ['/bin/sh', '-c', 'cd "$1" && shift && exec "$@"', 'sh', cwd, ...(tty ? terminal : argv)]
}

type Commands = Pick<Box, 'run' | 'start' | 'script' | 'startScript' | 'command'>

function makeCommands({ layout, ground, scripts }: Inside, env: () => Record<string, string>): Commands {
  const command: Box['command'] = (argv, { env: more, cwd = layout.home, tty = false, on = 'mac' } = {}) => ({
    argv: ground.enter(on, inBox(argv, cwd, tty)),
    env: { ...env(), ...more },
  })
  const script = (name: string, args: string[]) => {
    const ready = join(scripts, name.replace(/ts$/, 'mjs'))
    return existsSync(ready) ? [node, ready, ...args] : scriptCommand(name, args)
  }
  const start = (argv: string[], options: StartOptions = {}, input?: string) =>
    launch({ ...command(argv, options), enters: ground.namespaced }, input)
  const run: Box['run'] = (argv, options = {}) =>
    finish(start(argv, options, options.input ?? ''), options.timeoutMs ?? RUN_MS, options.signal)
  return {
    command,
    start: (argv, options) => start(argv, options),
    run,
    script: (name, args = [], options) => run(script(name, args), { cwd: checkout, ...options }),
    startScript: (name, args = [], options) => start(script(name, args), { cwd: checkout, ...options }),
  }
}

type Files = Pick<Box, 'read' | 'write' | 'exists' | 'snapshot'>

function makeFiles({ outside, dir }: Layout): Files {
  return {
    read: (path) => readFileSync(outside(path), 'utf8'),
    exists: (path) => existsSync(outside(path)),
    snapshot: (folder) => snapshot(outside(folder)),
    write(path, text, mode = 0o644) {
      writeFileSync(inside(dir, outside(path)), text, { mode })
    },
  }
}

type Wires = Pick<Box, 'dial' | 'http'>

function plainDial(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject).on('error', () => {})
      resolve(socket)
    })
  })
}

function makeWires({ layout, ground }: Inside, env: () => Record<string, string>, at: () => Address): Wires {
  const dialers = new Map<Machine, Dialer>()
  const dialer = (from: Machine) => {
    const known = dialers.get(from)
    if (known?.alive()) return known
    const argv = ground.enter(from, [node, join(layout.dir, 'standins.mjs'), 'box-dialer'])
    const fresh = startDialer(argv, { ...env(), BOX: layout.dir })
    dialers.set(from, fresh)
    return fresh
  }
  const dial: Box['dial'] = (from, host, port) => {
    if (ground.namespaced) return dialer(from).dial(host, port)
    // On this machine as it is, a peer is just another process; a neighbour on the LAN there is not.
    if (from !== 'neighbour') return plainDial(host, port)
    return Promise.reject(new NotHere('a box without namespaces has no neighbour on its LAN'))
  }
  return {
    dial,
    async http(from, options = {}) {
      const { host, port } = { ...at(), ...options }
      return httpOver(await dial(from, host, port), host, port, options)
    },
  }
}

interface Address {
  host: string
  port: number
}

async function ports({ ground, layout }: Inside, address: string): Promise<Ports> {
  if (ground.namespaced) return { port: 11434, engine: 11434, metrics: 9411 }
  return settledPorts(layout, address)
}

function assemble(inside: Inside, life: Life, mac: MacState, { port, engine, metrics }: Ports) {
  const { layout, ground, why } = inside
  const state = openBox(layout.dir)
  const env = () => environment(layout, mac.prefix)
  const address = mac.tailscale.ipv4
  return {
    ...{ dir: layout.dir, namespaced: ground.namespaced, why, home: layout.home, outside: layout.outside },
    holder: ground.holder,
    ...{ prefix: mac.prefix, address, port, enginePort: engine, metricsPort: metrics },
    ...makeCommands(inside, env),
    ...makeFiles(layout),
    ...makeWires(inside, env, () => ({ host: address, port })),
    state: () => state.mac,
    mac: (change: Change) => state.save(change),
    ...{ place: life.place, tailnet: life.tailnet, login: life.login, logout: life.logout },
    reboot: ({ addressAfterMs = 0 } = {}) => life.reboot(addressAfterMs),
  }
}

/** Makes a Mac in a box, started and logged in. Whoever makes one closes it; it ends with this process in any case. */
export async function createBox(options: BoxOptions = {}): Promise<Box> {
  // First what may have to be downloaded: without it there is nothing to clean up.
  const fetched = options.haproxy === false ? {} : (options.haproxy ?? (await haproxy()))
  const library = await xnuLibrary().catch(() => undefined)
  const inside = await open(options, fetched)
  const { layout, ground } = inside
  let life: Life | undefined
  const close = closer(layout, ground, () => life?.stop(), options.keep !== undefined)
  try {
    const reopened = existsSync(join(layout.dir, 'mac.json'))
    const mac = reopened ? openBox(layout.dir).mac : firstMac(inside, options, fetched, library)
    openBox(layout.dir).save(mac)
    life = makeLife(layout, ground, () => environment(layout, mac.prefix))
    const box = { ...assemble(inside, life, mac, await ports(inside, mac.tailscale.ipv4)), close }
    await life.start()
    return box
  } catch (error) {
    await close()
    throw error
  }
}

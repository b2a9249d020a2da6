import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { render } from '../../lib/gateway/config.ts'
import { demandsOf } from '../../lib/gateway/demands.ts'
import { listenersOf } from '../../lib/gateway/listeners.ts'
import type { Gateway, Listener } from '../../lib/gateway/policy.ts'
import { engineUp, runningFingerprint } from '../../lib/haproxy/runtime.ts'
import { type Host, realHost } from '../../lib/host/host.ts'
import { renewNodes } from '../../lib/nodes/store.ts'
import { renewServiceKeys } from '../../lib/parts/services.ts'
import { keep } from '../../lib/people/store.ts'
import { places } from '../../lib/platform/mac/places.ts'
import type { Configuration } from '../../lib/site/configuration.ts'
import { noKeys, type Registry } from '../../lib/site/limits.ts'
import { type Kinds, parseKind } from '../../lib/site/service-kinds.ts'
import { servicesOf } from '../../lib/site/services.ts'
import { parseSettings } from '../../lib/site/settings.ts'
import type { Templates } from '../../lib/site/setup.ts'
import { checkout } from '../box/paths.ts'
import { haproxy } from '../box/tools.ts'
import { onXnu, xnuLibrary } from '../box/xnu/library.ts'

export interface GatewayOptions {
  /** files in the folder of the certificates, by their name there */
  certificates?: Record<string, string>
  /** where the engine listens on 127.0.0.1 */
  enginePort: number
  /** settings.yaml, without port and engine */
  settings?: string
  /** API keys that are there when it starts */
  registry?: Registry
  /** changes the rendered text before it runs: to hurry a timeout, or to take a rule away */
  alter?(text: string): string
  /** changes the whole configuration before it runs, its files included */
  change?(configuration: Configuration): Configuration
  /** ms within which it must be up; 20 s unless told */
  withinMs?: number
  /** another HAProxy than the usual one, which needs no libraries of the environment */
  haproxy?: string
  /** more of its environment, as its job may set it */
  environment?: Record<string, string>
  /** other networks than the tailnet's */
  sources?: string[]
  /** one of so many sockets that HAProxy's processes hand each other gets lost, as on macOS */
  loses?: number
  /** a HAProxy that starts while the engine is down is waited for without it */
  engineDown?: boolean
}

/** A real HAProxy that runs what lib renders, in a home of its own, on 127/8. */
export interface RunningGateway {
  address: string
  port: number
  /** the Host header that names it */
  host: string
  home: string
  /** for lib's own functions: this machine with the gateway's home */
  machine: Host
  /** the program, as a path that finds its libraries */
  program: string
  /** major and minor, such as [2, 6] */
  version: [number, number]
  master: ChildProcess
  gateway: Gateway
  configuration: Configuration
  /** renders with other settings, for a reload */
  rendered(settings: string): Configuration
  /** what it wrote to its standard output, line by line */
  log(): string[]
  /** what it said on standard error */
  said(): string
  stop(): Promise<void>
}

/** The project's own templates. */
export const templates = (): Templates => ({
  config: readFileSync(join(checkout, 'templates/haproxy.cfg'), 'utf8'),
  frontend: readFileSync(join(checkout, 'templates/frontend.cfg'), 'utf8'),
})

/** The project's own recipes of services. */
export const kinds = (): Kinds => {
  const folder = join(checkout, 'templates/services')
  return Object.fromEntries(
    readdirSync(folder).map((file) => [file.replace('.yaml', ''), parseKind(readFileSync(join(folder, file), 'utf8'))]),
  )
}

/** An address that no other test file of this machine uses at the moment: 127.x.y.z, by process and chance. */
export function ownAddress(): string {
  const part = () => 1 + Math.floor(Math.random() * 253)
  return `127.${part()}.${part()}.${part()}`
}

/** A port of this address that is free now. */
export async function freePort(address: string): Promise<number> {
  const server = createServer().listen(0, address)
  await once(server, 'listening')
  const at = server.address()
  server.close()
  await once(server, 'close')
  if (at === null || typeof at === 'string') throw new Error('no port')
  return at.port
}

export const names = ['studio.tail0lab.ts.net', 'studio']

/** The gateway's description for these settings, as the install script would make it. */
export function describe(home: string, listener: Listener, yaml: string, registry = noKeys): Gateway {
  const settings = parseSettings(yaml, 'settings.yaml', kinds())
  const hosts = [...listener.addresses, ...names, ...settings.hosts]
  return {
    settings,
    listeners: listenersOf(settings, listener),
    hosts,
    services: servicesOf(settings, kinds()),
    home,
    system: 'mac',
    ...demandsOf(registry, settings),
  }
}

/** HAProxy, this or the usual one, with its libraries in its environment; `-v` tells the version. */
export async function program(
  other?: string,
): Promise<{ file: string; libraryPath: string; version: [number, number] }> {
  const usual = other === undefined ? await haproxy() : undefined
  const [file] = other === undefined ? Object.values(usual?.haproxyBinaries ?? {}) : [other]
  if (!file) throw new Error('there is no HAProxy')
  const libraryPath = usual?.libraryPath ?? ''
  const said = execFileSync(file, ['-v'], { env: { LD_LIBRARY_PATH: libraryPath }, encoding: 'utf8' })
  const [, major, minor] = /version (\d+)\.(\d+)/.exec(said) ?? []
  return { file, libraryPath, version: [Number(major), Number(minor)] }
}

/** Ends a process when this one is gone, however it went: its standard input closes then. Gives back a dismissal, which may come twice. */
export function watchOver(pid: number): () => void {
  const watch = spawn('/bin/sh', ['-c', 'read -r done || kill -TERM "$0"', `${pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watch.unref()
  return () => {
    if (!watch.stdin?.writableEnded) watch.stdin?.end('done\n')
  }
}

async function stopMaster(master: ChildProcess): Promise<void> {
  if (master.exitCode !== null || master.signalCode !== null) return
  const gone = once(master, 'exit')
  master.kill('SIGTERM')
  const force = setTimeout(() => master.kill('SIGKILL'), 5_000)
  await gone
  clearTimeout(force)
}

async function place(machine: Host, configuration: Configuration): Promise<void> {
  const at = places(machine.home)
  mkdirSync(at.run, { recursive: true, mode: 0o700 })
  for (const [file, text] of Object.entries(configuration.files)) await machine.write(file, text)
  await machine.write(at.config, configuration.text)
}

function launch(file: string, home: string, more: Record<string, string>): { master: ChildProcess; err: string[] } {
  const at = places(home)
  // A file costs HAProxy no more than its job's pipe does, and a process that measures would be slow to read one.
  const out = openSync(at.access, 'a', 0o600)
  const master = spawn(file, ['-W', '-db', '-S', `${at.masterSocket},mode,600`, '-f', at.config], {
    env: { HOME: home, PATH: process.env.PATH, ...more },
    stdio: ['ignore', out, 'pipe'],
  })
  const err: string[] = []
  master.stderr?.setEncoding('utf8').on('data', (text: string) => err.push(text))
  closeSync(out)
  return { master, err }
}

/** Polls without the 250 ms of `until`: starts are many, and each is short. */
export async function soon(holds: () => Promise<boolean>, withinMs = 20_000): Promise<boolean> {
  const deadline = performance.now() + withinMs
  while (!(await holds())) {
    if (performance.now() > deadline) return false
    await new Promise((resolve) => setTimeout(resolve, 15))
  }
  return true
}

/** Waits for a condition that is read from outside; fails with its name after the time (ms, 20 s unless told). */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  withinMs = 20_000,
): Promise<void> {
  if (!(await soon(async () => holds(), withinMs))) throw new Error(`not within ${withinMs} ms: ${what}`)
}

/** The folder that comes first in the PATH of what is started beside a gateway. */
export const asMac = (home: string): string => join(home, 'as-mac')

async function makeGateway(home: string, options: GatewayOptions) {
  const { file, libraryPath, version } = await program(options.haproxy)
  const address = ownAddress()
  const port = await freePort(address)
  const sources = options.sources ?? ['100.64.0.0/10', 'fd7a:115c:a1e0::/48']
  const listener: Listener = { name: 'tailnet', addresses: [address], port, sources }
  const peers = await freePort('127.0.0.1')
  const yaml = (settings: string) =>
    `port: ${port}\nengine: { port: ${options.enginePort} }\npeers: { port: ${peers} }\n${settings}`
  const of = (settings: string) => describe(home, listener, yaml(settings), options.registry)
  const rendered = (settings: string): Configuration => {
    const made = render(of(settings), templates())
    const altered = { ...made, text: options.alter?.(made.text) ?? made.text }
    return options.change?.(altered) ?? altered
  }
  const machine: Host = { ...realHost(), home, system: 'mac' }
  const wrapper = join(home, 'haproxy')
  await machine.write(wrapper, `#!/bin/sh\nLD_LIBRARY_PATH='${libraryPath}' exec '${file}' "$@"\n`, 0o700)
  // Whatever is started beside it lays its files out as a Mac does, below this home.
  await machine.write(`${asMac(home)}/uname`, '#!/bin/sh\necho Darwin\n', 0o700)
  return { file, libraryPath, version, address, port, of, rendered, machine, wrapper }
}

/** Starts a gateway and waits until its worker answers with the configuration's fingerprint and counts the engine as up. */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const home = mkdtempSync(join(tmpdir(), 'gw '))
  const made = await makeGateway(home, options)
  const { address, port, machine } = made
  const configuration = made.rendered(options.settings ?? '')
  await place(machine, configuration)
  for (const [name, pem] of Object.entries(options.certificates ?? {}))
    await machine.write(`${places(home).certs}/${name}`, pem, 0o600)
  const { settings } = made.of(options.settings ?? '')
  await keep(machine, options.registry ?? { version: 1, keys: {} }, settings)
  await renewNodes(machine, settings)
  await renewServiceKeys(machine, settings)
  const xnu = options.loses ? onXnu(await xnuLibrary(), options.loses) : {}
  const { master, err } = launch(made.file, home, {
    ...{ LD_LIBRARY_PATH: made.libraryPath, ...options.environment, ...xnu },
  })
  const dismiss = watchOver(master.pid ?? 0)
  const written = () => readFileSync(places(home).access, 'utf8')
  let left: string | undefined
  const stop = async () => {
    dismiss()
    await stopMaster(master)
    left ??= written()
    rmSync(home, { recursive: true, force: true, maxRetries: 5 })
  }
  const ready = async () => {
    if (master.exitCode !== null) throw new Error(`HAProxy ended with ${master.exitCode}: ${err.join('')}`)
    if ((await runningFingerprint(machine)) !== configuration.fingerprint) return false
    return options.engineDown === true || (await engineChecked(machine))
  }
  try {
    await eventually(`HAProxy is up; it said ${err.join('')}`, ready, options.withinMs)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    ...{ address, port, home, machine, master, configuration, stop, version: made.version, program: made.wrapper },
    host: `${address}:${port}`,
    gateway: made.of(options.settings ?? ''),
    rendered: made.rendered,
    log: () => (left ?? written()).split('\n').filter(Boolean),
    said: () => err.join(''),
  }
}

/** Up by a check that succeeded, not only by HAProxy's good faith before the first one. */
async function engineChecked(machine: Host): Promise<boolean> {
  if (!(await engineUp(machine))) return false
  const stat = (await machine.ask(places(machine.home).adminSocket, 'show stat')) ?? ''
  return /^inference,(?!again)[^,]+,.*,L7OK,/m.test(stat)
}

/** Takes the lines that match out of a configuration; throws when there is none, so that a test cannot rot. */
export function withoutLine(pattern: RegExp): (text: string) => string {
  return (text) => {
    const lines = text.split('\n')
    const kept = lines.filter((line) => !pattern.test(line))
    if (kept.length === lines.length) throw new Error(`no line matches ${pattern}`)
    return kept.join('\n')
  }
}

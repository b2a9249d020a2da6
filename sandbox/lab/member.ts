import { type ChildProcess, execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { heldPair, keepPair, makePair } from '../../lib/certificates/two-gateways.ts'
import { render } from '../../lib/gateway/config.ts'
import type { Gateway } from '../../lib/gateway/policy.ts'
import { keepalivedConf } from '../../lib/gateway/vip.ts'
import { realHost } from '../../lib/host/host.ts'
import { places } from '../../lib/platform/mac/places.ts'
import { noKeys, type Registry } from '../../lib/site/limits.ts'
import { packages } from '../box/packages.ts'
import { checkout } from '../box/paths.ts'
import { asMac, describe, eventually, program, templates } from './gateway.ts'
import type { Ground } from './ground.ts'

/** What a gateway in a network namespace is like. */
export interface MemberOptions {
  /** its namespace, which its answers tell as `x-gateway` */
  where: string
  /** settings.yaml */
  settings: string
  registry?: Registry
  /** the address that it has for itself in the network of a VIP */
  own: string
  /** where its tailnet listener is; its own address unless told */
  tailnet?: string
  /** files below its home, for its owner alone */
  files?: Record<string, string>
  /** by which the two of a pair know each other */
  certificate?: string
  /** another HAProxy than the usual one, which needs no libraries of the environment */
  haproxy?: string
}

/** A gateway in a network namespace of its own, of which nothing runs yet. */
export interface Member {
  home: string
  gateway: Gateway
  /** the text of HAProxy's configuration */
  text: string
  /** what HAProxy answers on its socket */
  told(command: string): string
  /** runs a command where the gateway is */
  inside(...argv: string[]): string
  startHaproxy(): Promise<void>
  startKeepalived(): Promise<void>
  /** the resident helper beside HAProxy, as its job would run it */
  startObserver(): Promise<void>
  /** ends HAProxy and its workers at once */
  kill(): void
  /** has a new worker of HAProxy take over */
  reload(): Promise<void>
  keepalived: ChildProcess | undefined
  /** whether its card has the VIP */
  holds(): boolean
  /** ms since 1970 when it got the VIP, and when it went again */
  times(): { from: number; until: number }[]
  /** what HAProxy wrote: its log of requests, and what it said */
  log(): string
  /** what Keepalived said */
  said(): string
}

/** Has this gateway ask its nodes from where it is, by our own code. */
const asking = `
import { realHost } from '${checkout}/lib/host/host.ts'
import { renewNodes } from '${checkout}/lib/nodes/store.ts'
import { renewServiceKeys } from '${checkout}/lib/parts/services.ts'
import { keep } from '${checkout}/lib/people/store.ts'
import { readRegistry } from '${checkout}/lib/people/given.ts'
import { readSettings } from '${checkout}/lib/site/settings.ts'
const host = { ...realHost(), system: 'mac', home: process.env.HOME }
const settings = await readSettings(host)
await keep(host, await readRegistry(host), settings)
await renewServiceKeys(host, settings)
await renewNodes(host, settings)`

/** This machine as one whose home is there. */
const machineAt = (home: string) => ({ ...realHost(), system: 'mac' as const, home })

/** A certificate that two gateways may have, made where nothing else lies. */
export async function pairCertificate(folder: string): Promise<string> {
  await makePair(machineAt(folder))
  return (await heldPair(machineAt(folder)))?.text ?? ''
}

function written(path: string, text: string, mode = 0o600): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text, { mode })
}

/** Lays down what a gateway has on its disk, and gives its description and HAProxy's text. */
async function settle(home: string, options: MemberOptions): Promise<{ gateway: Gateway; text: string }> {
  const { where, settings, registry = noKeys, own, tailnet = own, files = {}, certificate } = options
  const listener = { name: 'tailnet', addresses: [tailnet], port: 11434, sources: ['100.64.0.0/10'] }
  const gateway = { ...describe(home, listener, settings, registry), own }
  const configuration = render(gateway, templates())
  // Answers tell here whose they are, which nobody else needs to know.
  const named = configuration.text.replace(
    /^(frontend (?:tailnet|services-\d+))\n/gm,
    `$1\n    http-after-response set-header x-gateway ${where}\n`,
  )
  const at = places(home)
  mkdirSync(at.run, { recursive: true })
  for (const [file, text] of Object.entries(configuration.files)) written(file, text)
  for (const [file, text] of Object.entries(files)) written(join(home, file), text)
  written(at.settings, settings)
  written(at.keys, JSON.stringify(registry))
  written(at.config, named)
  // Whatever is started beside it lays its files out as a Mac does, below this home.
  written(join(asMac(home), 'uname'), '#!/bin/sh\necho Darwin\n', 0o700)
  if (certificate !== undefined) await keepPair(machineAt(home), certificate)
  return { gateway, text: named }
}

/** Makes one, which has asked its nodes what they have. */
export async function member(ground: Ground, options: MemberOptions): Promise<Member> {
  const { where, own } = options
  const home = join(ground.folder, where)
  const { gateway, text } = await settle(home, options)
  const at = places(home)
  execFileSync(
    ground.ip,
    [
      ...['netns', 'exec', ground.name(where)],
      ...[process.execPath, '--import', 'tsx', '--input-type=module', '-e', asking],
    ],
    { cwd: checkout, env: { ...process.env, HOME: home } },
  )
  const haproxy = await program(options.haproxy)
  const log = at.access
  let master: ChildProcess | undefined
  const worker = () => /^Pid: (\d+)/m.exec(told(at.adminSocket, 'show info'))?.[1]
  const one: Member = {
    ...{ home, gateway, text },
    ...watched(ground, { where, own, home, gateway, program: await keepalivedProgram() }),
    told: (command) => told(at.adminSocket, command),
    inside: (...argv) => ground.run(where, ...argv),
    async startHaproxy() {
      const before = successes(one)
      const argv = [haproxy.file, '-W', '-db', '-S', `${at.masterSocket},mode,600`, '-f', at.config]
      master = ground.begin(where, argv, log, { LD_LIBRARY_PATH: haproxy.libraryPath, HOME: home })
      // What asks for a VIP's sake is there with a VIP alone.
      const healthy = () =>
        gateway.settings.vip
          ? curled(['--unix-socket', at.healthSocket, 'http://gateway/healthz']) === 'ok'
          : /^inference,[^,]+,.*,L7OK,/m.test(told(at.adminSocket, 'show stat'))
      await eventually(`HAProxy ${where} is healthy`, healthy).catch((error: Error) => {
        throw new Error(`${error.message}: ${readFileSync(log, 'utf8')}`)
      })
      if (one.keepalived) await eventually('Keepalived knows it', () => successes(one) > before)
    },
    async startObserver() {
      const said = join(home, 'observer.log')
      const env = { HOME: home, PATH: `${asMac(home)}:${process.env.PATH}` }
      ground.begin(where, [process.execPath, '--import', 'tsx', 'observer.ts'], said, env)
      await eventually('the observer observes', () => readFileSync(said, 'utf8').includes(' observing'), 60_000)
    },
    kill() {
      for (const pid of [master?.pid, Number(worker())]) if (pid) process.kill(pid, 'SIGKILL')
    },
    async reload() {
      const before = worker()
      master?.kill('SIGUSR2')
      await eventually('a new worker answers', () => ![before, undefined].includes(worker()))
    },
    log: () => readFileSync(log, 'utf8'),
  }
  return one
}

const successes = (one: Pick<Member, 'keepalived' | 'said'>): number =>
  one.keepalived ? one.said().split('VRRP_Script(gateway) succeeded').length : 0

type Watched = Pick<Member, 'keepalived' | 'startKeepalived' | 'holds' | 'times' | 'said'>

interface Watching extends Pick<MemberOptions, 'where' | 'own'>, Pick<Member, 'home' | 'gateway'> {
  program: { file: string; libraryPath: string }
}

const keepalivedProgram = async () => {
  const { bin, libraryPath } = await packages(['keepalived'])
  return { file: bin('keepalived'), libraryPath }
}

/** Its Keepalived, and who notes when the VIP is on its card. */
function watched(ground: Ground, { where, own, home, gateway, program }: Watching): Watched {
  const file = (name: string) => join(home, name)
  const { vip } = gateway.settings
  if (vip) writeFileSync(file('keepalived.conf'), keepalivedConf(gateway, vip, own))
  if (vip) ground.begin(where, [ground.ip, '-ts', '-o', 'monitor', 'address'], file('addresses.log'))
  return {
    keepalived: undefined,
    async startKeepalived() {
      // It would say that it runs already, and end.
      const before = this.keepalived
      const ended = () => !before || ((before.exitCode ?? before.signalCode) !== null && !lives(file('vrrp.pid')))
      await eventually('the one before has ended', ended)
      const files = ['-p', file('parent.pid'), '-r', file('vrrp.pid'), '-f', file('keepalived.conf')]
      const argv = [program.file, '--dont-fork', '--log-console', '--log-detail', '--vrrp', ...files]
      this.keepalived = ground.begin(where, argv, file('keepalived.log'), { LD_LIBRARY_PATH: program.libraryPath })
      await eventually('Keepalived is ready', () => this.said().includes('Entering BACKUP STATE'))
      // It says nothing at the end of its delay, before which it takes nothing.
      const ready = performance.now() + 2500
      await eventually('the delay at its start is over', () => performance.now() > ready)
    },
    holds: () => ground.run(where, ground.ip, '-o', 'address').includes(` ${vip?.address}/`),
    times: () => intervals(readFileSync(file('addresses.log'), 'utf8'), vip?.address ?? ''),
    said: () => readFileSync(file('keepalived.log'), 'utf8'),
  }
}

/** What HAProxy answers on its socket; nothing while nobody listens there. */
function told(socket: string, command: string): string {
  const talk = `const s = require('net').connect(${JSON.stringify(socket)}, () => s.end('${command}\\n')); s.on('error', () => {}).pipe(process.stdout)`
  return execFileSync(process.execPath, ['-e', talk], { encoding: 'utf8' })
}

/** Whether the process runs that a file names. */
const lives = (file: string): boolean => existsSync(file) && existsSync(`/proc/${readFileSync(file, 'utf8').trim()}`)

function curled(argv: string[]): string {
  try {
    return execFileSync('curl', ['-s', '-m', '1', ...argv], { encoding: 'utf8' })
  } catch {
    return ''
  }
}

/** Reads `ip -ts -o monitor address`: `[2026-11-30T10:00:00.123456] Deleted 2: eth0 inet 10.50.0.100/32 …`. */
function intervals(text: string, address: string): { from: number; until: number }[] {
  const found: { from: number; until: number }[] = []
  for (const [, when = '', gone, which] of text.matchAll(/^\[([^\]]+)\] (Deleted )?.*inet6? ([\da-f.:]+)\//gm)) {
    if (which !== address) continue
    const ms = Date.parse(when)
    const last = found.at(-1)
    if (!gone) found.push({ from: ms, until: Number.POSITIVE_INFINITY })
    else if (last) last.until = ms
  }
  return found
}

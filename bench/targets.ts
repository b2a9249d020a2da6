import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { workersOf } from '../lib/haproxy/workers.ts'
import { hashKey } from '../lib/people/key.ts'
import type { Entry, Registry } from '../lib/site/limits.ts'
import {
  eventually,
  freePort,
  type GatewayOptions,
  program,
  type RunningGateway,
  startGateway,
} from '../sandbox/lab/gateway.ts'
import { post } from './client.ts'
import type { Haproxy } from './haproxies.ts'
import { others } from './others.ts'
import { type Children, children, family } from './processes.ts'
import { key, local, type Target } from './target.ts'

export interface Field {
  targets: Target[]
  /** targets that are not there, and why */
  missing: string[]
  stop(): Promise<void>
}

/** The key that asks, with limits that never bind, among so many others. */
export function registryOf(count: number, more: Partial<Entry> = {}): Registry {
  const entry = (hash: string): Entry => ({ created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hash }] })
  const rest = Array.from({ length: count - 1 }, (_, at): [string, Entry] => [`key-${at}`, entry(hashKey(`rop_${at}`))])
  // More than keys.ts gives: wrk sends 100,000 within seconds.
  const asker = { ...entry(hashKey(key)), perMinute: 1_000_000_000, concurrent: 10_000, ...more }
  return { version: 1, keys: { asker, ...Object.fromEntries(rest) } }
}

export const full = 'inference: { slots: 64 }\naccess: keys\nlog: requests\n'
const sixtyFour = 'inference: { slots: 64 }\n'

export type Ours = Record<string, Omit<GatewayOptions, 'enginePort'>>

/** Our own gateways: as after installing, with all policies, and with a list of models. */
export const ours = {
  tailnet: { settings: sixtyFour },
  full: { settings: full, registry: registryOf(1000) },
  'full, model list': { settings: full, registry: registryOf(1000, { models: ['qwen3:0.6b'] }) },
} satisfies Ours

/** A gateway as a target, its newest worker being what works. */
export async function asTarget(name: string, gateway: RunningGateway): Promise<Target> {
  const pids = (await workersOf(gateway.machine)).map(Number)
  const version = gateway.version.join('.')
  return { name, version, address: gateway.address, port: gateway.port, host: gateway.host, key, pids }
}

const answer = JSON.stringify({
  id: 'x',
  object: 'chat.completion',
  choices: [{ message: { content: 'y'.repeat(100) } }],
})

/** What a list of models is made from. */
const lists = {
  v1: '{"object":"list","data":[{"id":"qwen3:0.6b"}]}',
  api: '{"models":[{"name":"qwen3:0.6b"}]}',
}

/** An engine that answers at once, at each of these ports, as HAProxy's configuration. */
export const engine = (...ports: number[]): string => `
defaults
    mode http
    timeout client 1m
    timeout server 1m
    timeout connect 1s
frontend engine
    http-request wait-for-body time 10s
${ports.map((port) => `    bind 127.0.0.1:${port}`).join('\n')}
    http-request return status 200 content-type application/json string '${lists.v1}' if { path /v1/models }
    http-request return status 200 content-type application/json string '${lists.api}' if { path /api/tags }
    http-request return status 200 content-type application/json string '${answer}'
`

const relay = (mode: 'tcp' | 'http', port: number, to: number): string => `
defaults
    mode ${mode}
    timeout client 35m
    timeout server 35m
    timeout connect 2s
    ${mode === 'http' ? 'option http-no-delay' : ''}
listen relay
    bind 127.0.0.1:${port}
    server engine 127.0.0.1:${to}
`

/** Starts a HAProxy with a configuration of its own. */
export async function haproxy(programs: Children, name: string, text: string, one?: Haproxy): Promise<number> {
  const { file, libraryPath } = await program(one?.haproxy)
  const path = join(programs.folder, `${name}.cfg`)
  // The engine reads a body whole before it answers.
  const buffer = name === 'engine' ? '    tune.bufsize 262144\n' : ''
  writeFileSync(path, `global\n    noreuseport\n    nbthread 2\n    maxconn 8000\n${buffer}${text}`)
  return programs.start([file, '-db', '-f', path], { LD_LIBRARY_PATH: libraryPath, ...one?.environment })
}

/** An engine that answers at once. */
async function direct(programs: Children, enginePort?: number): Promise<Target> {
  const port = enginePort ?? (await freePort('127.0.0.1'))
  return local('direct', port, enginePort === undefined ? await haproxy(programs, 'engine', engine(port)) : process.pid)
}

/** What stands before it by HAProxy itself: mode tcp and mode http. */
async function relays(programs: Children, enginePort: number, one: Haproxy): Promise<Target[]> {
  const { version } = one
  return Promise.all(
    (['tcp', 'http'] as const).map(async (mode) => {
      const port = await freePort('127.0.0.1')
      const pid = await haproxy(programs, `${mode}-${version}`, relay(mode, port, enginePort), one)
      return local(mode === 'tcp' ? tcpOf(version) : bareOf(version), port, pid, { version })
    }),
  )
}

/** The names of what is beside our gateways. */
export const tcpOf = (version: string): string => `${version} HAProxy tcp`
export const bareOf = (version: string): string => `${version} bare http`

export interface FieldOptions {
  haproxies: Haproxy[]
  /** which of our gateways, on each of them */
  ours: Ours
  /** an engine that is there already */
  enginePort?: number
  /** nginx and whatever else can be had */
  others?: boolean
}

/** Our gateways on one HAProxy; one that refuses what it should answer is told. */
async function gatewaysOn(one: Haproxy, wanted: Ours, enginePort: number, started: RunningGateway[]) {
  const targets: Target[] = []
  const broken: string[] = []
  for (const [name, options] of Object.entries(wanted)) {
    const gateway = await startGateway({ ...options, ...one, enginePort, withinMs: 60_000 })
    started.push(gateway)
    const target = await asTarget(`${one.version} ${name}`, gateway)
    if (await answers(target)) targets.push(target)
    else broken.push(`${target.name}: it refuses what it should answer`)
  }
  return { targets, broken }
}

/** Those that answer, with all their processes. */
export async function upOnes(found: Target[]): Promise<{ up: Target[]; down: string[] }> {
  const up = await Promise.all(found.map(soon))
  return {
    up: found.filter((_, at) => up[at]).map((target) => ({ ...target, pids: target.pids.flatMap(family) })),
    down: found.filter((_, at) => !up[at]).map(({ name }) => `${name}: it did not answer`),
  }
}

/** The same engine behind all of them; only what stands before it differs. */
export async function openField(options: FieldOptions): Promise<Field> {
  const programs = children()
  const gateways: RunningGateway[] = []
  const stop = async () => {
    for (const gateway of gateways) await gateway.stop()
    programs.stop()
  }
  try {
    const engine = await direct(programs, options.enginePort)
    await eventually('the engine answers', () => answers(engine))
    const [targets, missing] = [[engine], [] as string[]]
    for (const one of options.haproxies) {
      const ours = await gatewaysOn(one, options.ours, engine.port, gateways)
      targets.push(...(await relays(programs, engine.port, one)), ...ours.targets)
      missing.push(...ours.broken)
    }
    const { found, missing: absent } = options.others ? await others(programs, engine.port) : { found: [], missing: [] }
    const { up, down } = await upOnes(found)
    return { targets: [...targets, ...up], missing: [...missing, ...absent, ...down], stop }
  } catch (error) {
    await stop()
    throw error
  }
}

const soon = (target: Target): Promise<boolean> =>
  eventually('it answers', () => answers(target), 60_000).then(
    () => true,
    () => false,
  )

const answers = (target: Target): Promise<boolean> =>
  once(post(target, '{"model":"qwen3:0.6b","messages":[]}'), 'response').then(
    ([response]) => response.resume().statusCode === 200,
    () => false,
  )

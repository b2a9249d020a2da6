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

/** Our own gateways: as after installing, with all policies and more and more keys, and with a list of models. */
export const ours: Record<string, Omit<GatewayOptions, 'enginePort'>> = {
  tailnet: { settings: sixtyFour },
  'full, 10 keys': { settings: full, registry: registryOf(10) },
  'full, 1,000 keys': { settings: full, registry: registryOf(1000) },
  'full, 100,000 keys': { settings: full, registry: registryOf(100_000) },
  'full, model list': { settings: full, registry: registryOf(10, { models: ['qwen3:0.6b'] }) },
}

/** A gateway as a target, its newest worker being what works. */
export async function asTarget(name: string, gateway: RunningGateway): Promise<Target> {
  const pids = (await workersOf(gateway.machine)).map(Number)
  return { name, address: gateway.address, port: gateway.port, host: gateway.host, key, pids }
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

const engine = (port: number): string => `
defaults
    mode http
    timeout client 1m
    timeout server 1m
    timeout connect 1s
frontend engine
    http-request wait-for-body time 10s
    bind 127.0.0.1:${port}
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

async function haproxy({ start, folder }: Children, name: string, text: string): Promise<number> {
  const { file, libraryPath } = await program()
  const path = join(folder, `${name}.cfg`)
  // The engine reads a body whole before it answers.
  const buffer = name === 'engine' ? '    tune.bufsize 262144\n' : ''
  writeFileSync(path, `global\n    noreuseport\n    nbthread 2\n    maxconn 8000\n${buffer}${text}`)
  return start([file, '-db', '-f', path], { LD_LIBRARY_PATH: libraryPath })
}

/** An engine that answers at once, and what stands before it by HAProxy itself: nothing, mode tcp, mode http. */
async function plain(programs: Children, enginePort?: number): Promise<Target[]> {
  const own = enginePort ?? (await freePort('127.0.0.1'))
  const [tcp, http] = [await freePort('127.0.0.1'), await freePort('127.0.0.1')]
  const pid = enginePort === undefined ? await haproxy(programs, 'engine', engine(own)) : process.pid
  return [
    local('direct', own, pid),
    local('HAProxy tcp', tcp, await haproxy(programs, 'tcp', relay('tcp', tcp, own))),
    local('bare http', http, await haproxy(programs, 'http', relay('http', http, own))),
  ]
}

export interface FieldOptions {
  /** an engine that is there already */
  enginePort?: number
  /** which of our gateways */
  ours: Record<string, Omit<GatewayOptions, 'enginePort'>>
  /** nginx and whatever else can be had */
  others?: boolean
}

/** The same engine behind all of them; only what stands before it differs. */
export async function openField(options: FieldOptions): Promise<Field> {
  const programs = children()
  const gateways: RunningGateway[] = []
  const broken: string[] = []
  const stop = async () => {
    for (const gateway of gateways) await gateway.stop()
    programs.stop()
  }
  try {
    const targets = await plain(programs, options.enginePort)
    const enginePort = targets[0]?.port ?? 0
    await eventually('the engine answers', () => answers(targets[0]))
    for (const [name, one] of Object.entries(options.ours)) {
      const gateway = await startGateway({ ...one, enginePort, withinMs: 60_000 })
      gateways.push(gateway)
      const target = await asTarget(name, gateway)
      if (await answers(target)) targets.push(target)
      else broken.push(`${name}: it refuses what it should answer`)
    }
    const { found, missing } = options.others ? await others(programs, enginePort) : { found: [], missing: [] }
    missing.push(...broken)
    const up = await Promise.all(found.map((target) => soon(target)))
    targets.push(...found.filter((_, at) => up[at]).map((target) => ({ ...target, pids: target.pids.flatMap(family) })))
    missing.push(...found.filter((_, at) => !up[at]).map(({ name }) => `${name}: it did not answer`))
    return { targets, missing, stop }
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

export const headersOf = ({ host, key }: Target): Record<string, string> => ({
  Host: host,
  ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }),
})

const answers = (target: Target | undefined): Promise<boolean> =>
  fetch(`http://${target?.address}:${target?.port}${target?.path ?? '/v1/chat/completions'}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${target?.key}`, 'content-type': 'application/json' },
    body: '{"model":"qwen3:0.6b","messages":[]}',
  }).then(
    (response) => response.ok,
    () => false,
  )

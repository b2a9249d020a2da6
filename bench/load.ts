import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { packages } from '../sandbox/box/packages.ts'
import { cpuOf } from './processes.ts'
import { headersOf, pathOf, type Target } from './target.ts'

/** A chat request of so many bytes. */
export function bodyOf(bytes: number): string {
  const message = (content: string) => JSON.stringify({ model: 'qwen3:0.6b', messages: [{ role: 'user', content }] })
  return message('x'.repeat(Math.max(1, bytes - message('').length)))
}

export interface Round {
  /** ms */
  p50: number
  p99: number
  perSecond: number
  /** processor time of the target's own processes for a request, µs */
  cpu: number
}

const unit: Record<string, number> = { us: 0.001, ms: 1, s: 1000 }

function time(text: string, share: string): number {
  const [, value, of] = new RegExp(`^\\s+${share}%\\s+([\\d.]+)(us|ms|s)`, 'm').exec(text) ?? []
  return Number(value) * (unit[of ?? 'ms'] ?? 1)
}

const script = (target: Target, bytes: number): string =>
  [
    'wrk.method = "POST"',
    `wrk.body = '${bodyOf(bytes)}'`,
    'wrk.headers["Content-Type"] = "application/json"',
    ...Object.entries(headersOf(target)).map(([name, value]) => `wrk.headers["${name}"] = "${value}"`),
    // The name in the address is what the handshake asks for; no resolver needs to know it.
    `wrk.resolve = function(_, port) wrk.addrs = wrk.lookup("${target.address}", port) end`,
    '',
  ].join('\n')

export interface Load {
  connections: number
  seconds: number
  /** of the body */
  bytes: number
}

/** A round of load on one target by wrk (Debian's); throws when an answer was no 200. */
export async function round(target: Target, { connections, seconds, bytes }: Load): Promise<Round> {
  const { bin, libraryPath } = await packages(['wrk'])
  const folder = mkdtempSync(join(tmpdir(), 'wrk-'))
  const file = join(folder, 'load.lua')
  writeFileSync(file, script(target, bytes))
  const url = `${target.tls ? 'https' : 'http'}://${target.tls ?? target.address}:${target.port}${pathOf(target)}`
  const argv = [
    '-t1',
    `-c${connections}`,
    `-d${seconds * (target.slow ? 5 : 1)}s`,
    '--timeout',
    '10s',
    '--latency',
    '-s',
    file,
    url,
  ]
  try {
    const before = cpuOf(target.pids)
    const { stdout } = await promisify(execFile)(bin('wrk'), argv, { env: { LD_LIBRARY_PATH: libraryPath } })
    if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`${target.name}: ${stdout}`)
    const requests = Number(/(\d+) requests in/.exec(stdout)?.[1])
    return {
      p50: time(stdout, '50'),
      p99: time(stdout, '99'),
      perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]),
      cpu: ((cpuOf(target.pids) - before) * 1000) / requests,
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A quantile of numbers, 0 when there are none. */
export function quantile(values: number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

export const median = (values: number[]): number => quantile(values, 0.5)

/** What a target showed: the median of each figure, and all rounds. */
export interface Seen extends Round {
  rounds: Round[]
}

/** So many rounds of every target in turn, so that a noisy minute hits all alike; by wrk unless told. */
export async function interleaved(
  targets: Target[],
  rounds: number,
  load: Load,
  by: (target: Target, load: Load) => Promise<Round> = round,
): Promise<Map<string, Seen>> {
  const all = new Map<string, Round[]>(targets.map(({ name }) => [name, []]))
  for (let at = 0; at < rounds; at += 1)
    for (const target of targets) all.get(target.name)?.push(await by(target, load))
  const middle = (list: Round[]): Seen => ({
    rounds: list,
    p50: median(list.map(({ p50 }) => p50)),
    p99: median(list.map(({ p99 }) => p99)),
    perSecond: median(list.map(({ perSecond }) => perSecond)),
    cpu: median(list.map(({ cpu }) => cpu)),
  })
  return new Map([...all].map(([name, list]) => [name, middle(list)]))
}

/** How often one is the other in a figure: the median of what each round shows, since both met the same noise there. */
export const times = (one: Seen, other: Seen, figure: keyof Round): number =>
  median(one.rounds.map((round, at) => round[figure] / (other.rounds[at]?.[figure] ?? Number.NaN)))

/** How much more one takes than the other, the same way. */
export const over = (one: Seen, other: Seen, figure: keyof Round): number =>
  median(one.rounds.map((round, at) => round[figure] - (other.rounds[at]?.[figure] ?? Number.NaN)))

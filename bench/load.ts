import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { packages } from '../sandbox/packages.ts'
import type { Target } from './targets.ts'

const body = JSON.stringify({ model: 'qwen3:0.6b', messages: [{ role: 'user', content: 'Hello, how are you?' }] })

export interface Round {
  /** ms */
  p50: number
  p99: number
  perSecond: number
}

const unit: Record<string, number> = { us: 0.001, ms: 1, s: 1000 }

function time(text: string, share: string): number {
  const [, value, of] = new RegExp(`^\\s+${share}%\\s+([\\d.]+)(us|ms|s)`, 'm').exec(text) ?? []
  return Number(value) * (unit[of ?? 'ms'] ?? 1)
}

/** A round of load on one target by wrk (Debian's), for so many seconds on so many connections; throws when an answer was no 200. */
export async function round(target: Target, connections: number, seconds: number): Promise<Round> {
  const { bin, libraryPath } = await packages(['wrk'])
  const script = join(tmpdir(), `bench-${process.pid}.lua`)
  writeFileSync(
    script,
    `wrk.method = "POST"\nwrk.body = '${body}'\nwrk.headers["Content-Type"] = "application/json"\nwrk.headers["Host"] = "${target.host}"\n`,
  )
  const argv = [
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    '--latency',
    '-s',
    script,
    `http://${target.address}:${target.port}/v1/chat/completions`,
  ]
  const { stdout } = await promisify(execFile)(bin('wrk'), argv, { env: { LD_LIBRARY_PATH: libraryPath } })
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`${target.name}: ${stdout}`)
  return {
    p50: time(stdout, '50'),
    p99: time(stdout, '99'),
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]),
  }
}

/** A quantile of numbers, 0 when there are none. */
export function quantile(values: number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

export const median = (values: number[]): number => quantile(values, 0.5)

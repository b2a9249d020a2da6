import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { parseDocument } from 'yaml'
import type { Output } from '../../lib/host/command.ts'
import { realLook } from '../../lib/host/host.ts'
import type { RawAnswer } from '../../lib/host/look.ts'
import { type Printed, parsePrint } from '../../lib/platform/mac/launchd.ts'
import { labels, places } from '../../lib/platform/mac/places.ts'
import { tailscaleState } from '../../lib/platform/tailscale.ts'
import { parseSettings, type Settings } from '../../lib/site/settings.ts'
import type { Step } from './step.ts'

export const checkout = resolve(import.meta.dirname, '../..')
process.chdir(checkout)

/** This machine, as the scripts see it. */
export const look = realLook()
export const mac = places(look.home)
export const uid = process.getuid?.() ?? 501
const minute = 60_000

/** The numbers that a step is given: `--rounds 20`; each has a value of its own on a Mac. */
export function numbers<T extends Record<string, number>>(usual: T): T {
  const options = Object.fromEntries(Object.keys(usual).map((name) => [name, { type: 'string' as const }]))
  const { values } = parseArgs({ options })
  const given = Object.entries(values).map(([name, value]) => [name, Number(value)])
  const wrong = given.find(([, value]) => !(Number.isInteger(value) && Number(value) > 0))
  if (wrong) throw new Error(`--${wrong[0]} takes a whole number above zero`)
  return { ...usual, ...Object.fromEntries(given) }
}

/** Runs a command to its end, an hour at most unless told (ms). */
export const run = (argv: string[], timeoutMs = 60 * minute): Promise<Output> => look.query(argv, { timeoutMs })

/** A root script of this checkout, as a person runs it. */
export const script = (name: string, ...args: string[]): Promise<Output> =>
  run([process.execPath, '--import', 'tsx', join(checkout, name), ...args])

/** What a command ended with and said last, for the row of a miss. */
export function ending({ code, stdout, stderr }: Output): string {
  const last = `${stdout}\n${stderr}`.split('\n').filter((line) => line.trim() !== '')
  return `ended with ${code}: ${last.slice(-3).join(' / ')}`
}

/** What launchctl says of one of our jobs; undefined when it is not loaded. */
export async function job(label: string): Promise<Printed | undefined> {
  const { code, stdout } = await look.query(['launchctl', 'print', `gui/${uid}/${label}`])
  return code === 0 ? parsePrint(stdout) : undefined
}

export interface Gateway {
  address: string
  port: number
  settings: Settings
  /** a model to ask, when one is installed */
  model: string | undefined
}

async function model(settings: Settings): Promise<string | undefined> {
  const at = { address: '127.0.0.1', port: settings.engine.port }
  const host = `${at.address}:${at.port}`
  const { body } = await look.probe({ ...at, method: 'GET', target: '/api/tags', headers: { host } })
  const names = [...body.matchAll(/"name":\s*"([^"]+)"/g)].map(([, name = '']) => name)
  return [...settings.models, 'qwen3:0.6b'].find((name) => names.includes(name)) ?? names[0]
}

/** The gateway that install.ts made; where there is none, the step says that it did not try. */
export async function gateway(step: Step): Promise<Gateway | undefined> {
  const text = await look.read(mac.settings)
  const { ipv4 } = await tailscaleState(look)
  if (!(await look.stat(mac.config)) || text === undefined || ipv4 === undefined) {
    step.skip('everything', 'nothing is installed here: run install.ts first')
    return undefined
  }
  const settings = parseSettings(text, mac.settings)
  return { address: ipv4, port: settings.port, settings, model: await model(settings) }
}

export interface Asked {
  method?: string
  key?: string
  body?: object
  headers?: Record<string, string>
  timeoutMs?: number
}

/** A request to the gateway's tailnet address, from here. */
export function ask({ address, port }: Gateway, target: string, asked: Asked = {}): Promise<RawAnswer> {
  const { method = asked.body ? 'POST' : 'GET', key, body, headers, timeoutMs } = asked
  return look.probe({
    ...{ address, port, method, target, timeoutMs: timeoutMs ?? 30_000 },
    headers: {
      host: `${address}:${port}`,
      ...(body ? { 'content-type': 'application/json' } : {}),
      ...(key ? { authorization: `Bearer ${key}` } : {}),
      ...headers,
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
}

/** Whether the gateway, and the engine behind it, answer within the time (ms). */
export const answers = (at: Gateway, withinMs = 2 * minute): Promise<boolean> =>
  look.until(
    'the gateway answers',
    withinMs,
    async () => (await ask(at, '/api/version', { timeoutMs: 5000 })).status === 200,
  )

/** Sets a value in settings.yaml and leaves every other line as it is. */
export function setSetting(path: string[], value: unknown): void {
  const document = parseDocument(readFileSync(mac.settings, 'utf8'))
  document.setIn(path, value)
  writeFileSync(mac.settings, document.toString(), { mode: 0o600 })
}

/** Does something with other settings in force, and brings back those that were, whatever happens. */
export async function withSettings(
  step: Step,
  path: string[],
  value: unknown,
  work: () => Promise<void>,
): Promise<void> {
  const before = readFileSync(mac.settings, 'utf8')
  setSetting(path, value)
  try {
    const applied = await script('apply.ts')
    if (step.holds(`apply.ts puts ${path.join('.')}: ${value} in force`, applied.code === 0, ending(applied)))
      await work()
  } finally {
    writeFileSync(mac.settings, before, { mode: 0o600 })
    const back = await script('apply.ts')
    step.holds('apply.ts puts the settings from before in force again', back.code === 0, ending(back))
  }
}

/** The worker's `show info` as numbers and words; empty when none answers. */
export async function info(): Promise<Record<string, string>> {
  const said = (await look.ask(mac.adminSocket, 'show info')) ?? ''
  return Object.fromEntries([...said.matchAll(/^(\w+): (.*)$/gm)].map(([, name = '', value = '']) => [name, value]))
}

export { labels }

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { type Box, type BoxOptions, createBox, namespaces, type Outcome } from '../box/box.ts'
import { combine } from '../box/presets.ts'
import type { Faults } from '../standins/ollama/faults.ts'
import { eventually } from './await.ts'
import { placeModels, withReal } from './real.ts'
import { expectGreen, patience, small, told } from './witness.ts'

export interface ReadyOptions extends BoxOptions {
  /** false: a real Ollama has no models at first, as the stand-in always */
  models?: boolean
}

export interface InstalledOptions extends ReadyOptions {
  /** lines of settings.yaml */
  settings?: string
  /** further words for install.ts */
  flags?: string[]
  /** the exit code that is right; 0 unless told */
  code?: number
}

/** A Mac that has everything but us and does not fall asleep, so that nobody is asked about that. */
const quick = { launchd: { throttleMs: 200 }, pmset: { ac: { sleep: 0, autorestart: 1 } } }

/** Where a box has no root of its own, Tailscale's command is on the PATH. */
const onPath = 'why' in namespaces() ? { tailscale: { menuCli: true } } : {}

export const settingsFile = '.config/remote-ollama-proxy/settings.yaml'
export const labels = ['com.ollama', 'com.haproxy', 'com.ollama.warm-models', 'com.haproxy.observer'] as const
export const logs = 'Library/Logs/remote-ollama-proxy'

const ports = ['port', 'engine', 'peers', 'metrics']

/** Writes settings; the ports of a box without a network of its own stay as they are. */
export function putSettings(box: Box, lines: string): void {
  const before = box.namespaced ? {} : (parse(box.read(settingsFile)) as Record<string, unknown>)
  const kept = Object.entries(before).filter(([key]) => ports.includes(key))
  const own = box.namespaced ? lines : lines.replace(/^(port|engine|peers|metrics):.*\n/gm, '')
  box.write(settingsFile, `${kept.length > 0 ? stringify(Object.fromEntries(kept)) : ''}${own}`, 0o600)
}

/** A Mac with Tailscale, Ollama and HAProxy on it, without us. */
export async function readyBox({ models = true, ...options }: ReadyOptions = {}): Promise<Box> {
  const mac = combine(quick, onPath, options.mac)
  const box = await createBox(withReal({ preset: 'ready', ...options, mac }))
  if (models) placeModels(box)
  // Its ports are settings already, and then no model is chosen by default.
  if (!box.namespaced) putSettings(box, "models: ['qwen3:0.6b']\n")
  return box
}

/** A Mac on which install.ts has run. Whoever makes one closes it. */
export async function installedBox({
  settings,
  flags = [],
  code = 0,
  ...options
}: InstalledOptions = {}): Promise<Box> {
  const box = await readyBox(options)
  try {
    if (settings !== undefined) putSettings(box, settings)
    await installs(box, flags, code)
    return box
  } catch (error) {
    await box.close()
    throw error
  }
}

/** install.ts with every default. */
export const install = (box: Box, ...flags: string[]): Promise<Outcome> =>
  box.script('install.ts', ['--yes', ...small(box), ...flags], { timeoutMs: patience })

/** install.ts, which must end with this code; what it said stands in the failure. */
export async function installs(box: Box, flags: string[] = [], code = 0): Promise<Outcome> {
  const outcome = await install(box, ...flags)
  expectGreen(outcome.code, told(outcome), code)
  return outcome
}

export interface Seen {
  id: string
  title: string
  state: string
  saw: string
  remedy?: string
}

/** status.ts as a program reads it, the results by their ids. */
export async function status(box: Box): Promise<{ code: number; statement: string; of(id: string): Seen | undefined }> {
  const { code, stdout } = await box.script('status.ts', ['--json'])
  const { results, statement } = JSON.parse(stdout) as { results: Seen[]; statement: string }
  return { code, statement, of: (id) => results.find((result) => result.id === id) }
}

/** What launchctl says of a job; undefined when it is not loaded. */
export async function job(
  box: Box,
  label: string,
): Promise<{ pid?: number; lastExit?: number; text: string } | undefined> {
  const { code, stdout } = await box.run(['launchctl', 'print', `gui/501/${label}`])
  if (code !== 0) return undefined
  const number = (key: string) => {
    const found = new RegExp(`^\\t${key} = (\\d+)`, 'm').exec(stdout)?.[1]
    return found === undefined ? undefined : Number(found)
  }
  return { pid: number('pid'), lastExit: number('last exit code'), text: stdout }
}

/** The process of a job that runs. */
export const runningPid = (box: Box, label: string): Promise<number> =>
  eventually(`${label} runs`, async () => (await job(box, label))?.pid)

/** Waits until another machine of the tailnet gets an answer from Ollama through the gateway. */
export async function answers(box: Box, host = box.address): Promise<void> {
  await eventually(`http://${host}:${box.port}/api/version answers`, async () => {
    const from = box.namespaced ? 'laptop' : 'mac'
    const headers = { host: `${host.includes(':') ? `[${host}]` : host}:${box.port}` }
    return (await box.http(from, { host, path: '/api/version', headers, timeoutMs: 3_000 })).status === 200
  })
}

/** What the stand-in Ollama does wrong from now on. */
export function setFaults(box: Box, faults: Faults): void {
  writeFileSync(join(box.dir, 'ollama-faults.json'), JSON.stringify(faults))
}

/** What the running worker answers on its socket; empty when none runs. */
export async function worker(box: Box, command: string): Promise<string> {
  const program =
    "const s=require('net').connect(process.env.HOME+'/.haproxy/run/admin.sock');s.on('data',d=>process.stdout.write(d));s.end(process.argv[1]+'\\n')"
  return (await box.run([process.execPath, '-e', program, command])).stdout
}

/** The fingerprint that the running worker answers. */
export const fingerprint = async (box: Box): Promise<string | undefined> =>
  /CFG_ID=([0-9a-f]{64})/.exec(await worker(box, 'show env CFG_ID'))?.[1]

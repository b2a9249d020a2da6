import { stripVTControlCharacters } from 'node:util'
import { expect } from 'vitest'
import { type Printed, parsePrint } from '../../lib/platform/mac/launchd.ts'
import { labels, places } from '../../lib/platform/mac/places.ts'
import { type Box, type BoxOptions, createBox, namespaces, type Outcome, type Running } from '../box/box.ts'
import type { Machine } from '../box/init.ts'
import { combine } from '../box/presets.ts'
import { placeModels, withReal } from './real.ts'

export { everything } from '../box/everything.ts'

const possible = namespaces()

/** Why stories that need a network of their own are skipped here; undefined where they can run. */
export const cannot: string | undefined = 'why' in possible ? possible.why : undefined

/** A story's title with the reason why it is skipped. */
export const titled = (title: string): string => (cannot ? `${title} (skipped: ${cannot})` : title)

/** An install from nothing takes half a minute on two busy cores; ms. */
export const patience = 240_000

/** The settings file of a box that asks for one small model, so that nothing large is pulled. */
export const modest = 'models: [qwen3:0.6b]\n'

/** A box whose launchd does not wait between two starts and whose person logs in to Tailscale at once. */
export async function quickBox(options: BoxOptions = {}): Promise<Box> {
  const mac = combine({ launchd: { throttleMs: 200 } }, options.mac)
  const box = await createBox(withReal({ preset: 'ready', ...options, mac }))
  placeModels(box)
  return box
}

/** Runs a root script to its end. */
export const run = (box: Box, name: string, ...args: string[]): Promise<Outcome> =>
  box.script(name, args, { timeoutMs: patience })

/** Both streams and the exit code, to show when something is not as expected. */
export const told = (outcome: Outcome): string =>
  `exit code ${outcome.code}\n${outcome.stdout}\n--- stderr\n${outcome.stderr}`

/** The ids of what a run missed, as it printed them. */
const misses = (text: string): string[] =>
  [...stripVTControlCharacters(text).matchAll(/✗ [^\n]* \[([\w.:-]+)\]/g)].map(([, id = '']) => id)

/** Expects a green end, or another that is right; only the time that a request takes may be missed, since a busy test machine decides it. */
export function expectGreen(code: number, text: string, right = 0): void {
  const missed = code === 1 ? misses(text) : []
  if (missed.length > 0 && missed.every((id) => id === 'performance.overhead')) return
  expect(code, text).toBe(right)
}

/** The small model that stories ask, for an install without settings of its own. */
export const small = (box: Box): string[] =>
  box.exists('.config/remote-ollama-proxy/settings.yaml') ? [] : ['--model', 'qwen3:0.6b']

/** Installs with the defaults, to a green end. */
export async function installed(box: Box, ...args: string[]): Promise<Outcome> {
  const outcome = await run(box, 'install.ts', '--yes', ...small(box), ...args)
  expectGreen(outcome.code, told(outcome))
  return outcome
}

/** What `launchctl print` says of one of our jobs; undefined when it is not loaded. */
export async function job(box: Box, label: string): Promise<Printed | undefined> {
  const { code, stdout } = await box.run(['launchctl', 'print', `gui/${box.state().uid}/${label}`])
  return code === 0 ? parsePrint(stdout) : undefined
}

export interface Pids {
  engine: number | undefined
  master: number | undefined
  worker: number | undefined
}

/** The processes that answer: the job of Ollama, the master of HAProxy, and the worker that holds the port. */
export async function pids(box: Box): Promise<Pids> {
  const [engine, gateway] = [await job(box, labels.engine), await job(box, labels.gateway)]
  const worker = (await listeners(box, box.port)).find(({ command }) => command.startsWith('haproxy'))
  return { engine: engine?.pid, master: gateway?.pid, worker: worker?.pid }
}

export interface Listener {
  command: string
  pid: number
  /** address:port */
  at: string
}

/** Who listens on a port of the box's Mac, by lsof. */
export async function listeners(box: Box, port: number): Promise<Listener[]> {
  const { stdout } = await box.run(['lsof', '-nP', `-iTCP:${port}`, '-sTCP:LISTEN'])
  return stdout
    .split('\n')
    .slice(1)
    .filter(Boolean)
    .map((row) => {
      const cells = row.split(/\s+/)
      return { command: cells[0] ?? '', pid: Number(cells[1]), at: cells.at(-2) ?? '' }
    })
}

/** The status that a machine of the box gets for a path, or `refused` when nobody answers there. */
export async function answer(
  box: Box,
  from: Machine,
  path: string,
  options: { method?: string; host?: string; port?: number } = {},
): Promise<number | 'refused'> {
  const { method = 'GET', host = box.address, port = box.port } = options
  return box
    .http(from, { method, path, host, port, headers: { host: `${host}:${port}` } })
    .then(({ status }) => status)
    .catch(() => 'refused' as const)
}

/** The runs' log files, oldest first. */
export const logs = (box: Box): string[] =>
  [...box.snapshot('Library/Logs/remote-ollama-proxy').keys()].filter((name) => /^\d{4}-.*\.log$/.test(name)).sort()

/** The text of the newest run's log. */
export const lastLog = (box: Box): string => box.read(`Library/Logs/remote-ollama-proxy/${logs(box).at(-1)}`)

/** Where things lie in this box's home folder. */
export const at = (box: Box) => places(box.home)

/** What a person saw on a terminal, without colours and cursor movements. */
export const screen = (running: Running): string => stripVTControlCharacters(running.output()).replaceAll('\r', '')

/** Waits for each question in turn and answers it: Enter by default. */
export async function answerEach(running: Running, answers: [question: string | RegExp, keys?: string][]) {
  for (const [question, keys = '\r'] of answers) {
    await running.expect(question, patience)
    running.write(keys)
  }
}

/** The files named in a receipt, with their hashes. */
export const receipt = (box: Box) =>
  JSON.parse(box.read(at(box).receipt)) as {
    mode: string
    files: Record<string, string>
    stopped: { what: string; back: string[] }[]
    backups: { original: string; backup: string }[]
  }

import { exitCodes, Stop } from '../host/command.ts'
import { type Host, realHost } from '../host/host.ts'
import { typed } from '../host/typed.ts'
import { renewLists } from '../people/store.ts'
import { engineAddress } from '../site/engine.ts'
import { kindOf } from '../site/engines.ts'
import { modelName } from '../site/model-name.ts'
import { fits, gigabytes, loadModel, progress, pullModel, running, sameModel, tags, weightsOf } from '../site/models.ts'
import { didYouMean } from '../site/nearest.ts'
import { connectedAt, loadsHere, type Node, nodesOf, nodesToWarm, placeOf } from '../site/nodes.ts'
import type { Setup } from '../site/setup.ts'
import type { Flags, Script, Ui } from './cli.ts'
import { type Prepared, prepare } from './prepare.ts'
import { complain } from './screens/wrap.ts'

interface Warmed {
  model: string
  loaded: boolean
  /** bytes in memory */
  size?: number
  ms: number
  error?: string
}

interface Engine {
  address: string
  port: number
  base: string
}

/** warm-models.ts: downloads what is missing, loads, goes on after a failure. Exit 5 when one failed. */
export async function warm(ui: Ui, flags: Flags, names: string[]): Promise<number> {
  const host = realHost(ui.note, ui.waiting)
  for (const name of names) checkName(name)
  keepAliveOf(flags)
  const { machine, setup } = await prepare(host, ui)
  if (typeof flags.on === 'string') return warmNodes(ui, host, setup, flags, names)
  const wanted = names.length > 0 ? names : setup.settings.models
  const nodes = names.length > 0 || setup.mode !== 'proxy' ? [] : nodesToWarm(setup.settings)
  const own = setup.mode !== 'proxy' || setup.settings.role === 'server'
  if (nodes.length > 0) {
    const here = own && wanted.length > 0 ? await warmHere(ui, host, { machine, setup }, wanted, flags) : []
    return told(ui, [...here, ...(await warmEach(ui, host, setup, nodes, flags))])
  }
  if (wanted.length === 0)
    throw new Stop(exitCodes.usage, `No model is named, and settings.yaml lists none; run: ${typed('warm')} qwen3:0.6b`)
  if (!own)
    throw new Stop(
      exitCodes.usage,
      `A gateway has no engine of its own; say which node: ${typed('warm')} MODEL --on NODE`,
    )
  return told(ui, await warmHere(ui, host, { machine, setup }, wanted, flags))
}

/** At the engine of this machine. */
function warmHere(ui: Ui, host: Host, { machine, setup }: Prepared, wanted: string[], flags: Flags): Promise<Warmed[]> {
  const address = engineAddress(machine, setup)
  const engine = { address, port: setup.settings.engine.port, base: `http://${address}:${setup.settings.engine.port}` }
  return warmed(ui, host, engine, wanted, flags, { setup, memory: machine.memory })
}

/** At each node what it is to have; one that does not answer keeps no other from it. */
async function warmEach(
  ui: Ui,
  host: Host,
  setup: Setup,
  nodes: (Node & { models: string[] })[],
  flags: Flags,
): Promise<Warmed[]> {
  const results: Warmed[] = []
  for (const node of nodes) {
    ui.say(`${node.name}:`)
    const at = { address: connectedAt(node.address), port: node.port }
    const engine = { ...at, base: `http://${placeOf(at)}` }
    const failed = (error: Error) => {
      ui.say(`not loaded: ${error.message}`)
      return node.models.map((model) => ({ model, loaded: false, ms: 0, error: `${node.name}: ${error.message}` }))
    }
    results.push(...(await warmed(ui, host, engine, node.models, flags, { setup }).catch(failed)))
  }
  return results
}

/** The same at nodes, which must be Ollamas: others load what they have by themselves. */
async function warmNodes(ui: Ui, host: Host, setup: Setup, flags: Flags, names: string[]): Promise<number> {
  const nodes = ollamas(setup, `${flags.on}`).map((node) => ({
    ...node,
    models: names.length > 0 ? names : (node.models ?? []),
  }))
  const wanting = nodes.filter(({ models }) => models.length > 0)
  if (wanting.length === 0)
    throw new Stop(exitCodes.usage, `No model is named; run: ${typed('warm')} MODEL --on ${flags.on}`)
  return told(ui, await warmEach(ui, host, setup, wanting, flags))
}

function ollamas({ settings }: Setup, on: string): Node[] {
  const all = nodesOf(settings)
  const meant = all.filter(({ name }) => on === 'all' || name === on)
  const able = meant.filter(loadsHere)
  const [first] = meant
  if (!first)
    throw new Stop(
      exitCodes.usage,
      `There is no node ${JSON.stringify(on.slice(0, 40))}${didYouMean(on, [...all.map(({ name }) => name), 'all']) || '.'}`,
    )
  if (able.length === 0)
    throw new Stop(
      exitCodes.precondition,
      `${first.name} is ${kindOf(first.engine).what}${first.key ? ' behind a key' : ''}: it loads its models itself; type this on that machine.`,
    )
  return able
}

/** Fetches and loads models at one engine. */
async function warmed(
  ui: Ui,
  host: Host,
  engine: Engine,
  wanted: string[],
  flags: Flags,
  { setup, memory }: { setup: Setup; memory?: number },
): Promise<Warmed[]> {
  await awake(ui, host, engine)
  const fetched: Warmed[] = []
  for (const name of wanted)
    fetched.push(await timed(ui, name, () => fetchOne(ui, host, engine, name, flags['no-pull'] !== true)))
  await renewLists(host, setup.settings)
  // The sizes are known now, and nothing is loaded yet.
  if (memory !== undefined) await warnTooMany(ui, host, engine, wanted, memory)
  const results: Warmed[] = []
  for (const before of fetched)
    results.push(before.error ? before : await loadOne(ui, host, engine, before, keepAliveOf(flags)))
  return results
}

function told(ui: Ui, results: Warmed[]): number {
  if (ui.json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`)
  const failed = results.filter((result) => !result.loaded)
  if (failed.length)
    complain(
      `${failed.length} of ${results.length} not loaded: ${failed.map((result) => `${result.model} (${result.error})`).join('; ')}`,
    )
  return failed.length ? exitCodes.partly : exitCodes.done
}

function checkName(name: string): void {
  const checked = modelName.safeParse(name)
  if (!checked.success)
    throw new Stop(
      exitCodes.usage,
      `${JSON.stringify(name.slice(0, 80))} is no model name: ${checked.error.issues[0]?.message}.`,
    )
}

function keepAliveOf(flags: Flags): string | undefined {
  const text = flags['keep-alive']
  if (typeof text !== 'string' || /^(-1|\d{1,6}(ms|s|m|h))$/.test(text)) return text as string | undefined
  throw new Stop(exitCodes.usage, `--keep-alive ${JSON.stringify(text)} is no time; write 30m, 2h or -1 for ever.`)
}

async function awake(ui: Ui, host: Host, engine: Engine): Promise<void> {
  const done = ui.busy('Waiting for Ollama')
  const up = await host.until(
    `Ollama answers on ${engine.address}:${engine.port}`,
    120_000,
    async () => (await tags(host, engine.address, engine.port)) !== undefined,
  )
  done()
  if (!up)
    throw new Stop(
      exitCodes.precondition,
      `Ollama does not answer on ${engine.address}:${engine.port} after 120 s; see: ${typed('status')}`,
    )
}

async function warnTooMany(ui: Ui, host: Host, engine: Engine, wanted: string[], memory: number): Promise<void> {
  const list = (await tags(host, engine.address, engine.port)) ?? []
  const bytes = list
    .filter((tag) => wanted.some((name) => sameModel(name, tag.name)))
    .reduce((sum, tag) => sum + tag.size, 0)
  if (bytes > 0 && !fits(bytes, memory)) {
    ui.say(
      `These models take about ${gigabytes(bytes * 1.2)} together, and this machine has ${gigabytes(memory)}: Ollama will put some out of memory again.`,
    )
  }
}

/** Does one thing for a model; what it throws becomes the model's error, so that the others still get their turn. */
async function timed(ui: Ui, model: string, work: () => Promise<Partial<Warmed>>, before = 0): Promise<Warmed> {
  const started = performance.now()
  const ended = () => before + Math.round(performance.now() - started)
  try {
    return { model, loaded: false, ...(await work()), ms: ended() }
  } catch (error) {
    ui.say(`${model}: not loaded: ${(error as Error).message}`)
    return { model, loaded: false, ms: ended(), error: (error as Error).message }
  }
}

async function fetchOne(ui: Ui, host: Host, engine: Engine, model: string, pull: boolean): Promise<Partial<Warmed>> {
  const there = ((await tags(host, engine.address, engine.port)) ?? []).some((tag) => sameModel(tag.name, model))
  if (!there && !pull) throw new Stop(1, `${model} is not installed, and --no-pull was given`)
  if (there) return {}
  const done = ui.busy(`Downloading ${model}`)
  await pullModel(host, engine.base, model, progress(ui.progress, model)).finally(done)
  return {}
}

/** What `/api/ps` says of a model; models with the same weights are in memory once, under the first one's name. */
async function inMemory(host: Host, engine: Engine, model: string): Promise<{ size: number } | undefined> {
  const { address, port } = engine
  const list = (await running(host, address, port)) ?? []
  const own = list.find((entry) => sameModel(entry.name, model))
  if (own) return own
  const weights = await weightsOf(host, address, port, model)
  for (const entry of list)
    if (weights !== undefined && (await weightsOf(host, address, port, entry.name)) === weights) return entry
  return undefined
}

async function loadOne(ui: Ui, host: Host, engine: Engine, before: Warmed, keepAlive?: string): Promise<Warmed> {
  const { model } = before
  const load = async () => {
    const done = ui.busy(`Loading ${model}, which may take minutes.`, true)
    await loadModel(host, engine.base, model, keepAlive).finally(done)
    const loaded = await inMemory(host, engine, model)
    if (!loaded) throw new Stop(1, `${model} answered, but is not in memory afterwards`)
    return { loaded: true, size: loaded.size }
  }
  const result = await timed(ui, model, load, before.ms)
  if (result.loaded) ui.say(`${model}: loaded, ${gigabytes(result.size ?? 0)}, ${(result.ms / 1000).toFixed(1)} s`)
  return result
}

export const script: Script = {
  usage: `Usage: ${typed('warm')} [MODEL...] [options]
Downloads what is missing and loads the models into memory; without names those of settings.yaml, at nodes, too.

  --keep-alive TIME    how long they stay after their last use, e.g. 30m
  --no-pull            load only what is there
  --on NODE            at this node (an Ollama), or at all of them: --on all
  --json               one JSON document on stdout`,
  options: {
    'keep-alive': { type: 'string' },
    'no-pull': { type: 'boolean' },
    on: { type: 'string' },
    json: { type: 'boolean' },
  },
  positionals: true,
  log: 'warm-models',
  run: warm,
}

import { exitCodes, Stop } from '../../host/command.ts'
import type { Host } from '../../host/host.ts'
import { called, typed } from '../../host/typed.ts'
import { askNode, type NodeModel, unreachable } from '../../nodes/ask.ts'
import { meansOf } from '../../nodes/keys.ts'
import { recognise } from '../../nodes/recognise.ts'
import { setDrained } from '../../nodes/store.ts'
import { isOurselves, ownMark } from '../../nodes/through.ts'
import { places, platformOf } from '../../platform/here.ts'
import { type EngineName, kindOf } from '../../site/engines.ts'
import { didYouMean } from '../../site/nearest.ts'
import { type Node, placeOf } from '../../site/nodes.ts'
import { withNode } from '../../site/nodes-text.ts'
import { parseSettings, type Settings } from '../../site/settings.ts'
import { type Passed, readUpstream } from '../../site/upstream.ts'
import { applyHeld } from '../apply.ts'
import { notOneFile } from '../arguments.ts'
import type { Flags, Ui } from '../cli.ts'
import { defaultSettings } from '../prepare.ts'

/** What a change of nodes is made with. */
export interface Call {
  ui: Ui
  host: Host
  settings: Settings
  flags: Flags
  names: string[]
}

/** The settings as they are written, or the defaults where nothing was. */
const textOf = async (host: Host): Promise<string> =>
  (await host.read(places(host).settings)) ?? (await defaultSettings(host))

/** Throws `Stop` (exit 3) where the owner keeps the settings elsewhere. */
function ownSettings({ host }: Call): void {
  const { settings, given } = places(host)
  if (given)
    throw new Stop(
      exitCodes.precondition,
      `The settings are only read here: change ${given.nodes} or ${settings} where they are kept, then ${typed('apply')}. ${nothing}`,
    )
}

/** Writes other settings and brings them into effect; what cannot be is taken back. */
async function changed(call: Call, text: string): Promise<number> {
  const { settings: file } = places(call.host)
  parseSettings(text, file)
  const before = await call.host.read(file)
  await call.host.write(file, text, 0o600)
  try {
    return await applyHeld(call.ui, call.host, false)
  } catch (error) {
    if (before !== undefined && !(error instanceof Stop && error.code === exitCodes.partly))
      await call.host.write(file, before, 0o600)
    throw error
  }
}

const place = (text: string): { address: string; port?: number } => {
  const [, six, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const address = six ?? plain ?? text
  return port === undefined ? { address } : { address, port: Number(port) }
}

/** What was told by flags, as settings write it. */
function written({ flags }: Call): Record<string, unknown> {
  const text = (name: string) => (typeof flags[name] === 'string' ? { [name]: flags[name] } : {})
  const number = (name: string) => (typeof flags[name] === 'string' ? { [name]: Number(flags[name]) } : {})
  return { ...text('engine'), ...number('slots'), ...number('speed'), ...text('key'), ...text('tls'), ...text('mac') }
}

function twoNames({ names }: Call): [string, string] {
  const [name, address, ...more] = names
  if (name === undefined || address === undefined || more.length > 0)
    throw new Stop(exitCodes.usage, `A node has a name and an address: ${typed('nodes')} add NAME ADDRESS[:PORT]`)
  return [name, address]
}

/** What a node that is to be added would be, by settings that have it. Throws `Stop` (exit 2) with every fault. */
function described(text: string, file: string, name: string, fields: Record<string, unknown>): Node {
  const { nodes } = parseSettings(withNode(text, name, fields), file)
  const found = nodes[name]
  if (!found) throw new Stop(exitCodes.usage, `${name} is no name of a node.`)
  return { ...found, name, id: 0, port: found.port ?? kindOf(found.engine).port }
}

const nothing = 'Nothing was changed.'

/** rop nodes add: asks the node what it is and has, and only then writes it down. */
export async function add(call: Call): Promise<number> {
  ownSettings(call)
  const { host, ui, settings } = call
  const [name, at] = twoNames(call)
  if (Object.hasOwn(settings.nodes, name))
    throw new Stop(
      exitCodes.usage,
      `There is a node ${name} already; ${typed('nodes')} remove ${name} takes it away. ${nothing}`,
    )
  const text = await textOf(host)
  const fields: Record<string, unknown> = { ...place(at), ...written(call) }
  const draft = described(text, places(host).settings, name, fields)
  const means = await meansOf(host, draft)
  const found = fields.engine === undefined ? await recognise(host, place(at), means) : undefined
  const why = found ? undefined : await unreachable(host, draft, means)
  if (why !== undefined) throw new Stop(exitCodes.precondition, `${placeOf(draft)} was not asked: ${why}. ${nothing}`)
  if (fields.engine === undefined && !found)
    throw new Stop(
      exitCodes.precondition,
      `${placeOf(draft)} answers as none of the engines that are known: is it running, and does it want a key (--key)? Say --engine if you know better. ${nothing}`,
    )
  const node = { ...draft, ...found }
  await notOurselves(host, settings, node)
  const said = await askNode(host, node, means)
  if ('fault' in said)
    throw new Stop(
      exitCodes.precondition,
      `${name} at ${placeOf(node)} was asked as ${kindOf(node.engine).what}: ${said.fault}. ${nothing}`,
    )
  if (isOurselves(said.models, await ownMark(host))) throw itself(node)
  ui.say(`${name} is ${kindOf(node.engine).what} with ${told(said.models)}.`)
  return changed(call, withNode(text, name, { ...fields, engine: node.engine, port: node.port }))
}

function told(models: NodeModel[]): string {
  if (models.length === 0) return 'no model yet'
  const names = models.slice(0, 5).map(({ name }) => name)
  return `${names.join(', ')}${models.length > 5 ? ` and ${models.length - 5} more` : ''}`
}

const itself = (node: Node): Stop =>
  new Stop(exitCodes.usage, `${placeOf(node)} is this gateway itself, which would ask itself. ${nothing}`)

/** A gateway that asks itself would do so without end. */
async function notOurselves(host: Host, { port }: Settings, node: Node): Promise<void> {
  const own = await platformOf(host).addresses.all(host)
  if (node.port === port && own.some(({ address }) => address === node.address)) throw itself(node)
}

/** The one node that is named. Throws `Stop` (exit 2) where it is none of the settings'. */
export function oneNode({ names, settings }: Call, verb: string): string {
  const known = Object.keys(settings.nodes)
  const [name, ...more] = names
  if (name === undefined || more.length > 0)
    throw new Stop(
      exitCodes.usage,
      `${called('nodes')} ${verb} takes one name${known.length > 0 ? ` of ${known.join(', ')}` : ''}.`,
    )
  if (!known.includes(name) && name !== 'here')
    throw new Stop(
      exitCodes.usage,
      `There is no node ${JSON.stringify(name.slice(0, 40))}${didYouMean(name, known) || '.'}`,
    )
  return name
}

/** rop nodes remove: takes it out of the settings; what runs there goes on. */
export async function remove(call: Call): Promise<number> {
  ownSettings(call)
  const name = oneNode(call, 'remove')
  if (name === 'here')
    throw new Stop(
      exitCodes.usage,
      `here is this machine's own engine; role: gateway in settings.yaml is to be without one. ${nothing}`,
    )
  const code = await changed(call, withNode(await textOf(call.host), name, undefined))
  await setDrained(call.host, name, false)
  return code
}

const passedText = ({ line, why }: Passed): string => `  line ${line}: ${why}`

/** rop nodes import: the servers of an nginx upstream, each as a node. */
export async function bring(call: Call): Promise<number> {
  ownSettings(call)
  const [file = '', ...more] = call.names
  const text = (await call.host.stat(file))?.kind === 'file' ? await call.host.read(file) : undefined
  if (text === undefined || more.length > 0) throw notOneFile('nodes import', call.names)
  const { nodes, passed } = readUpstream(text, Object.keys(call.settings.nodes))
  if (passed.length > 0) process.stderr.write(`Not imported:\n${passed.map(passedText).join('\n')}\n`)
  if (nodes.length === 0)
    throw new Stop(exitCodes.usage, `${file} names no server, such as "server 192.168.1.101:11434;". ${nothing}`)
  const wanted = nodes.reduce(
    (settings, { name, address, port, speed }) =>
      withNode(settings, name, {
        address,
        port,
        engine: 'ollama' satisfies EngineName,
        ...(speed === undefined ? {} : { speed }),
      }),
    await textOf(call.host),
  )
  for (const { name, down } of nodes) if (down) await setDrained(call.host, name, true)
  for (const one of nodes) call.ui.say(`${one.name}: ${placeOf(one)}${one.down ? ', drained' : ''}`)
  const code = await changed(call, wanted)
  return code || (passed.length > 0 ? exitCodes.partly : exitCodes.done)
}

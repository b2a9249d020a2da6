import { z } from 'zod'
import { mapText, parseMap } from '../haproxy/map-text.ts'
import { runningMap, setRunningMaps } from '../haproxy/runtime.ts'
import { json } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { typed } from '../host/typed.ts'
import { places } from '../platform/here.ts'
import {
  drainMap,
  gatewaysOf,
  type Node,
  type NodeSettings,
  nearName,
  nodeKeysName,
  nodesOf,
  spreads,
  tableName,
  throughName,
} from '../site/nodes.ts'
import { advice, again, type Check, type Finding, missed, ok, type Step } from '../steps/step.ts'
import { askNode, type NodeModel, type Said } from './ask.ts'
import { keyFault, meansOf, rootsFault } from './keys.ts'
import { nearLines } from './near.ts'
import { type Known, oneSpelling, tableLines } from './table.ts'
import { ensureMark, ownMark, throughLines, withoutOwn } from './through.ts'

const fileOf = (look: Look, name: string): string => `${places(look).keyMaps}/${name}`
const knownFile = (look: Look): string => `${places(look).state}/nodes.json`

const model = z.object({
  name: z.string(),
  loaded: z.boolean(),
  size: z.number().optional(),
  digest: z.string().optional(),
  tag: z.record(z.string(), z.unknown()).optional(),
  gateways: z.array(z.string()).optional(),
})
const schema = z.record(z.string(), z.array(model))

/** What each node last said, word for word. */
async function readSaid(look: Look): Promise<Known> {
  const { data } = schema.safeParse(json((await look.read(knownFile(look))) ?? ''))
  return new Map(Object.entries(data ?? {}))
}

/** What each node last said that it has; a gateway has none that it would ask this one for. */
export const readKnown = async (look: Look): Promise<Known> => withoutOwn(await readSaid(look), await ownMark(look))

/** Asks each node; what keeps it from being asked counts as its answer. */
export const askAll = (look: Look, nodes: Node[]): Promise<Map<string, Said>> =>
  Promise.all(
    nodes.map(
      async (node): Promise<[string, Said]> => [
        node.name,
        await meansOf(look, node)
          .then((means) => askNode(look, node, means))
          .catch((error: Error) => ({ fault: error.message })),
      ],
    ),
  ).then((said) => new Map(said))

const byName = (one: NodeModel, other: NodeModel): number => (one.name < other.name ? -1 : 1)

/** A node that is silent has what it had: whether it is asked is for HAProxy's checks to say. */
const together = (nodes: Node[], before: Known, said: Map<string, Said>): Known =>
  new Map(
    nodes.flatMap(({ name }): [string, NodeModel[]][] => {
      const now = said.get(name)
      // Ollama gives those of one second in another order at each call.
      const models = now && 'models' in now ? now.models.toSorted(byName) : before.get(name)
      return models ? [[name, models]] : []
    }),
  )

export type Wanted = NodeSettings & { spread: 'when_full' | 'never' }

/** A model that somebody waits for is being loaded, whatever the node lists. */
const unlessLoading = (known: Known, loading: Map<string, string[]>): Known =>
  new Map(
    [...known].map(([name, models]) => [
      name,
      models.map((one) => (loading.get(name)?.includes(oneSpelling(one.name)) ? { ...one, loaded: false } : one)),
    ]),
  )

async function written(host: Host, file: string, text: string): Promise<void> {
  if ((await host.read(file)) !== text) await host.write(file, text, 0o600, { flush: false })
}

/** Asks every node what it has, and tells the gateway: files first, then every worker. `loading` are models by node that are being loaded, in the table’s spelling. Throws `Stop` (exit 5) where the gateway does not confirm it. */
export async function renewNodes(host: Host, settings: Wanted, loading = new Map<string, string[]>()): Promise<void> {
  if (!spreads(settings)) return
  const nodes = nodesOf(settings)
  const said = await askAll(host, nodes)
  const all = together(nodes, await readSaid(host), said)
  await written(host, knownFile(host), `${JSON.stringify(Object.fromEntries(all))}\n`)
  const mark = await ensureMark(host, nodes)
  const known = withoutOwn(all, mark)
  const table = tableLines(nodes, unlessLoading(known, loading), settings.spread)
  const through: [string, Map<string, string>] = [throughName(nodes), throughLines(nodes, all, mark)]
  const maps: [string, Map<string, string>][] = [
    [tableName(nodes), table],
    [nearName(nodes), nearLines(nodes, known)],
    [nodeKeysName(nodes), await keysOf(host, nodes)],
    ...(gatewaysOf(nodes).length > 0 ? [through] : []),
  ]
  for (const [name, lines] of maps) await written(host, fileOf(host, name), mapText(lines))
  await ensureNodeFiles(host, nodes)
  await setRunningMaps(
    host,
    maps.map(([name, lines]) => [`keys/${name}`, lines]),
  )
}

const keysOf = async (look: Look, nodes: Node[]): Promise<Map<string, string>> =>
  new Map(
    (
      await Promise.all(
        nodes.map(async (node): Promise<[string, string][]> => {
          const { key } = (await keyFault(look, node)) ? {} : await meansOf(look, { ...node, tls: undefined })
          return key ? [[node.name, key]] : []
        }),
      )
    ).flat(),
  )

/** Every file that a configuration with these nodes names. */
const filesOf = (nodes: Node[]): string[] => [
  ...[drainMap, nodeKeysName(nodes), tableName(nodes), nearName(nodes)],
  ...(gatewaysOf(nodes).length > 0 ? [throughName(nodes)] : []),
]

/** HAProxy does not start without the files that its configuration names. */
async function ensureNodeFiles(host: Host, nodes: Node[]): Promise<void> {
  for (const name of filesOf(nodes))
    if ((await host.read(fileOf(host, name))) === undefined) await host.write(fileOf(host, name), '')
}

/** The nodes that take no new requests. */
export const drained = async (look: Look): Promise<string[]> =>
  [...parseMap((await look.read(fileOf(look, drainMap))) ?? '')].flatMap(([name, state]) =>
    state === 'drain' ? [name] : [],
  )

/** Has a node take no new requests, or take them again: in the file, since a reload reads that, and in every worker. Throws `Stop` (exit 5) where it does not hold. */
export async function setDrained(host: Host, name: string, drain: boolean): Promise<void> {
  const others = (await drained(host)).filter((one) => one !== name)
  const lines = new Map([...others, ...(drain ? [name] : [])].map((one): [string, string] => [one, 'drain']))
  await host.write(fileOf(host, drainMap), mapText(lines))
  await setRunningMaps(host, [[`keys/${drainMap}`, lines]])
}

/** Whether the running gateway was given these nodes. */
export const hasTold = async (look: Look, settings: NodeSettings): Promise<boolean> =>
  spreads(settings) && (await runningMap(look, `keys/${nodeKeysName(nodesOf(settings))}`)) !== undefined

/** What settings name for nodes, found before anything is changed. */
export const nodesReachable = (settings: NodeSettings): Check[] =>
  !spreads(settings)
    ? []
    : [
        {
          id: 'nodes.keys',
          title: 'The keys and authorities of the nodes can be read, the keys by nobody else',
          exit: 3,
          async check(look) {
            for (const node of nodesOf(settings)) {
              const fault = (await keyFault(look, node)) ?? (await rootsFault(look, node))
              if (fault) return missed(fault, `Put it there, or change nodes in settings.yaml; then ${typed('apply')}.`)
            }
            return ok('those that are named are there')
          },
        },
      ]

/** The nodes and what they have, as HAProxy reads them; must be there before a configuration that names them. */
export function nodeSteps(settings: Wanted): Step[] {
  const nodes = nodesOf(settings)
  if (!spreads(settings)) return []
  return [
    {
      id: 'haproxy.nodes',
      ahead: true,
      title: 'The gateway knows its nodes, and what each of them has',
      check: (look) => found(look, nodes),
      apply: (host) => renewNodes(host, settings),
    },
  ]
}

async function found(look: Look, nodes: Node[]): Promise<Finding> {
  const file = fileOf(look, tableName(nodes))
  const [text, keys] = [await look.read(file), await look.read(fileOf(look, nodeKeysName(nodes)))]
  const all = await Promise.all(filesOf(nodes).map((name) => look.read(fileOf(look, name))))
  if (text === undefined || all.includes(undefined)) return missed('the gateway was not told of its nodes yet', again)
  if (keys !== mapText(await keysOf(look, nodes))) return missed('the key of a node has changed', again)
  const running = await runningMap(look, `keys/${tableName(nodes)}`)
  if (running && mapText(running) !== text && mapText(running) !== (await look.read(file)))
    return missed('the running gateway knows other models of them than were written down', again)
  if (nodes.length === 0)
    return advice(
      'this gateway has no node yet, so nothing is answered',
      `\`${typed('nodes')} add NAME ADDRESS\` adds one.`,
    )
  const known = await readKnown(look)
  const unknown = nodes.filter(({ name }) => !known.has(name)).map(({ name }) => name)
  return ok(
    unknown.length === 0 ? `${nodes.length} nodes` : `${nodes.length} nodes; ${unknown.join(', ')} never answered`,
  )
}

import type { Look } from '../../host/host.ts'
import { typed } from '../../host/typed.ts'
import { mostModels } from '../../nodes/ask.ts'
import { type Standing, standings } from '../../nodes/standing.ts'
import { oneSpelling } from '../../nodes/table.ts'
import { kindOf } from '../../site/engines.ts'
import { placeOf } from '../../site/nodes.ts'
import type { Settings } from '../../site/settings.ts'
import type { Ui } from '../cli.ts'
import { columns } from '../screens/wrap.ts'
import { everySecond } from '../watch.ts'

const short = (seconds: number): string => {
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`
}

const words = { up: 'up', down: 'down', drained: 'drained', unknown: 'not seen' }

const stateOf = ({ state, since }: Standing): string =>
  since === undefined ? words[state] : `${words[state]} ${short(since)}`

const loadOf = ({ running, waiting, node }: Standing): string =>
  `${running} of ${node.slots}${waiting > 0 ? `, ${waiting} wait` : ''}`

/** Names of models in memory, as many as fit. */
function loadedOf({ models }: Standing): string {
  const loaded = models.filter((one) => one.loaded).map(({ name }) => name)
  const shown = loaded.slice(0, 2).join(', ')
  const more = loaded.length > 2 ? ` and ${loaded.length - 2} more` : ''
  return loaded.length === 0 ? `none of ${models.length} loaded` : `${shown}${more}`
}

/** seconds in which what is over still matters */
const recent = 86_400

/** What went wrong last, with when; nothing where it is what is wrong now, or long over. */
function lastOf({ fault, last, state }: Standing, now: number): string {
  const ago = last === undefined ? recent : Math.max(0, Math.round((now - last.at) / 1000))
  if (last === undefined || ago >= recent || (state === 'down' && fault === last.what)) return ''
  return `; ${short(ago)} ago: ${last.what}`
}

const row = (one: Standing, now: number): string[] => [
  one.node.name,
  stateOf(one),
  loadOf(one),
  kindOf(one.node.engine).what,
  `${one.fault ?? loadedOf(one)}${lastOf(one, now)}`,
]

/** A name under which two nodes have other files answers differently each time. */
function unlike(all: Standing[]): string[] {
  const found = new Map<string, Map<string, string>>()
  for (const { node, models } of all)
    for (const { name, digest } of models)
      if (digest) {
        const spelled = oneSpelling(name)
        found.set(spelled, (found.get(spelled) ?? new Map<string, string>()).set(node.name, digest))
      }
  return [...found].flatMap(([model, digests]) =>
    new Set(digests.values()).size > 1
      ? [`! ${model} is not the same on ${[...digests.keys()].join(' and ')}; pull it anew on the older one.`]
      : [],
  )
}

/** What is behind that many is asked of nobody, since the gateway knows no more of one node. */
const tooMany = (all: Standing[]): string[] =>
  all.flatMap(({ node, models }) =>
    models.length > mostModels
      ? [
          `! ${node.name} has ${models.length} models; the first ${mostModels} of its list are asked for, and no others.`,
        ]
      : [],
  )

/** What --json says of a node. */
const told = ({ node, last, ...rest }: Standing): object => ({
  name: node.name,
  at: placeOf(node),
  engine: node.engine,
  slots: node.slots,
  speed: node.speed,
  ...rest,
  ...(last && { lastError: { what: last.what, at: new Date(last.at).toISOString() } }),
})

/** One line a node, as text; `now` is ms since 1970. */
export function screen(all: Standing[], now = Date.now()): string {
  if (all.length === 0)
    return `No nodes: the engine of this machine answers everything. \`${typed('nodes')} add NAME ADDRESS\` adds one.`
  const head = ['node', 'state', 'running', 'engine', 'loaded, or what is wrong']
  return [...columns([head, ...all.map((one) => row(one, now))], ''), ...unlike(all), ...tooMany(all)].join('\n')
}

/** rop nodes: how each node does; exit 1 while one is down. With --watch on a terminal the same every second. */
export async function list(ui: Ui, look: Look, settings: Settings, watching = false): Promise<number> {
  if (watching && process.stdout.isTTY && !ui.json)
    return everySecond(ui, async () => screen(await standings(look, settings)))
  const all = await standings(look, settings)
  if (ui.json) process.stdout.write(`${JSON.stringify(all.map(told), null, 2)}\n`)
  else ui.say(screen(all))
  return all.some(({ state }) => state === 'down') ? 1 : 0
}

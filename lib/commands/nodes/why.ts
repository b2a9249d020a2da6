import { slotCost } from '../../gateway/policies/nodes/choosing.ts'
import { runningMap } from '../../haproxy/runtime.ts'
import { exitCodes, Stop } from '../../host/command.ts'
import type { Look } from '../../host/host.ts'
import { typed } from '../../host/typed.ts'
import { type Standing, standings } from '../../nodes/standing.ts'
import { oneSpelling } from '../../nodes/table.ts'
import { endpoints } from '../../site/endpoints.ts'
import { classOf } from '../../site/engines.ts'
import { didYouMean } from '../../site/nearest.ts'
import { nodesOf, tableName } from '../../site/nodes.ts'
import type { Settings } from '../../site/settings.ts'
import type { Ui } from '../cli.ts'
import { columns } from '../screens/wrap.ts'

const chat = endpoints.find(({ path }) => path === '/v1/chat/completions')

interface Candidate {
  standing: Standing
  /** in the units of a full node, which has 100; absent where the node cannot */
  cost?: number
  cold: boolean
}

/** The last bits of a cost tell that the model must be loaded first, and which node it is. */
const candidate = (standing: Standing, base: number): Candidate => {
  const { running, waiting, node } = standing
  const cost = (base - (base % 32)) / 32 + ((running + waiting) * slotCost(node)) / 32
  return { standing, cold: base % 32 === 16, ...(base >= 0 && standing.state === 'up' ? { cost } : {}) }
}

function said({ standing, cost, cold }: Candidate, base: number): string {
  if (base < 0) return 'has it not, or not for chat'
  if (standing.state === 'drained') return 'takes no new requests (drained)'
  if (cost === undefined) return standing.fault ?? 'is down'
  return `${cold ? 'must load it first' : 'has it loaded'}, ${standing.running} of ${standing.node.slots} run${standing.waiting > 0 ? `, ${standing.waiting} wait` : ''}`
}

/** rop nodes why MODEL: what each node would cost now, and which is asked next. The bonus of a conversation comes off, if it began there. */
export async function why(ui: Ui, look: Look, settings: Settings, model: string): Promise<number> {
  const nodes = nodesOf(settings)
  const table = await runningMap(look, `keys/${tableName(nodes)}`)
  if (!table)
    throw new Stop(exitCodes.precondition, `The gateway does not run, or knows no nodes; see ${typed('status')}.`)
  const kind = chat ? classOf(chat) : ''
  const bases = table
    .get(`${kind}|${oneSpelling(model)}|*`)
    ?.split('|')
    .map(Number)
  if (!bases) {
    const known = [...table.keys()].flatMap((key) => key.split('|')[1] ?? [])
    throw new Stop(
      exitCodes.usage,
      `No node has ${JSON.stringify(model.slice(0, 80))}${didYouMean(oneSpelling(model), known) || '.'}`,
    )
  }
  const all = (await standings(look, settings)).map((one, at) => candidate(one, bases[at] ?? -1))
  const open = all.filter((one) => one.cost !== undefined).sort((one, other) => (one.cost ?? 0) - (other.cost ?? 0))
  const [next] = open
  if (ui.json)
    process.stdout.write(
      `${JSON.stringify({ model, next: next?.standing.node.name, nodes: all.map(({ standing, cost, cold }) => ({ name: standing.node.name, cost, cold })) }, null, 2)}\n`,
    )
  else
    ui.say(
      columns(
        all.map((one, at) => [
          one === next ? '→' : ' ',
          one.standing.node.name,
          one.cost === undefined ? '-' : `${Math.round(one.cost)}`,
          said(one, bases[at] ?? -1),
        ]),
        '',
      ).join('\n'),
    )
  return next ? exitCodes.done : exitCodes.failed
}

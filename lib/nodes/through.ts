import { randomBytes } from 'node:crypto'
import type { Host, Look } from '../host/host.ts'
import { places } from '../platform/here.ts'
import { gatewaysOf, type Node, triedMark } from '../site/nodes.ts'
import type { NodeModel } from './ask.ts'
import type { Known } from './table.ts'

/** How this gateway is called among gateways that have each other as nodes. */
const markFile = (look: Look): string => `${places(look).state}/gateway-mark`
const markShape = /^[0-9a-f]{12}$/

/** A request may come through so many gateways, this one among them; what is further off is not looked for. */
const mostGateways = 3

/** This gateway's mark; undefined as long as it has had no gateway as a node. */
export async function ownMark(look: Look): Promise<string | undefined> {
  const text = (await look.read(markFile(look)))?.trim() ?? ''
  return markShape.test(text) ? text : undefined
}

/** The same, made by chance where one is needed: it tells nobody anything but that a request or a list came here before. */
export async function ensureMark(host: Host, nodes: Node[]): Promise<string | undefined> {
  const found = await ownMark(host)
  if (found !== undefined || gatewaysOf(nodes).length === 0) return found
  const mark = randomBytes(6).toString('hex')
  await host.write(markFile(host), `${mark}\n`, 0o600)
  return mark
}

/** Whether a gateway has a model by itself or by others, and not by this one. */
const comesFromElsewhere = ({ gateways = [] }: NodeModel, own: string | undefined): boolean =>
  gateways.length < mostGateways && (own === undefined || !gateways.includes(own))

/** What nodes have without this gateway: a gateway lists what it has by others, and that may be by us. */
export const withoutOwn = (known: Known, own: string | undefined): Known =>
  new Map([...known].map(([name, models]) => [name, models.filter((one) => comesFromElsewhere(one, own))]))

/** Whether a node is this very gateway under another address. */
export const isOurselves = (models: NodeModel[], own: string | undefined): boolean =>
  own !== undefined && models.some(({ gateways }) => gateways?.[0] === own)

/** The shortest of the ways by which nodes have a model: the marks of the gateways behind each other. */
export const shortest = (ways: string[][]): string[] =>
  ways.reduce((best, one) => (one.length < best.length ? one : best), ways[0] ?? [])

/** Which nodes a request must not be given to, by the mark of a gateway that it came through: that gateway, and where it was here before every gateway. */
export function throughLines(nodes: Node[], known: Known, own: string | undefined): Map<string, string> {
  const gateways = gatewaysOf(nodes)
  const lines = new Map<string, string>()
  for (const { name, id } of gateways) {
    const mark = (known.get(name) ?? []).find(({ gateways }) => gateways)?.gateways?.[0]
    if (mark !== undefined && markShape.test(mark)) lines.set(mark, `${lines.get(mark) ?? ''}${triedMark(`${id}`)}`)
  }
  if (own !== undefined && gateways.length > 0)
    lines.set('own', own).set(own, gateways.map(({ id }) => triedMark(`${id}`)).join(''))
  return lines
}

import { type Stream, sightings, streams } from '../../haproxy/streams.ts'
import type { Host } from '../../host/host.ts'
import { renewNodes } from '../../nodes/store.ts'
import { oneSpelling } from '../../nodes/table.ts'
import { type Node, nodesOf, spreads } from '../../site/nodes.ts'
import type { Settings } from '../../site/settings.ts'
import type { Duty } from '../duty.ts'
import { slotsIn, widen } from './loaded.ts'

/** Tells HAProxy what each node has and what of that is loaded, and opens a node's loading slot for the next as soon as a load has finished. */
export function nodes(settings: () => Settings, steady = () => performance.now()): Duty {
  const sights = new Map<string, ReturnType<typeof sightings>>()
  const sightOf = (name: string) => {
    const sight = sights.get(name) ?? sightings(steady)
    sights.set(name, sight)
    return sight
  }
  return {
    name: 'nodes',
    everyMs: 1500,
    async run(host) {
      const all = nodesOf(settings())
      if (!spreads(settings())) return
      const under = await streams(host).catch((): Stream[] => [])
      const loading = new Map<string, string[]>()
      for (const node of all) loading.set(node.name, await opened(host, node, under, sightOf(node.name)))
      await renewNodes(host, settings(), loading)
    },
  }
}

/** Opens a node's loading slot as far as its loads are over; gives the models that are still being loaded there, in the table's spelling. */
async function opened(host: Host, node: Node, under: Stream[], sight: ReturnType<typeof sightings>): Promise<string[]> {
  const server = `${node.name}-load`
  const { slots, loading } = await slotsIn(host, under, server, sight)
  const through = slots.filter((one) => !one.waiting && !loading.includes(one))
  await widen(host, server, through, node.slots - under.filter((one) => one.server === node.name).length)
  return loading.map(({ model }) => oneSpelling(model))
}

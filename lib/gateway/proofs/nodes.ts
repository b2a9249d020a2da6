import { z } from 'zod'
import { statOf } from '../../haproxy/runtime.ts'
import { json } from '../../host/command.ts'
import type { Look, RawAnswer } from '../../host/host.ts'
import { typed } from '../../host/typed.ts'
import { type Node, namesOfNode } from '../../site/nodes.ts'
import { type Check, missed, ok, skipped, unexplained } from '../../steps/step.ts'
import { busy, taken } from './refused.ts'
import { bearer, get, modelRows, type Target } from './target.ts'

const isUp = async (look: Look, { name }: Node): Promise<boolean> =>
  (await statOf(look, name))?.status?.startsWith('UP') === true

/** That as many requests at once are given to each node as it works on. */
const slots = (nodes: Node[]): Check => ({
  id: 'nodes.slots',
  title: 'Each node is given as many requests at once as it has slots, and no more',
  needs: ['haproxy.service'],
  async check(look) {
    const found = await Promise.all(nodes.map(async (node) => ({ node, limit: (await statOf(look, node.name))?.slim })))
    const wrong = found.filter(({ node, limit }) => limit !== `${node.slots}`)
    return wrong.length === 0
      ? ok(nodes.map((node) => `${node.name} ${node.slots}`).join(', '))
      : missed(wrong.map(({ node, limit }) => `${node.name} ${limit ?? 'is unknown'}`).join(', '), unexplained)
  },
})

const list = z.object({ data: z.array(z.object({ id: z.string() })) })

/** That the list of models is one of all nodes. */
const listed = (target: Target): Check => ({
  id: 'nodes.lists',
  title: 'The list of models names what all nodes have, each model once',
  needs: ['haproxy.service', 'observer.service'],
  async check(look) {
    const answer = await get(look, target, '/v1/models')
    if (await busy(look, answer)) return taken
    const { data } = list.safeParse(json(answer.body))
    if (!data) return missed(`${answer.status}: no list`, unexplained)
    const names = data.data.map(({ id }) => id)
    const twice = names.filter((name, at) => names.indexOf(name) !== at)
    return twice.length === 0 ? ok(`${names.length} models`) : missed(`${twice.join(', ')} twice`, unexplained)
  },
})

const asked = (look: Look, target: Target, host: string, path: string): Promise<RawAnswer> =>
  look.probe({
    ...{ address: target.address, port: target.port, method: 'GET', target: path },
    headers: { host, ...bearer(target) },
  })

/** That a node's own name leads to it alone. */
const pinned = (target: Target, node: Node, hosts: string[]): Check => ({
  id: `nodes.${node.name}`,
  title: `${node.name} is asked by its own name, and nobody else is then`,
  needs: ['haproxy.service'],
  async check(look) {
    const [name = ''] = namesOfNode(node, hosts)
    const answer = await asked(look, target, `${name}:${target.port}`, '/v1/models')
    if (await busy(look, answer)) return taken
    if (!(await isUp(look, node)))
      return answer.status === 503
        ? skipped(`it is down; \`${typed('nodes')}\` says why`)
        : missed(`it is down, and ${answer.status} was answered`, unexplained)
    const by = answer.headers['x-served-by']
    return answer.status === 200 && by === node.name
      ? ok(`as ${name}`)
      : missed(`${answer.status}, served by ${by ?? 'nobody'}`, unexplained)
  },
})

/** That what no node has is refused here, and given to none. */
const unknown = (target: Target): Check[] =>
  modelRows(target)
    .slice(0, 1)
    .map((row) => ({
      id: 'nodes.unknown',
      title: 'A model that no node has is asked of none',
      needs: ['haproxy.service'],
      async check(look) {
        const answer = await look.probe({
          ...{ address: target.address, port: target.port, method: row.method, target: row.path },
          headers: { host: target.host, 'content-type': 'application/json', ...bearer(target) },
          body: '{"model":"no-such-model"}',
        })
        if (await busy(look, answer)) return taken
        if (answer.status === 429) return skipped('another limit is used up')
        const by = answer.headers['x-served-by']
        return answer.status === 404 && by === undefined
          ? ok('404')
          : missed(`${answer.status}${by ? `, by ${by}` : ''}`, unexplained)
      },
    }))

/** What test.ts asks the live gateway of its nodes. */
export const nodeProofs = (target: Target, nodes: Node[], hosts: string[]): Check[] =>
  nodes.length === 0
    ? []
    : [
        slots(nodes),
        ...(target.groups.includes('openai')
          ? [listed(target), ...nodes.map((node) => pinned(target, node, hosts))]
          : []),
        ...unknown(target),
      ]

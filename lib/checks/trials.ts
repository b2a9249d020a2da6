import { nodeHosts, nodesIn } from '../gateway/nodes.ts'
import type { Gateway } from '../gateway/policy.ts'
import { bearer, get, type Target } from '../gateway/proofs/target.ts'
import { addRunning, removeRunning, rowOf } from '../haproxy/runtime.ts'
import type { Host, Look, RawAnswer } from '../host/host.ts'
import { drained, readKnown } from '../nodes/store.ts'
import { isPlain, type Known, oneSpelling } from '../nodes/table.ts'
import { ageOf, readSign, staleAfter } from '../observer/sign.ts'
import { places } from '../platform/here.ts'
import { kindOf } from '../site/engines.ts'
import { drainMap, type Node } from '../site/nodes.ts'
import { type Finding, missed, ok, skipped, type Trial, unexplained } from '../steps/step.ts'

const drainFile = `keys/${drainMap}`

const serverRow = async (look: Look, backend: string, server: string) =>
  rowOf((await look.ask(places(look).adminSocket, 'show stat')) ?? '', backend, server)

const isUp = async (look: Look, server: string, backend = 'inference'): Promise<boolean> =>
  (await serverRow(look, backend, server))?.status?.startsWith('UP') === true

/** What is asked of a node by its own name: its list, so that no model is. */
const ofNode = (look: Look, target: Target, node: Node): Promise<RawAnswer> =>
  look.probe({
    ...{ address: target.address, port: target.port, method: 'GET', target: '/v1/models' },
    headers: { host: `${node.name}-api:${target.port}`, ...bearer(target) },
  })

const by = ({ status, headers }: RawAnswer): string => `${status} by ${headers['x-served-by'] ?? 'nobody'}`

/** A model that a node shares with another one that takes requests. */
function sharedModel(node: Node, others: Node[], known: Known): string | undefined {
  const spelled = ({ name }: Node) => (known.get(name) ?? []).map((one) => oneSpelling(one.name))
  const elsewhere = new Set(others.filter(({ engine }) => kindOf(engine).rows === undefined).flatMap(spelled))
  return kindOf(node.engine).rows === undefined
    ? spelled(node).find((name) => isPlain(name) && elsewhere.has(name))
    : undefined
}

/** What of a node must hold while it takes no requests: its own name gets 503, and who does not ask for it by name another one. */
async function passedOver(look: Look, target: Target, node: Node, model: string | undefined): Promise<string[]> {
  const own = await ofNode(look, target, node)
  const other = model === undefined ? undefined : await get(look, target, `/v1/models/${model}`)
  return [
    ...(own.status === 503 ? [] : [`${node.name} by its own name: ${by(own)}`]),
    ...(other === undefined || (other.status === 200 && other.headers['x-served-by'] !== node.name)
      ? []
      : [`${model}: ${by(other)}`]),
  ]
}

/** Tries something with each node that takes requests, one after the other. */
const withEach = (
  title: Pick<Trial, 'id' | 'title'>,
  { target, nodes }: Tried,
  one: (host: Host, node: Node, model: string | undefined) => Promise<string[]>,
): Trial => ({
  ...title,
  needs: ['haproxy.service'],
  async attempt(host) {
    const [out, known] = [await drained(host), await readKnown(host)]
    const taking = []
    for (const node of nodes) if (!out.includes(node.name) && (await isUp(host, node.name))) taking.push(node)
    if (taking.length === 0) return skipped('no node takes requests')
    const faults: string[] = []
    for (const node of taking) {
      const before = await ofNode(host, target, node)
      const others = taking.filter((other) => other !== node)
      if (before.status === 200) faults.push(...(await one(host, node, sharedModel(node, others, known))))
      else faults.push(`${node.name} before: ${by(before)}`)
    }
    return said(
      faults,
      taking.map(({ name }) => name),
    )
  },
})

const said = (faults: string[], names: string[]): Finding =>
  faults.length === 0 ? ok(names.join(', ')) : missed(faults.join('; '), unexplained)

interface Tried {
  target: Target
  nodes: Node[]
}

const drain = (tried: Tried): Trial =>
  withEach(
    { id: 'nodes.drain', title: 'A node that is drained gets no new request, and gets them again once it is ready' },
    tried,
    async (host, node, model) => {
      let faults: string[] = []
      try {
        await addRunning(host, drainFile, new Map([[node.name, 'drain']]))
        faults = await passedOver(host, tried.target, node, model)
      } finally {
        await removeRunning(host, drainFile, [node.name])
      }
      const after = await ofNode(host, tried.target, node)
      return after.status === 200 ? faults : [...faults, `${node.name} once it is ready: ${by(after)}`]
    },
  )

/** A check may find the node again before all is asked; then it is counted as gone anew. */
const rounds = 5

const death = (tried: Tried): Trial =>
  withEach(
    { id: 'nodes.death', title: 'A node that is gone is passed over, and asked again once it is back' },
    tried,
    async (host, node, model) => {
      const gone = async () => {
        await host.tell(places(host).adminSocket, `set server inference/${node.name} health down`)
        const faults = await passedOver(host, tried.target, node, model)
        return (await isUp(host, node.name)) ? undefined : faults
      }
      let faults: string[] | undefined
      for (let round = 0; round < rounds && faults === undefined; round += 1) faults = await gone()
      // HAProxy's own check brings it back, whatever becomes of this process.
      const back = await host.until('the node is back', 15_000, () => isUp(host, node.name))
      return [
        ...(faults ?? [`${node.name} was found again each time before it could be asked`]),
        ...(back ? [] : [`${node.name} stayed down`]),
      ]
    },
  )

/** Seconds after which the observer goes on, even where nobody is left to let it. */
const longest = 20

/** Stops the observer; what lets it go on again outlives this process. Undefined where it cannot be stopped. */
async function stopped(host: Host): Promise<(() => Promise<unknown>) | undefined> {
  const sign = await readSign(host)
  if (sign === undefined || ageOf(sign) > staleAfter) return undefined
  const pid = `${sign.pid}`
  const { stdout } = await host.query(['ps', '-o', 'args=', '-p', pid])
  if (!/observer/.test(stdout)) return undefined
  const script = 'kill -STOP "$1" || exit 1; (sleep "$2"; kill -CONT "$1") >/dev/null 2>&1 &'
  const { code } = await host.run(['/bin/sh', '-c', script, 'sh', pid, `${longest}`], { codes: [0, 1] })
  return code === 0 ? () => host.run(['kill', '-CONT', pid], { codes: [0, 1] }) : undefined
}

/** What holds while the observer says nothing: nodes are asked as before, and a list comes from a node or is refused for a while. */
async function unobserved(look: Look, { target, nodes }: Tried): Promise<string[]> {
  const noticed = await look.until('the gateway counts it as gone', 10_000, async () => !(await listed(look)))
  const faults = noticed ? [] : ['the gateway still counts it as there']
  for (const node of nodes) {
    const own = await isUp(look, node.name).then((up) => (up ? ofNode(look, target, node) : undefined))
    if (own && own.status !== 200) faults.push(`${node.name}: ${by(own)}`)
  }
  const list = await get(look, target, '/v1/models')
  return [200, 503].includes(list.status) ? faults : [...faults, `the list of models: ${by(list)}`]
}

const listed = (look: Look) => isUp(look, 'observer', 'catalogue')

const alone = (tried: Tried): Trial => ({
  id: 'nodes.observer',
  title: 'Nodes are asked while the observer says nothing, and it tells the lists again once it is back',
  needs: ['haproxy.service', 'observer.service'],
  async attempt(host) {
    if (!(await listed(host))) return skipped('the gateway does not reach the observer')
    const goesOn = await stopped(host)
    if (!goesOn) return skipped('the observer is not to be stopped by this user, or gives no sign of life')
    const out = await drained(host)
    const nodes = tried.nodes.filter(({ name }) => !out.includes(name))
    const faults = await unobserved(host, { ...tried, nodes }).finally(goesOn)
    const back = await host.until('the observer is back', 15_000, () => listed(host))
    return said(back ? faults : [...faults, 'the gateway does not reach it again'], ['it was stopped for a moment'])
  },
})

/** What test.ts --disturbing tries with the nodes of the live gateway. No model is asked. */
export function trials(target: Target, gateway: Gateway): Trial[] {
  const tried = { target, nodes: nodesIn(gateway) }
  if (nodeHosts(gateway).length === 0 || !target.groups.includes('openai')) return []
  return [drain(tried), death(tried), alone(tried)]
}

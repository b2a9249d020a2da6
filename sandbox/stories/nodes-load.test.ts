import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { renewNodes, setDrained } from '../../lib/nodes/store.ts'
import { chat, open, usualAlone } from '../lab/asking.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { events } from '../lab/recorder.ts'
import { type Counting, counting, lost, reconfigure, under } from '../lab/under-load.ts'

describe.each(usualAlone)('nodes under load behind $title', ({ program }) => {
  let nodes: Counting[]
  let gateway: RunningGateway
  const named = (count: number) =>
    `role: gateway\ngroups: [agents, native]\nnodes:\n${nodes
      .slice(0, count)
      .map(({ engine }, at) => `  n${at}: { address: 127.0.0.1, port: ${engine.port}, slots: ${at + 1} }\n`)
      .join('')}`

  beforeAll(async () => {
    nodes = await Promise.all(['n0', 'n1', 'n2'].map((name, at) => counting(name, ['all', `only-${at}`])))
    gateway = await startGateway({
      ...{ enginePort: nodes[0]?.engine.port ?? 0, settings: named(2), haproxy: await program() },
    })
  })
  afterAll(async () => {
    await gateway?.stop()
    for (const { engine } of nodes ?? []) await engine.recorder.stop()
  })
  beforeEach(() => {
    for (const node of nodes) Object.assign(node, { peak: 0, ran: [] })
  })

  const ran = () => nodes.flatMap((node) => node.ran)
  const all = () => 'all'

  test('no engine works on more than it has slots for, and every slot is used', async () => {
    const model = (at: number) => (at % 4 === 0 ? `only-${at % 2}` : 'all')
    expect(lost(await under(gateway, { clients: 16, model, least: 1500 }))).toEqual([])
    expect(nodes.map(({ peak }) => peak)).toEqual([1, 2, 0])
    expect(ran().length).toBe(new Set(ran()).size)
  })

  test('draining, and models that come and go, lose nothing', async () => {
    const [first, second] = nodes as [Counting, Counting]
    const work = async () => {
      for (let at = 0; at < 6; at += 1) {
        const { engine } = at % 2 === 0 ? first : second
        await setDrained(gateway.machine, `n${at % 2}`, true)
        engine.models = engine.models.filter((name) => name !== 'all')
        await renewNodes(gateway.machine, gateway.gateway.settings)
        engine.models = [...engine.models, 'all']
        await renewNodes(gateway.machine, gateway.gateway.settings)
        await setDrained(gateway.machine, `n${at % 2}`, false)
      }
    }
    expect(lost(await under(gateway, { clients: 8, model: all, least: 1000, work }))).toEqual([])
    expect(nodes.map(({ peak }) => peak)).toEqual([1, 2, 0])
    expect(ran().length).toBe(new Set(ran()).size)
  })

  test('a node that is added or removed loses nothing, and streams come whole', async () => {
    const [{ engine: streaming }] = nodes as [Counting]
    const before = streaming.answers
    streaming.answers = events({ count: 200, gap: 25 })
    const stream = await open(gateway, chat('only-0'))
    expect(await stream.sees('"index":2')).toBe(true)
    streaming.answers = before
    const work = async () => {
      await reconfigure(gateway, named(3))
      await eventually('the new one is asked', () => (nodes[2]?.ran.length ?? 0) > 20)
      await reconfigure(gateway, named(2))
    }
    expect(lost(await under(gateway, { clients: 8, model: all, least: 1000, work }))).toEqual([])
    expect((await stream.settled(1))[0]).toMatchObject({ status: 200, whole: true })
    stream.hangUp()
    expect(ran().length).toBe(new Set(ran()).size)
    const added = nodes[2]?.ran.length
    expect(lost(await under(gateway, { clients: 4, model: all, least: 200 }))).toEqual([])
    expect(nodes[2]?.ran.length).toBe(added)
  })
})

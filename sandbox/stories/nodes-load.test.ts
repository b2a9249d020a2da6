import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { swap } from '../../lib/haproxy/reload.ts'
import { sha256 } from '../../lib/host/command.ts'
import { renewNodes, setDrained } from '../../lib/nodes/store.ts'
import { places } from '../../lib/platform/mac/places.ts'
import { emptyReceipt } from '../../lib/site/receipt.ts'
import { parseSettings } from '../../lib/site/settings.ts'
import { chat, open, usualAlone } from '../lab/asking.ts'
import { type Engine, startEngine } from '../lab/engine.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { dial, request } from '../lab/raw.ts'
import { type Answer, events, json } from '../lab/recorder.ts'

/** An engine that works a few ms, and counts how many requests it works on at once. */
interface Counting {
  engine: Engine
  peak: number
  ran: number[]
}

async function counting(name: string, models: string[]): Promise<Counting> {
  const one: Counting = { engine: await startEngine(name, 'ollama', models), peak: 0, ran: [] }
  let now = 0
  const work: Answer = async (wire, asked) => {
    now += 1
    one.peak = Math.max(one.peak, now)
    one.ran.push((JSON.parse(`${asked.body}`) as { id: number }).id)
    await pause(2 + (one.ran.length % 7))
    now -= 1
    await json(`{"from":"${name}"}`)(wire, asked)
  }
  one.engine.answers = work
  return one
}

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
  }, 120_000)
  afterAll(async () => {
    await gateway?.stop()
    for (const { engine } of nodes ?? []) await engine.recorder.stop()
  })
  beforeEach(() => {
    for (const node of nodes) Object.assign(node, { peak: 0, ran: [] })
  })

  /** So many clients ask one request after the other until the work is done; gives the statuses of all that was asked. */
  async function under(clients: number, model: (at: number) => string, work: () => Promise<void>, least: number) {
    const seen: number[] = []
    let going = true
    const loop = async (at: number) => {
      let [client, count] = [await dial(gateway), 0]
      const anew = async () => {
        client.hangUp()
        ;[client, count] = [await dial(gateway), 0]
      }
      const send = async (text: string): Promise<number> => {
        client.send(request('POST /v1/chat/completions HTTP/1.1', [`Host: ${gateway.host}`], text))
        count += 1
        const reply = (await client.settled(count, 60_000))[count - 1]
        if (reply) return reply.status
        // A kept connection that ends before a request comes is begun anew, as every client does; what it sent ran nowhere.
        const kept = count > 1
        await anew()
        return kept ? send(text) : 0
      }
      while (going || seen.length < least) {
        seen.push(await send(JSON.stringify(chat(model(at + seen.length)))))
        if (client.end() !== 'open' || count > 50) await anew()
      }
      client.hangUp()
    }
    const all = Promise.all(Array.from({ length: clients }, (_, at) => loop(at)))
    await work()
    going = false
    await all
    return seen
  }
  const ran = () => nodes.flatMap((node) => node.ran)
  const lost = (seen: number[]) => seen.filter((status) => status !== 200)

  test('no engine works on more than it has slots for, and every slot is used', async () => {
    const seen = await under(
      16,
      (at) => (at % 4 === 0 ? `only-${at % 2}` : 'all'),
      async () => {},
      1500,
    )
    expect(lost(seen)).toEqual([])
    expect(nodes.map(({ peak }) => peak)).toEqual([1, 2, 0])
    expect(ran().length).toBe(new Set(ran()).size)
  })

  test('draining, and models that come and go, lose nothing', async () => {
    const [first, second] = nodes as [Counting, Counting]
    const seen = await under(
      8,
      () => 'all',
      async () => {
        for (let at = 0; at < 6; at += 1) {
          const { engine } = at % 2 === 0 ? first : second
          await setDrained(gateway.machine, `n${at % 2}`, true)
          engine.models = engine.models.filter((name) => name !== 'all')
          await renewNodes(gateway.machine, gateway.gateway.settings)
          engine.models = [...engine.models, 'all']
          await renewNodes(gateway.machine, gateway.gateway.settings)
          await setDrained(gateway.machine, `n${at % 2}`, false)
        }
      },
      1000,
    )
    expect(lost(seen)).toEqual([])
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
    const to = async (count: number) => {
      const { config } = places(gateway.home)
      const { nodes } = parseSettings(named(count), 'settings.yaml')
      await renewNodes(gateway.machine, { ...gateway.gateway.settings, nodes })
      const receipt = { ...emptyReceipt(), files: { [config]: sha256(readFileSync(config, 'utf8')) } }
      const configuration = gateway.rendered(named(count))
      await swap(gateway.machine, { receipt, configuration, haproxy: gateway.program })
    }
    const seen = await under(
      8,
      () => 'all',
      async () => {
        await to(3)
        await eventually('the new one is asked', () => (nodes[2]?.ran.length ?? 0) > 20)
        await to(2)
      },
      1000,
    )
    expect(lost(seen)).toEqual([])
    expect((await stream.settled(1))[0]).toMatchObject({ status: 200, whole: true })
    stream.hangUp()
    expect(ran().length).toBe(new Set(ran()).size)
    const added = nodes[2]?.ran.length
    expect(
      lost(
        await under(
          4,
          () => 'all',
          async () => {},
          200,
        ),
      ),
    ).toEqual([])
    expect(nodes[2]?.ran.length).toBe(added)
  })
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { oldWorkers } from '../../lib/haproxy/workers.ts'
import { renewNodes, setDrained } from '../../lib/nodes/store.ts'
import { parseSettings } from '../../lib/site/settings.ts'
import { triedVersions } from '../attacks/versions/each.ts'
import { ask, came, chat, open } from '../lab/asking.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import type { Client } from '../lab/raw.ts'
import { type Answer, events } from '../lab/recorder.ts'
import { type Counting, counting, lost, reconfigure, under } from '../lab/under-load.ts'

/** `LOAD_REQUESTS` asks for fewer or more. */
const least = Number(process.env.LOAD_REQUESTS ?? 100_000)

/** An engine that streams to whoever says so, and else works as it did. */
const alsoStreams = (works: Answer): Answer => {
  const streams = events({ count: 120, gap: 25 })
  return (wire, asked) => (`${asked.body}`.includes('"stream":true') ? streams : works)(wire, asked)
}

describe.each(triedVersions)(`${least.toLocaleString('en')} requests behind $title`, ({ program }) => {
  let nodes: Counting[]
  let gateway: RunningGateway
  const named = (chosen: number[]) =>
    `role: gateway\nqueue: { max: 1000 }\nnodes:\n${chosen
      .map((at) => `  n${at}: { address: 127.0.0.1, port: ${nodes[at]?.engine.port}, slots: 6 }\n`)
      .join('')}`

  beforeAll(async () => {
    nodes = await Promise.all([0, 1, 2, 3].map((at) => counting(`n${at}`, ['all', `only-${at}`])))
    for (const { engine } of nodes) engine.answers = alsoStreams(engine.answers)
    gateway = await startGateway({
      ...{ enginePort: nodes[0]?.engine.port ?? 0, settings: named([0, 1, 2]), haproxy: await program() },
    })
  })
  afterAll(async () => {
    await gateway?.stop()
    for (const { engine } of nodes ?? []) await engine.recorder.stop()
  })

  /** What the running gateway was told last. */
  let now = [0, 1, 2]
  const fewWorkers = (most: number) =>
    eventually('former workers have ended', async () => (await oldWorkers(gateway.machine)) <= most, 120_000)
  // Each former worker lives until its streams have ended.
  const become = async (chosen: number[]) => {
    await fewWorkers(8)
    await reconfigure(gateway, named(chosen))
    now = chosen
  }
  const renew = () => {
    const { nodes } = parseSettings(named(now), 'settings.yaml')
    return renewNodes(gateway.machine, { ...gateway.gateway.settings, nodes })
  }
  /** Waits until this node gets requests. */
  const works = (at: number) => {
    const before = nodes[at]?.ran.length ?? 0
    return eventually(`n${at} is asked`, () => (nodes[at]?.ran.length ?? 0) > before, 60_000)
  }

  const streams: Client[] = []
  const stream = async (model: string) => {
    const client = await open(gateway, chat(model, 0, { stream: true }))
    expect(await client.sees('"index":0', 60_000)).toBe(true)
    streams.push(client)
  }

  /** A model that a node gets is asked for there at once, and is nobody’s once it is gone; no reload is in it. */
  const guest = async (at: number, round: number) => {
    const { engine } = nodes[at] as Counting
    const name = `guest-${round}`
    engine.models = [...engine.models, name]
    await renew()
    expect(came(await ask(gateway, chat(name)))).toEqual([200, `n${at}`])
    engine.models = engine.models.filter((one) => one !== name)
    await renew()
    expect((await ask(gateway, chat(name)))?.status).toBe(404)
  }

  /** One round of what an owner may do: a node comes, one is drained and taken away, one is back. */
  const round = async (count: number) => {
    const [kept, goes] = count % 2 === 0 ? [0, 1] : [1, 0]
    await stream(`only-${kept}`)
    await stream(`only-${goes}`)
    await become([0, 1, 2, 3])
    await works(3)
    await guest(3, count)
    await setDrained(gateway.machine, `n${goes}`, true)
    await stream('all')
    await become([kept, 2, 3])
    await guest(kept, count)
    await become([0, 1, 2])
    await setDrained(gateway.machine, `n${goes}`, false)
    await works(goes)
    await guest(2, count)
  }

  test('nodes come, go, are drained and ready again, models come and go: nothing is lost, nothing runs twice, and streams come whole', async () => {
    let rounds = 0
    const work = async (sofar: () => number) => {
      while (sofar() < least) await round(rounds++)
    }
    const seen = await under(gateway, { clients: 24, model: () => 'all', least, work })
    expect(lost(seen)).toEqual([])
    expect(seen.length).toBeGreaterThanOrEqual(least)
    for (const one of streams) {
      expect((await one.settled(1, 60_000))[0]).toMatchObject({ status: 200, whole: true })
      one.hangUp()
    }
    await fewWorkers(0)
    const ran = nodes.flatMap((node) => node.ran)
    expect(ran.length).toBe(new Set(ran).size)
    process.stdout.write(
      `${seen.length} requests, ${rounds} rounds of three reloads, ${streams.length} streams; by node ${nodes.map((node) => node.ran.length).join(', ')}\n`,
    )
  })
})

import { createServer } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { standings } from '../../lib/nodes/standing.ts'
import { renewNodes, setDrained } from '../../lib/nodes/store.ts'
import { listing } from '../../lib/observer/serving.ts'
import { triedVersions } from '../attacks/versions/each.ts'
import { ask, chat, open } from '../lab/asking.ts'
import { type Engine, startEngine, after as worksFor } from '../lab/engine.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { listening, onTo } from '../lab/onward.ts'
import { json } from '../lab/recorder.ts'

const settingsOf = ({ gateway }: RunningGateway) => gateway.settings
const renewed = async (...gateways: RunningGateway[]) => {
  for (const one of gateways) await renewNodes(one.machine, settingsOf(one))
}
/** Tells what its nodes have, as the observer beside it does. */
const tells = (gateway: RunningGateway) => listing(() => settingsOf(gateway)).run(gateway.machine)

type Card = { id: string; gateways?: string[] }
const cards = async ({ machine, address, port, host }: RunningGateway): Promise<Card[]> => {
  const asked = { address, port, method: 'GET', target: '/v1/models', headers: { host } }
  return (JSON.parse((await machine.probe(asked)).body) as { data: Card[] }).data
}
const listed = async (gateway: RunningGateway): Promise<string[]> => (await cards(gateway)).map(({ id }) => id).sort()
/** Whether it knows by which gateways it has a model that only the other one's engine has. */
const isFar = async (gateway: RunningGateway, model: string): Promise<boolean> =>
  (await cards(gateway)).find(({ id }) => id === model)?.gateways?.length === 2

/** Statuses of what a gateway was asked by this client, by its log. */
const logged = (gateway: RunningGateway, client: string): number[] =>
  gateway
    .log()
    .map((line) => JSON.parse(line) as { agent: string; status: number })
    .filter(({ agent }) => agent === client)
    .map(({ status }) => status)

describe.each(triedVersions)('gateways that have each other as nodes, behind $title', ({ program }) => {
  let [a, b] = [] as Engine[] as [Engine, Engine]
  let [one, two] = [] as RunningGateway[] as [RunningGateway, RunningGateway]
  const server = createServer(onTo(() => two))

  beforeAll(async () => {
    ;[a, b] = [await startEngine('a', 'ollama', ['a-own', 'both']), await startEngine('b', 'ollama', ['b-own', 'both'])]
    const between = await listening(server)
    const start = async (engine: Engine, more: string) => {
      const box = `role: gateway\nlog: requests\nnodes:\n  box: { address: 127.0.0.1, port: ${engine.port}, slots: 1 }\n`
      const gateway = await startGateway({ enginePort: engine.port, haproxy: await program(), settings: box + more })
      await tells(gateway)
      return gateway
    }
    one = await start(a, `  two: { address: 127.0.0.1, port: ${between}, engine: gateway }\n`)
    two = await start(
      b,
      `  one: { address: ${one.address}, port: ${one.port}, engine: gateway }\nhosts: ['127.0.0.1:${between}']\n`,
    )
    await eventually('both tell what both have', async () => {
      await renewed(one, two)
      return (await isFar(one, 'b-own')) && (await isFar(two, 'a-own'))
    })
    await eventually('each counts the other as up', async () => {
      const replies = [await ask(one, chat('b-own')), await ask(two, chat('a-own'))]
      return replies.every((reply) => reply?.status === 200)
    })
  })
  afterAll(async () => {
    for (const gateway of [one, two]) await gateway?.stop()
    server.close()
    for (const engine of [a, b]) await engine?.recorder.stop()
  })
  let count = 0
  let way: { headers: string[] }
  beforeEach(() => {
    for (const engine of [a, b]) Object.assign(engine, { asked: [], answers: json() })
    count += 1
    way = { headers: [`User-Agent: client-${count}`] }
  })
  /** What both were asked in this test. */
  const since = () => [one, two].map((gateway) => logged(gateway, `client-${count}`))
  const message = (reply: Awaited<ReturnType<typeof ask>>) => JSON.parse(reply?.body ?? '{}').error?.message

  test('what only the other has is answered once, and no engine hears of gateways', async () => {
    expect((await ask(one, chat('b-own'), way))?.status).toBe(200)
    expect([a.asked.length, b.asked.length]).toEqual([0, 1])
    expect(b.asked[0]?.request.head.text).not.toContain('x-gateways')
    await eventually('both have logged it', () => `${since()}` === '200,200')
  })

  test('what nobody has gets 404 where it is asked, and nobody else is', async () => {
    expect((await ask(one, chat('nobodys'), way))?.status).toBe(404)
    await eventually('it is logged', () => since()[0]?.length === 1)
    expect(since()).toEqual([[404], []])
  })

  test('a request does not go back to the gateway that it came from, but waits for the engine behind', async () => {
    b.answers = worksFor(400, 'b')
    const first = await open(two, chat('b-own'), way)
    await eventually('the engine works', () => b.asked.length === 1)
    const second = await open(one, chat('b-own'), way)
    for (const client of [first, second]) {
      expect((await client.settled(1))[0]?.status).toBe(200)
      client.hangUp()
    }
    await eventually('all is logged', () => since().flat().length === 3)
    expect(since()).toEqual([[200], [200, 200]])
  })

  test('where both have it and both are full, a request waits at one of them, and is not handed to and fro', async () => {
    const clients = []
    for (const [engine, gateway, model] of [
      [a, one, 'a-own'],
      [b, two, 'b-own'],
    ] as const) {
      engine.answers = worksFor(400, 'busy')
      clients.push(await open(gateway, chat(model), way))
      await eventually('the engine works', () => engine.asked.length === 1)
    }
    clients.push(await open(one, chat('both'), way))
    for (const client of clients) {
      expect((await client.settled(1))[0]?.status).toBe(200)
      client.hangUp()
    }
    await eventually('all is logged', () => since().flat().length === 4)
    expect(since()).toEqual([
      [200, 200],
      [200, 200],
    ])
  })

  test('what is known and takes no requests is no unknown model', async () => {
    await setDrained(two.machine, 'box', true)
    // What is busy to a node is so to its client, too.
    expect((await ask(one, chat('b-own'), way))?.status).toBe(429)
    await eventually('both have logged it', () => `${since()}` === '429,503')
    // The other one has it, too, and takes requests.
    expect((await ask(two, chat('both'), way))?.status).toBe(200)
    expect([a.asked.length, b.asked.length]).toEqual([1, 0])
    await setDrained(two.machine, 'box', false)
  })

  test('a model that is gone is soon in neither list, and asked for in no circle', async () => {
    b.models = ['both']
    await renewed(two)
    expect(await listed(two)).toEqual(['a-own', 'both'])
    expect((await ask(two, chat('b-own'), way))?.status).toBe(404)
    // This one believes what the other said last.
    expect(message(await ask(one, chat('b-own'), way))).toContain('not found at any node')
    await eventually('all is logged', () => since().flat().length === 3)
    expect(since()).toEqual([[404], [404, 404]])
    await renewed(one)
    expect(await listed(one)).toEqual(['a-own', 'both'])
    b.models = ['b-own', 'both']
    await renewed(two, one)
    for (let at = 0; at < 5; at += 1) await renewed(one, two)
    expect([await listed(one), await listed(two)]).toEqual([
      ['a-own', 'b-own', 'both'],
      ['a-own', 'b-own', 'both'],
    ])
  })

  test.each(['5', '/a', '/0123456789ab/0123456789ab/0123456789ab', '/0123456789ab, /0123456789ab', ' '])(
    'who writes what gateways tell each other, %j, brings nothing in',
    async (text) => {
      expect((await ask(two, chat('both'), { headers: [`X-Gateways: ${text}`] }))?.status).toBe(508)
    },
  )
})

describe.each(triedVersions)('a gateway that is its own node by another name, behind $title', ({ program }) => {
  test('is asked for nothing there, and the list of nodes says what it is', async () => {
    const way = { headers: ['User-Agent: client'] }
    const engine = await startEngine('box', 'ollama', ['own'])
    let gateway: RunningGateway | undefined
    const server = createServer(onTo(() => gateway))
    const between = await listening(server)
    try {
      const started = await startGateway({
        ...{ enginePort: engine.port, haproxy: await program() },
        settings: `role: gateway\nlog: requests\nhosts: ['127.0.0.1:${between}']\nnodes:\n  box: { address: 127.0.0.1, port: ${engine.port}, slots: 1 }\n  me: { address: 127.0.0.1, port: ${between}, engine: gateway }\n`,
      })
      gateway = started
      await tells(started)
      await renewed(started, started)
      engine.answers = worksFor(300, 'box')
      const clients = [await open(started, chat('own'), way), await open(started, chat('own'), way)]
      for (const client of clients) {
        expect((await client.settled(1))[0]?.status).toBe(200)
        client.hangUp()
      }
      expect((await ask(started, chat('nobodys'), way))?.status).toBe(404)
      await setDrained(started.machine, 'box', true)
      expect((await ask(started, chat('own'), way))?.status).toBe(503)
      await eventually('all is logged', () => logged(started, 'client').length >= 4)
      expect(logged(started, 'client').sort()).toEqual([200, 200, 404, 503])
      const me = (await standings(started.machine, settingsOf(started))).find(({ node }) => node.name === 'me')
      expect(me?.fault).toBe('it is this gateway itself, so it is asked for nothing')
    } finally {
      await gateway?.stop()
      server.close()
      await engine.recorder.stop()
    }
  })
})

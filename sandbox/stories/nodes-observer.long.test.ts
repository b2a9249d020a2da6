import { afterAll, beforeAll, expect, test } from 'vitest'
import { trials } from '../../lib/checks/trials.ts'
import type { ProbeKeys } from '../../lib/gateway/proofs/probe-keys.ts'
import { rowOf } from '../../lib/haproxy/runtime.ts'
import { askNode, mostModels } from '../../lib/nodes/ask.ts'
import { readSign } from '../../lib/observer/sign.ts'
import { generateKey } from '../../lib/people/key.ts'
import { places } from '../../lib/platform/mac/places.ts'
import { nodesOf } from '../../lib/site/nodes.ts'
import { openGroups } from '../../lib/site/settings.ts'
import { ask, chat } from '../lab/asking.ts'
import { type Engine, startEngine } from '../lab/engine.ts'
import { eventually, freePort, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { entry } from '../lab/losses.ts'
import { type RunningObserver, startObserver } from '../lab/observer.ts'

let mac: Engine
let gpu: Engine
let gateway: RunningGateway
let observer: RunningObserver
let metrics: number
const [limited, free] = [generateKey(), generateKey()]
const ofNodes = () => `role: gateway
nodes:
  mac: { address: 127.0.0.1, port: ${mac.port} }
  gpu: { address: 127.0.0.1, port: ${gpu.port} }
`
const asFree = { headers: [`Authorization: Bearer ${free}`] }

beforeAll(async () => {
  mac = await startEngine('mac', 'ollama', ['both', 'mac-only'])
  gpu = await startEngine('gpu', 'ollama', ['both'])
  metrics = await freePort('127.0.0.1')
  gateway = await startGateway({
    enginePort: mac.port,
    registry: { version: 1, keys: { free: entry(free), limited: { ...entry(limited), models: ['both'] } } },
    settings: `access: keys\nmetrics: { port: ${metrics} }\n${ofNodes()}`,
  })
  await gateway.machine.write(places(gateway.home).settings, yaml())
  observer = await startObserver(gateway, metrics)
  await eventually('the gateway reaches it', reached)
  await eventually('it has told how it does', async () => (await readSign(gateway.machine)) !== undefined)
})
afterAll(async () => {
  observer?.process.kill('SIGCONT')
  await observer?.stop()
  await gateway?.stop()
  for (const one of [mac, gpu]) await one?.recorder.stop()
})

/** The settings of the running gateway, as its observer reads them. */
const yaml = () => `port: ${gateway.port}\naccess: keys\nmetrics: { port: ${metrics} }\n${ofNodes()}`
const stat = async () => (await gateway.machine.ask(places(gateway.home).adminSocket, 'show stat')) ?? ''
const reached = async () => rowOf(await stat(), 'catalogue', 'observer')?.status?.startsWith('UP') === true
const list = (key = free) =>
  gateway.machine.probe({
    ...{ address: gateway.address, port: gateway.port, method: 'GET', target: '/v1/models' },
    headers: { host: gateway.host, authorization: `Bearer ${key}` },
  })

/** Asks without a pause, four at a time, until `over`; gives what came. */
async function load(over: () => boolean): Promise<Map<number | undefined, number>> {
  const came = new Map<number | undefined, number>()
  const client = async () => {
    while (!over()) {
      const reply = await ask(gateway, chat('both'), asFree)
      came.set(reply?.status, (came.get(reply?.status) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: 4 }, client))
  return came
}

test('a proof stops it for a moment, sees that nodes are asked all the same, and lets it go on', async () => {
  const { machine, address, port, host } = gateway
  const settled = { engine: { address, port }, groups: openGroups(gateway.gateway.settings) }
  const target = { address, port, host, ...settled, keys: { free } as ProbeKeys }
  const [trial] = trials(target, gateway.gateway).filter(({ id }) => id === 'nodes.observer')
  expect(await trial?.attempt(machine)).toEqual({ is: 'ok', saw: 'it was stopped for a moment' })
  expect(await reached()).toBe(true)
})

test.each(['SIGSTOP', 'SIGKILL'] as const)(
  'under load it gets %s: no request is lost, lists come from a node, and not for a key with a list of its own',
  async (signal) => {
    let over = false
    const fresh = `new-${signal.toLowerCase()}`
    const loaded = load(() => over)
    observer.process.kill(signal)
    await eventually('the gateway knows', async () => !(await reached()))
    expect((await list()).status).toBe(200)
    expect((await list(limited)).status).toBe(503)
    mac.models = [...mac.models, fresh]
    expect((await ask(gateway, chat(fresh), asFree))?.status).toBe(404)
    over = true
    const came = await loaded
    expect([...came.keys()]).toEqual([200])
    observer.process.kill('SIGCONT')
    if (signal === 'SIGKILL') observer = await startObserver(gateway, metrics)
    await eventually('it tells what is new', async () => (await ask(gateway, chat(fresh), asFree))?.status === 200)
    expect((await list(limited)).status).toBe(200)
  },
  90_000,
)

test('of a node with 10,000 models the first thousand are asked for, and the gateway is told of them in time', async () => {
  gpu.models = ['both', ...Array.from({ length: 10_000 }, (_, at) => `many-${`${at}`.padStart(5, '0')}`)]
  const [, node] = nodesOf(gateway.gateway.settings)
  const said = node && (await askNode(gateway.machine, node, {}))
  expect(said && 'models' in said ? said.models.length : 0).toBe(10_001)
  await eventually(
    'the first is known',
    async () => (await ask(gateway, chat('many-00000'), asFree))?.status === 200,
    60_000,
  )
  expect((await ask(gateway, chat(`many-${`${mostModels}`.padStart(5, '0')}`), asFree))?.status).toBe(404)
  expect((await ask(gateway, chat('both'), asFree))?.status).toBe(200)
})

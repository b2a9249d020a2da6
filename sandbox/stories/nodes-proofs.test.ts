import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Engine, startEngine } from '../lab/engine.ts'
import { type RunningGateway, startGateway, withoutLine } from '../lab/gateway.ts'
import { notOk, proofs, reported } from '../lab/proofs.ts'

let mac: Engine
let gpu: Engine
let gateway: RunningGateway

beforeEach(async () => {
  mac = await startEngine('mac', 'ollama', ['both', 'mac-only'])
  gpu = await startEngine('gpu', 'vllm', ['both', 'Qwen/Qwen2.5-7B'])
})
afterEach(async () => {
  await gateway?.stop()
  for (const one of [mac, gpu]) await one?.recorder.stop()
})

const start = async (alter?: (text: string) => string): Promise<RunningGateway> => {
  gateway = await startGateway({
    enginePort: mac.port,
    ...(alter ? { alter } : {}),
    settings: `role: gateway
nodes:
  mac: { address: 127.0.0.1, port: ${mac.port}, slots: 2 }
  gpu: { address: 127.0.0.1, port: ${gpu.port}, slots: 3, engine: vllm }
`,
  })
  return gateway
}
const ofNodes = async (one: RunningGateway) =>
  reported(one, mac.port, (target) => proofs(one)(target).filter(({ id }) => id.startsWith('nodes.')))

test('test.ts proves the slots, lists and names of nodes, and that nobody is asked for what nobody has', async () => {
  const found = await ofNodes(await start())
  expect(notOk(found)).toEqual([])
  expect(found.map(({ id }) => id)).toEqual(['nodes.slots', 'nodes.lists', 'nodes.mac', 'nodes.gpu', 'nodes.unknown'])
})

test.each([
  ['nodes.slots', (text: string) => text.replace(' maxconn 3', ' maxconn 4')],
  ['nodes.lists', withoutLine(/use_backend catalogue/)],
  ['nodes.mac', withoutLine(/set-var\(txn.pin\) req.fhdr/)],
  ['nodes.unknown', withoutLine(/not found at any node/)],
])('it says so when %s is not as promised', async (id, alter) => {
  const found = await ofNodes(await start(alter))
  expect(found.find((one) => one.id === id)?.state).toBe('missed')
})

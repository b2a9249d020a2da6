import { afterAll, beforeAll, expect, test } from 'vitest'
import { chat } from '../lab/asking.ts'
import { type Engine, startEngine } from '../lab/engine.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { dial, exchange, request } from '../lab/raw.ts'

let engine: Engine
let gateway: RunningGateway
beforeAll(async () => {
  engine = await startEngine('gpu', 'ollama', ['warm', 'cold'], ['warm'])
  gateway = await startGateway({
    enginePort: engine.port,
    settings: `role: gateway
queue: { max: 0 }
nodes: { gpu: { address: 127.0.0.1, port: ${engine.port}, slots: 2 } }
`,
  })
})
afterAll(async () => {
  await gateway?.stop()
  await engine?.recorder.stop()
})

const asking = (model: string) =>
  request('POST /v1/chat/completions HTTP/1.1', [`Host: ${gateway.host}`], JSON.stringify(chat(model)))
const status = async (model: string) => (await exchange(gateway, asking(model))).status

test('where nobody may wait, a node loads a model that it has, one at a time, and a full one refuses', async () => {
  expect([await status('cold'), await status('warm')]).toEqual([200, 200])
  engine.answers = () => {}
  const client = await dial(gateway)
  client.send(asking('cold'))
  await eventually('it is being loaded', () => engine.asked.length === 3)
  expect(await status('cold')).toBe(429)
  const others = [await dial(gateway), await dial(gateway)]
  for (const one of others) one.send(asking('warm'))
  await eventually('every slot is taken', () => engine.asked.length === 5)
  expect(await status('warm')).toBe(429)
  for (const one of [client, ...others]) one.hangUp()
})

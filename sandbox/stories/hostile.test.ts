import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hostile } from '../../lib/checks/hostile/table.ts'
import { parseEnded } from '../../lib/observer/ended.ts'
import { type RunningGateway, startGateway } from '../lab/gateway.ts'
import { attack, unexpected } from '../lab/judge.ts'
import { type Recorder, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway

beforeAll(async () => {
  engine = await startRecorder()
  gateway = await startGateway({ enginePort: engine.port, settings: 'log: requests' })
})
afterAll(async () => {
  await gateway?.stop()
  await engine?.stop()
})

describe('hostile requests', () => {
  test.each(hostile)('$name: $expect', async (request) => {
    expect(unexpected(request, await attack(gateway, engine, request), gateway)).toBeUndefined()
  })

  test('each has a name of its own, and every advisory its request', () => {
    expect(new Set(hostile.map(({ name }) => name)).size).toBe(hostile.length)
    expect(hostile.filter(({ id }) => id).length).toBeGreaterThanOrEqual(30)
  })

  test('after all of them every line of the log can be read by the observer', () => {
    const lines = gateway.log()
    expect(lines.length).toBeGreaterThan(hostile.length - 20)
    for (const line of lines) expect(parseEnded(line), line).toBeDefined()
  })
})

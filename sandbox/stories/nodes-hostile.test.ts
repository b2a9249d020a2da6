import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { atEngine } from '../../lib/checks/hostile/engines.ts'
import { hostileChecks } from '../../lib/checks/hostile.ts'
import { kindOf } from '../../lib/site/engines.ts'
import { openGroups } from '../../lib/site/settings.ts'
import { observeAll } from '../../lib/steps/step.ts'
import { type Engine, startEngine } from '../lab/engine.ts'
import { type RunningGateway, startGateway, withoutLine } from '../lab/gateway.ts'

const kinds = ['vllm', 'llamacpp', 'lmstudio', 'mlx'] as const
let engines: Engine[]
let gateway: RunningGateway | undefined

beforeAll(async () => {
  engines = await Promise.all(kinds.map((kind) => startEngine(kind, kind, [`${kind}-own`])))
})
afterAll(async () => {
  for (const { recorder } of engines) await recorder.stop()
})
afterEach(() => gateway?.stop())

/** What test.ts --hostile reports of the nodes, and what reached their engines of that. */
async function attacked(alter?: (text: string) => string) {
  const nodes = engines.map(({ kind, port }) => `  ${kind}: { address: 127.0.0.1, port: ${port}, engine: ${kind} }\n`)
  const settings = `role: gateway\ngroups: [agents, native, completions, embeddings]\nnodes:\n${nodes.join('')}`
  const one = await startGateway({ enginePort: 11_434, settings, ...(alter ? { alter } : {}) })
  gateway = one
  const { address, port, host } = one
  const target = { address, port, host, engine: { address, port }, groups: openGroups(one.gateway.settings) }
  const checks = hostileChecks(target, one.gateway).filter(({ id }) => id.startsWith('hostile.node.'))
  for (const { recorder } of engines) recorder.received.length = 0
  const results = await observeAll(checks, one.machine)
  const reached = engines.flatMap(({ recorder, kind }) =>
    recorder.received.filter(({ target }) => target !== kindOf(kind).check).map(({ head }) => `${kind}: ${head.line}`),
  )
  return { results, reached }
}

test('what an engine listens to beside our rows is refused, and reaches no node', async () => {
  const { results, reached } = await attacked()
  expect(results.filter(({ state }) => state !== 'ok')).toEqual([])
  expect(reached).toEqual([])
  expect(results).toHaveLength(kinds.reduce((sum, kind) => sum + (atEngine[kind]?.length ?? 0), 0))
  expect(new Set(results.map(({ id }) => id)).size).toBe(results.length)
})

test('without the rule that refuses what is no row each of them is a miss, and says to stop the gateway', async () => {
  const { results } = await attacked(withoutLine(/if !row$|if !row \{ var\(txn\.closed\)/))
  for (const id of ['vllm.post-invocations', 'llamacpp.get-slots', 'lmstudio.get-api-v1-models', 'mlx.get-health'])
    expect(results.find((one) => one.id === `hostile.node.${id}`)).toMatchObject({
      state: 'missed',
      remedy: expect.stringContaining('stop the gateway'),
    })
})

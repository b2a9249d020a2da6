import { expect, it } from 'vitest'
import { startServer } from '../../sandbox/standins/ollama/harness.ts'
import { realLook } from '../host/host.ts'
import { observeAll } from '../steps/step.ts'
import { openai } from './openai.ts'

it('takes null for the list of an Ollama without models, as 0.24 answers', async () => {
  const { port, stop } = await startServer()
  const at = { address: '127.0.0.1', port }
  const target = { ...at, host: `127.0.0.1:${port}`, engine: at, groups: ['openai' as const] }
  const lists = openai(target).filter(({ id }) => ['openai.models', 'openai.query-string'].includes(id))
  const results = await observeAll(lists, realLook())
  const answer = await (await fetch(`http://127.0.0.1:${port}/v1/models`)).text()
  await stop()
  expect(answer).toBe('{"object":"list","data":null}\n')
  expect(results.map(({ state, saw }) => [state, saw])).toEqual(Array(2).fill(['ok', '0 model(s)']))
})

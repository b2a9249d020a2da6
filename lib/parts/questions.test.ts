import { expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { machine, setup } from '../../test/sample.ts'
import { bestFor } from '../site/models.ts'
import { emptyReceipt } from '../site/receipt.ts'
import type { Setup } from '../site/setup.ts'
import { models } from './models.ts'
import { power } from './power.ts'

const mains = 'AC Power:\n sleep                1\n'
const laptop = `Battery Power:\n sleep                1\n${mains}`

async function awake(pmset: string, changes: Partial<Setup>) {
  const look = memoryHost({ commands: { 'pmset -g custom': { stdout: pmset } } })
  const asked = await power.questions?.(look, machine, { ...setup, attended: true, ...changes })
  return asked?.map((question) => [question.id, question.kind === 'confirm' ? question.initial : undefined])
}

it.each([
  ['of a desktop Mac is a yes by default', mains, {}, [['power', true]]],
  ['of a laptop is a no by default', laptop, {}, [['power', false]]],
  ['is a no where nobody can type the password', mains, { attended: false }, [['power', false]]],
  ['is asked once', mains, { receipt: { ...emptyReceipt(), declined: ['power'] } }, []],
  ['is not asked of a Mac that stays awake', mains.replace('1', '0'), {}, []],
])('keep-awake %s', async (_when, pmset, changes, wanted) => {
  expect(await awake(pmset, changes)).toEqual(wanted)
})

it.each([
  [8, 'qwen3:0.6b'],
  [16, 'qwen2.5-coder:7b'],
  [32, 'qwen2.5-coder:14b'],
  [64, 'qwen3-coder:30b'],
  [512, 'qwen3-coder:30b'],
])('%i GB of memory are offered a model that codes, as far as one fits: %s', async (gigabytes, model) => {
  const memory = gigabytes * 1024 ** 3
  const [question] = (await models.questions?.(memoryHost(), { ...machine, memory }, setup)) ?? []
  expect(question).toMatchObject({ id: 'models', initial: model })
  expect(bestFor(memory)).toBe(model)
})

import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import type { Look, RawRequest } from '../host/host.ts'
import type { Machine } from '../site/machine.ts'
import { parseSettings } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { findTarget } from './index.ts'

const machine = { tailscale: { ipv4: '100.64.0.1' } } as Machine
const setup = (models: string) =>
  ({ mode: 'proxy', settings: parseSettings(`models: ${models}`, 'settings.yaml') }) as Setup

const sizes = { 'all-minilm:latest': 46e6, 'qwen3:0.6b': 523e6, 'qwen3:8b': 5e9 }

/** An Ollama with a model for embeddings and two that chat; these are in memory. */
function ollama(...loaded: string[]): Look {
  const list = (names: string[]) => ({
    models: names.map((name) => ({ name, size: sizes[name as keyof typeof sizes] })),
  })
  const answers = ({ target, body = '' }: RawRequest): unknown => {
    if (target === '/api/tags') return list(Object.keys(sizes))
    if (target === '/api/ps') return list(loaded)
    return { capabilities: [/minilm/.test(`${body}`) ? 'embedding' : 'completion'] }
  }
  const probe: Look['probe'] = async (request) => ({
    ...{ end: 'complete', status: 200, headers: {}, pieces: [], ms: 1 },
    body: JSON.stringify(answers(request)),
  })
  return { ...memoryHost(), probe }
}

describe('the model that is asked', () => {
  it.each([
    ['the one that is in memory', ['qwen3:8b'], '[qwen3:0.6b]', 'qwen3:8b'],
    ['the one of the settings when none is in memory', [], '[qwen3:8b]', 'qwen3:8b'],
    ['the smallest when the settings name none', [], '[]', 'qwen3:0.6b'],
    ['none for embeddings, also when that is in memory', ['all-minilm:latest'], '[all-minilm]', 'qwen3:0.6b'],
  ])('is %s', async (_which, loaded, models, name) => {
    expect((await findTarget(ollama(...loaded), machine, setup(models))).model?.name).toBe(name)
  })

  it('is the named one, whatever it is made for', async () => {
    const { model } = await findTarget(ollama('qwen3:8b'), machine, setup('[]'), 'all-minilm')
    expect(model).toEqual({ name: 'all-minilm:latest', capabilities: ['embedding'] })
  })
})

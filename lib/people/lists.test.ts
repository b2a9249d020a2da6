import { expect, test } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { registry as registryShape } from '../site/limits.ts'
import { parseSettings } from '../site/settings.ts'
import { hashKey } from './key.ts'
import { saveRegistry } from './registry.ts'
import { keyStep, renewLists, tooLongFor } from './store.ts'

const settings = parseSettings('access: keys', 'settings.yaml')
const registry = registryShape.parse({
  version: 1,
  keys: { bob: { created: '2026-01-01T00:00:00Z', hashes: [{ sha256: hashKey('one') }], models: ['*'] } },
})

/** Models of one second whose Ollama begins its lists with another one at each call. */
async function mac(models: string[]) {
  const host = memoryHost()
  const at = { files: '2026-11-29T09:00:00.5Z', calls: 0, models }
  const turned = <T>(list: T[]): T[] => list.map((_, place) => list[(place + at.calls) % list.length] as T)
  host.probe = async ({ target }) => {
    at.calls += 1
    const created = Math.floor(Date.parse(at.files) / 1000)
    const cards = turned(at.models).map((id) => ({ id, object: 'model', created }))
    const tags = turned(at.models).map((name) => ({ name, modified_at: at.files, size: 5 }))
    const body = target === '/api/tags' ? { models: tags } : { object: 'list', data: cards }
    return { status: 200, headers: {}, body: JSON.stringify(body), end: 'complete', ms: 1, pieces: [] }
  }
  await saveRegistry(host, registry)
  const step = keyStep(settings)
  const { write } = host
  const written: string[] = []
  host.write = async (file, text) => {
    written.push(file)
    await write(file, text)
  }
  return { host, at, written, apply: () => step.apply(host), found: async () => (await step.check(host)).is }
}

test('models of one second are in a list in one order, whichever Ollama names first', async () => {
  const { host, apply, found, written } = await mac(['qwen3:0.6b', 'tiny-loop:latest', 'llama3:8b'])
  await apply()
  expect([await found(), await found(), await found()]).toEqual(['ok', 'ok', 'ok'])
  written.length = 0
  await renewLists(host, settings)
  expect(written).toEqual([])
})

test('a model whose file was touched is no other model, and one that came is', async () => {
  const { at, apply, found } = await mac(['qwen3:0.6b', 'tiny-loop:latest'])
  await apply()
  at.files = '2026-11-29T11:11:11.123456789+02:00'
  expect(await found()).toBe('ok')
  at.models = ['qwen3:0.6b', 'tiny-loop:latest', 'llama3:8b']
  expect(await found()).toBe('missed')
  await apply()
  expect(await found()).toBe('ok')
})

const many = Array.from({ length: 500 }, (_, at) => `model-${at}:latest`)

test('without the observer a list that is too long for a map is told before, and no line of a map is longer than HAProxy reads', async () => {
  const { host, at, apply } = await mac(many)
  const without = parseSettings('access: keys\nobserver: off', 'settings.yaml')
  expect(await tooLongFor(host, registry, without)).toBe('bob')
  expect(await tooLongFor(host, registry, settings)).toBeUndefined()
  await apply()
  await keyStep(without).apply(host)
  const lines = [...host.files].filter(([file]) => file.endsWith('.map')).flatMap(([, text]) => text.split('\n'))
  expect(lines.length).toBeGreaterThan(500)
  expect(lines.filter((line) => Buffer.byteLength(`${line}\n`) > 16_383)).toEqual([])
  at.models = many.slice(0, 100)
  expect(await tooLongFor(host, registry, without)).toBeUndefined()
  expect(await tooLongFor(host, registry, parseSettings('observer: off', 'settings.yaml'))).toBeUndefined()
})

import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { nodesOf } from './nodes.ts'
import { withNode } from './nodes-text.ts'
import { parseSettings } from './settings.ts'

const node = (more: object = {}) => ({ address: '100.64.0.7', ...more })
const many = Object.fromEntries(Array.from({ length: 15 }, (_, at) => [`n${at}`, node({ port: 12_000 + at })]))

test.each<[object, string]>([
  [{ a: node(), b: node() }, 'nodes.b: another address or port than a'],
  [{ own: node({ address: '127.0.0.1', port: 11434 }) }, 'nodes.own: another address or port than here'],
  [{ own: node({ address: 'localhost', port: 11434 }) }, 'nodes.own: another address or port than here'],
  [{ Mac: node() }, 'a name in small letters'],
  [{ 'a b': node() }, 'a name in small letters'],
  [{ here: node() }, 'here is the engine of this machine'],
  [{ 'gpu-load': node() }, 'does not end in -load or -api'],
  [{ gpu: node({ slots: 0 }) }, 'a whole number from 1 to 512'],
  [{ gpu: node({ engine: 'vlm' }) }, 'did you mean vllm?'],
  [{ gpu: node({ key: 'sk-secret' }) }, 'no key stands in settings'],
  [{ gpu: node({ address: 'http://gpu' }) }, 'an address or a name without port'],
  [{ gpu: node({ address: '0.0.0.0' }) }, 'an address or a name without port'],
  [{ gpu: node({ port: 70_000 }) }, 'a port from 1 to 65535'],
  [{ gpu: node({ mac: 'a4-83' }) }, 'a hardware address'],
  [{ gpu: node({ engine: 'vllm', models: ['a'] }) }, 'vLLM loads its models itself'],
  [{ gpu: node({ key: 'file:~/k', models: ['a'] }) }, 'Ollama behind a key or TLS loads its models itself'],
  [{ gpu: node({ models: ['a b'] }) }, 'nodes.gpu.models'],
  [many, '15 nodes at most, here among them'],
])('nodes that cannot be are refused in a sentence: %j', (nodes, words) => {
  expect(() => parseSettings(stringify({ nodes }), 'settings.yaml')).toThrow(words)
})

test('a gateway that would ask itself is refused', () => {
  const nodes = { loop: node({ address: '127.0.0.1', port: 8080, engine: 'gateway' }) }
  expect(() => parseSettings(stringify({ port: 8080, nodes }), 'settings.yaml')).toThrow('would ask itself')
})

test('the engine of this machine is the first node, and none where there is no other', () => {
  expect(nodesOf(parseSettings('', 's'))).toEqual([])
  const settings = parseSettings(stringify({ nodes: { gpu: node({ engine: 'vllm' }) } }), 's')
  expect(nodesOf(settings).map(({ name, id, port }) => [name, id, port])).toEqual([
    ['here', 1, 11_434],
    ['gpu', 2, 8000],
  ])
  expect(nodesOf({ ...settings, role: 'gateway' }).map(({ name, id }) => [name, id])).toEqual([['gpu', 1]])
})

test('a node is written into settings and taken out again, and comments stay', () => {
  const before = '# mine\nnodes: {}\nlog: off\n'
  const added = withNode(before, 'gpu', { address: '100.64.0.7', port: 8000 })
  expect(added).toBe('# mine\nnodes:\n  gpu: { address: 100.64.0.7, port: 8000 }\nlog: off\n')
  expect(parseSettings(withNode(added, 'gpu', undefined), 's').nodes).toEqual({})
})

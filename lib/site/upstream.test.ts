import { expect, test } from 'vitest'
import { nearLines } from '../nodes/near.ts'
import { oneSpelling, tableLines } from '../nodes/table.ts'
import { readUpstream } from './upstream.ts'

test('an nginx upstream becomes nodes, with or without its block; what is none is told with its line', () => {
  const text = `upstream ollama {
  least_conn;
  server 192.168.1.101:11434; # GPU Server 1
  server ollama-gpu2.internal:11434 weight=3 max_fails=2;
  server [fd00::7]:8000 down;
  server unix:/run/x.sock;
}`
  const { nodes, passed } = readUpstream(text, ['node-1'])
  expect(nodes).toEqual([
    { name: 'node-2', address: '192.168.1.101', port: 11434, down: false },
    { name: 'ollama-gpu2', address: 'ollama-gpu2.internal', port: 11434, speed: 3, down: false },
    { name: 'node-3', address: 'fd00::7', port: 8000, down: true },
  ])
  expect(passed).toEqual([
    { line: '2', why: 'least_conn is nothing that a node has' },
    { line: '6', why: 'unix:/run/x.sock is no address with a port' },
  ])
})

test.each([
  ['Library/Qwen3:latest', 'qwen3'],
  ['registry.ollama.ai/library/qwen3:8b', 'qwen3:8b'],
  ['hf.co/Bob/Model:Q4', 'hf.co/bob/model:q4'],
])('%s is looked up as %s', (name, spelled) => {
  expect(oneSpelling(name)).toBe(spelled)
})

const of = (name: string, id: number, more: object = {}) => ({
  ...{ name, id, address: '100.64.0.7', port: 1, slots: 4, speed: 1, engine: 'ollama' as const },
  ...more,
})
const known = new Map([
  [
    'mac',
    [
      { name: 'both', loaded: true },
      { name: 'odd | name, with 300', loaded: true },
    ],
  ],
  ['gpu', [{ name: 'both:latest', loaded: false }]],
])

test('a loaded model costs nothing, one that must be loaded a full node, and a name that HAProxy could not hold is in no line', () => {
  const lines = tableLines([of('mac', 1), of('gpu', 2)], known, 'when_full')
  const chat = [...lines].filter(([key]) => key.includes('|both|'))
  expect(chat[0]?.[1]).toBe(`0|${100 * 32 + 16}`)
  expect([...lines.keys()].join()).not.toContain('odd')
})

test('with spread: never no second node loads what one has loaded', () => {
  const lines = tableLines([of('mac', 1), of('gpu', 2)], known, 'never')
  expect([...lines].find(([key]) => key.endsWith('|both|*'))?.[1]).toBe('0|-1')
})

test('a beginning names at most three models that begin so, as their nodes write them, by the rows that these serve', () => {
  const names = ['qwen3:8b', 'qwen3:14b', 'qwen3-coder', 'qwen2.5', 'llama3:latest', 'ab']
  const all = new Map([
    ['mac', names.map((name) => ({ name, loaded: true }))],
    ['gpu', [{ name: 'Qwen/Qwen2.5-7B', loaded: true }]],
  ])
  const lines = nearLines([of('mac', 1), of('gpu', 2, { engine: 'vllm' })], all)
  const longest = (kind: string, name: string) =>
    [...lines].filter(([key]) => `${kind}|${name}`.startsWith(key)).sort(([a], [b]) => b.length - a.length)[0]?.[1]
  const [chat = ''] = [...lines.keys()].find((key) => key.endsWith('|qwen/'))?.split('|') ?? []
  expect(longest(chat, 'qwen3:9b')).toBe('qwen3:14b, qwen3:8b')
  expect(longest(chat, 'qwen/wen')).toBe('Qwen/Qwen2.5-7B')
  expect(longest(chat, 'qwem')).toBe('Qwen/Qwen2.5-7B, qwen2.5, qwen3-coder')
  expect(longest(chat, 'llama4')).toBe('llama3:latest')
  expect(longest(chat, 'mistral')).toBeUndefined()
  const native = [...lines.keys()].map((key) => key.split('|')[0]).find((kind) => !lines.has(`${kind}|qwen/`)) ?? ''
  expect(longest(native, 'qwen/qwen2.5-7b')).toBe('qwen2.5, qwen3-coder')
})

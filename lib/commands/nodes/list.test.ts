import { expect, test } from 'vitest'
import type { NodeModel } from '../../nodes/ask.ts'
import type { Standing } from '../../nodes/standing.ts'
import { screen } from './list.ts'

const of = (name: string, models: NodeModel[], more: Partial<Standing> = {}): Standing => ({
  node: { name, id: 1, address: '100.64.0.7', port: 1, slots: 4, speed: 1, engine: 'ollama' },
  ...{ state: 'up', since: 7200, running: 1, waiting: 0, models },
  ...more,
})
const model = (name: string, digest = 'one', loaded = true): NodeModel => ({ name, digest, loaded })

test('each node has a line: since when it is up, what runs and waits, what is loaded or what is wrong', () => {
  const lines = screen([
    of('mac', [model('a'), model('b'), model('c'), model('d', 'one', false)], { waiting: 2 }),
    of('gpu', [], { state: 'down', since: 90, running: 0, fault: 'nobody listens there' }),
  ]).split('\n')
  expect(lines).toHaveLength(3)
  expect(lines[1]).toMatch(/^mac +up 2 h +1 of 4, 2 wait +Ollama +a, b and 1 more$/)
  expect(lines[2]).toMatch(/^gpu +down 1 min +0 of 4 +Ollama +nobody listens there$/)
})

test('what went wrong last is told with when, unless it is what is wrong now or a day old', () => {
  const now = 1_000_000_000
  const last = { what: 'nobody listens there', at: now - 720_000 }
  const said = (more: Partial<Standing>) => screen([of('mac', [model('a')], { last, ...more })], now).split('\n')[1]
  expect(said({})).toMatch(/ a; 12 min ago: nobody listens there$/)
  expect(said({ state: 'down', fault: 'nobody listens there' })).toMatch(/ {2}nobody listens there$/)
  expect(said({ last: { ...last, at: now - 86_400_000 } })).toMatch(/ a$/)
})

test('one name for other files on two nodes is said, in whatever way it is spelled', () => {
  const said = screen([of('mac', [model('a:latest')]), of('gpu', [model('a', 'two')])])
  expect(said).toContain('! a is not the same on mac and gpu')
  expect(screen([of('mac', [model('a')]), of('gpu', [model('a')])])).not.toContain('!')
})

test('a node with more models than the gateway knows is said', () => {
  const many = Array.from({ length: 1001 }, (_, at) => model(`m${at}`))
  expect(screen([of('mac', many)])).toContain('! mac has 1001 models; the first 1000')
  expect(screen([of('mac', many.slice(1))])).not.toContain('!')
})

import { expect, test } from 'vitest'
import type { Node } from '../site/nodes.ts'
import type { NodeModel } from './ask.ts'
import { isOurselves, shortest, throughLines, withoutOwn } from './through.ts'

const [own, other, third] = ['0123456789ab', 'ba9876543210', '111111111111']
const model = (name: string, gateways?: string[]): NodeModel => ({
  ...{ name, loaded: true },
  ...(gateways ? { gateways } : {}),
})
const node = (name: string, id: number, engine: Node['engine']) => ({ name, id, engine }) as Node
const nodes = [node('box', 1, 'ollama'), node('paris', 2, 'gateway'), node('oslo', 3, 'gateway')]

test('what a gateway has by way of this one does not count as its own', () => {
  const known = new Map([['paris', [model('mine', [other, own]), model('theirs', [other]), model('plain')]]])
  expect(
    withoutOwn(known, own)
      .get('paris')
      ?.map(({ name }) => name),
  ).toEqual(['theirs', 'plain'])
})

test('what is behind more than three gateways is not looked for', () => {
  const known = new Map([['paris', [model('far', [other, third, '222222222222']), model('near', [other, third])]]])
  expect(
    withoutOwn(known, own)
      .get('paris')
      ?.map(({ name }) => name),
  ).toEqual(['near'])
})

test('a node is this gateway itself where its list begins with this one’s mark', () => {
  expect(isOurselves([model('a', [own])], own)).toBe(true)
  expect(isOurselves([model('a', [other, own])], own)).toBe(false)
  expect(isOurselves([model('a')], undefined)).toBe(false)
})

test('a request is kept from the gateway that it came through, and from all where it was here before', () => {
  const known = new Map([
    ['box', [model('a')]],
    ['paris', [model('a', [other])]],
    ['oslo', [model('a')]],
  ])
  expect(throughLines(nodes, known, own)).toEqual(
    new Map([
      [other, '.2.'],
      ['own', own],
      [own, '.2..3.'],
    ]),
  )
})

test('what is no mark comes into no map', () => {
  expect([...throughLines(nodes, new Map([['paris', [model('a', ['x y\n'])]]]), own).keys()]).toEqual(['own', own])
})

test('of several ways the shortest is told', () => {
  expect(shortest([[other, third], [third]])).toEqual([third])
  expect(shortest([])).toEqual([])
})

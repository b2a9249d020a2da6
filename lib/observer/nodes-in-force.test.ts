import { expect, it } from 'vitest'
import { memoryWorker, withWorkers } from '../../test/memory-haproxy.ts'
import { memoryHost } from '../../test/memory-host.ts'
import { renewNodes } from '../nodes/store.ts'
import { places } from '../platform/mac/places.ts'
import { nodeKeysName, nodesOf } from '../site/nodes.ts'
import { parseSettings, type Settings } from '../site/settings.ts'
import { nodesInForce } from './nodes-in-force.ts'

const { applied, settings: file, keyMaps } = places('/Users/ada')
const one = 'role: gateway\nnodes: { gpu: { address: 192.0.2.7, engine: vllm, key: "file:/k/one" } }\n'
const other = one.replace('/k/one', '/k/other')
const settings = (text: string): Settings => parseSettings(text, file)
const mapOf = (text: string): string => `keys/${nodeKeysName(nodesOf(settings(text)))}`

/** A machine where this is written and that was applied, and a gateway that has the nodes of `running`. */
function machine(written: string, before: string, running?: string) {
  const files = new Map([
    [file, written],
    [applied, before],
    ['/k/one', 'key-one'],
    ['/k/other', 'key-other'],
  ])
  const host = memoryHost({ files })
  const worker = memoryWorker(
    running === undefined
      ? {}
      : { maps: { 3: { file: `/Users/ada/.haproxy/${mapOf(running)}`, lines: new Map([['gpu', 'key-one']]) } } },
  )
  withWorkers(host, { 12: worker })
  return { host, worker }
}

it.each([
  ['as they were applied while others wait', other, one, one, one],
  ['as they were applied while all of them are taken out', 'role: server', one, one, one],
  ['as they are written once a gateway has them, before all of apply is done', other, one, other, other],
  ['as they are written where nothing waits', one, one, one, one],
  ['as they are written where no gateway has any', other, one, undefined, other],
])('the observer goes by nodes %s', async (_which, written, before, running, wanted) => {
  const { host } = machine(written, before, running)
  expect(await nodesInForce(host, settings(written))).toEqual(settings(wanted))
})

it('settings of another version, which say nothing now, are none', async () => {
  const { host } = machine(other, 'nodes: 7', one)
  expect(await nodesInForce(host, settings(other))).toEqual(settings(other))
})

it('a running gateway keeps the keys of its nodes whatever is written', async () => {
  const { host, worker } = machine(other, one, one)
  host.probe = async () => ({ end: 'refused', status: 0, headers: {}, body: '', pieces: [], ms: 1 })
  for (const text of [other, one]) await renewNodes(host, settings(text))
  expect([...(worker.maps[3]?.lines ?? [])]).toEqual([['gpu', 'key-one']])
  const kept = [one, other].map((text) => host.files.get(`${keyMaps}/${nodeKeysName(nodesOf(settings(text)))}`))
  expect(kept).toEqual(['gpu key-one\n', 'gpu key-other\n'])
})

import { expect, test } from 'vitest'
import { memoryHost } from '../../../test/memory-host.ts'
import { readErrors } from '../../nodes/errors.ts'
import { parseSettings } from '../../site/settings.ts'
import type { Ended } from '../ended.ts'
import { nodeErrors } from './node-errors.ts'

const settings = () => parseSettings('nodes: { mac: { address: 100.64.0.7 }, gpu: { address: 100.64.0.9 } }', '')
const stat = (mac: string, gpu: string) =>
  `# pxname,svname,status,lastchg,check_status\ninference,mac,${mac}\ninference,gpu,${gpu}\n`
const place = { id: 'a', offset: 1 }
const request = (node: string, end: Ended['end'], status = 200) =>
  ({ time: '2026-01-01T10:00:00.000Z', totalMs: 5000, node, end, status }) as Ended
const noon = Date.parse('2026-01-01T12:00:00.000Z')

test('what went wrong last with a node is known when it is well again, and is written once', async () => {
  const host = memoryHost()
  let [said, writes, now] = [stat('UP,9,L7OK', 'DOWN,60,L4CON'), 0, noon]
  host.ask = async () => said
  const write = host.write
  host.write = (...words) => {
    writes += 1
    return write(...words)
  }
  const duty = nodeErrors(settings, () => now)
  await duty.run(host)
  now += 1500
  said = stat('UP,10,L7OK', 'DOWN,62,L4CON')
  await duty.run(host)
  said = stat('UP,11,L7OK', 'UP,1,L7OK')
  await duty.run(host)
  expect(await readErrors(host)).toEqual({ gpu: { what: 'nobody listens there', at: noon - 60_000 } })
  expect(writes).toBe(1)
})

test('an answer that a node broke off is its error, one that a client left is not, and who is no node any more is forgotten', async () => {
  const host = memoryHost()
  host.ask = async () => stat('UP,9,L7OK', 'UP,9,L7OK')
  const duty = nodeErrors(settings, () => noon)
  duty.take(
    [request('mac', 'engine broke'), request('gpu', 'client left in the stream'), request('old', 'done', 502)],
    place,
    0,
  )
  await duty.run(host)
  const at = Date.parse('2026-01-01T10:00:05.000Z')
  expect(await readErrors(host)).toEqual({ mac: { what: 'it broke an answer off', at } })
  duty.take([request('mac', 'done', 500)], place, 0)
  await duty.run(host)
  expect((await readErrors(host)).mac?.what).toBe('it answered 500')
})

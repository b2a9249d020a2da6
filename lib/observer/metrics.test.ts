import { expect, test } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { places } from '../platform/mac/places.ts'
import type { Ended } from './ended.ts'
import { readGauges, runningBy } from './gauges.ts'
import { metrics } from './metrics.ts'

const of = (changes: Partial<Ended> = {}): Ended => ({
  ...{ time: '', id: '', address: '100.64.0.7', who: 'bob', login: '', device: '', agent: '', group: 'openai' },
  ...{ method: 'POST', path: '/v1/chat/completions', model: 'qwen3', status: 200, bytes: 10 },
  ...{ queueMs: 500, firstByteMs: 300, totalMs: 2500, end: 'done', denied: '' },
  ...changes,
})
const nowhere = { id: '', offset: 0 }

async function textOf(requests: Ended[], bad = 0): Promise<string> {
  const { registry, take } = metrics()
  take(requests, nowhere, bad)
  return registry.metrics()
}

test('a request is counted, timed and weighed', async () => {
  const text = await textOf([of()], 2)
  for (const line of [
    'gateway_requests_total{who="bob",model="qwen3",group="openai",status="2xx"} 1',
    'gateway_ends_total{end="done"} 1',
    'gateway_generation_seconds_total{who="bob",model="qwen3"} 2',
    'gateway_response_bytes_total{who="bob"} 10',
    'gateway_queue_seconds_bucket{le="0.5",group="openai"} 1',
    'gateway_first_byte_seconds_bucket{le="0.25",group="openai"} 0',
    'gateway_duration_seconds_sum{group="openai"} 2.5',
    'gateway_bad_log_lines_total 2',
  ])
    expect(text.split('\n')).toContain(line)
})

test('a refusal is counted by its policy, and times that never were are none', async () => {
  const text = await textOf([of({ end: 'denied', denied: 'limits', status: 429, queueMs: -1, firstByteMs: -1 })])
  expect(text).toContain('gateway_refusals_total{policy="limits"} 1')
  expect(text).toContain('status="4xx"} 1')
  expect(text).not.toMatch(/gateway_(queue|first_byte)_seconds_count\{group/)
})

test('what clients choose does not grow without end', async () => {
  const many = Array.from({ length: 1000 }, (_, at) =>
    of({ who: '', address: `100.64.${at >> 8}.${at & 255}`, model: `m${at}`, group: `g${at}` }),
  )
  const text = await textOf(many)
  for (const label of ['who', 'model', 'group']) {
    const values = new Set([...text.matchAll(new RegExp(`${label}="([^"]*)"`, 'g'))].map(([, value]) => value))
    expect(values.size).toBeLessThanOrEqual(201)
  }
  expect(text).toContain('who="others",model="others"')
})

test('names that a client invents are no labels and leave room for real ones', async () => {
  const invented = Array.from({ length: 300 }, (_, at) => of({ model: `m${at}`, status: at % 2 ? 404 : -1 }))
  const denied = of({ model: 'd', status: 200, end: 'denied', denied: 'limits' })
  const text = await textOf([...invented, denied, of(), of({ status: 500 }), of({ model: '' })])
  const models = new Set([...text.matchAll(/model="([^"]*)"/g)].map(([, name]) => name))
  expect([...models].sort()).toEqual(['', 'others', 'qwen3'])
  expect(text).toContain('model="qwen3",group="openai",status="5xx"} 1')
})

test('names with quotes and line ends stay one label', async () => {
  expect(await textOf([of({ model: 'a"b\\c\nd' })])).toContain('model="a\\"b\\\\c\\nd"')
})

test('who runs something is read off HAProxy’s table', () => {
  const table = [
    '# table: people, type: string, size:20480, used:2',
    '0x5591: key=bob use=1 exp=119000 shard=0 conn_cur=2 gpc0_rate(60000)=3',
    '0x5592: key=100.64.0.7 use=0 exp=100000 shard=0 conn_cur=0 gpc0_rate(60000)=1',
  ]
  expect(runningBy(table.join('\n'))).toEqual([['bob', 2]])
  expect(runningBy('No such table.\n')).toEqual([])
})

test('metrics are served though somebody is editing the settings or broke the list of keys', async () => {
  const { settings, keys } = places('/Users/ada')
  const host = memoryHost({
    files: new Map([
      [settings, 'port: nonsense'],
      [keys, 'nonsense'],
    ]),
  })
  const made = metrics()
  await readGauges(host, made.gauges)
  expect(await made.registry.metrics()).toContain('gateway_up 0')
})

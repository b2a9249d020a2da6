import { expect, it } from 'vitest'
import { sessionsOf, streamRows } from './streams.ts'

const began = 1_763_740_800_123
/** What HAProxy keeps of it. */
const low = began % 2 ** 32

it('streams are found by the table and the sessions, with what the gateway wrote down, and which server has them', () => {
  const rows = streamRows(
    [
      '# table: streams, type: string, size:20480, used:3',
      `0x1: key=bob|100.64.0.9:4711|600|qwen3:8b use=1 exp=59000 shard=0 gpt0=${low} conn_cur=1`,
      `0x2: key=bob|100.64.0.9:4712|| use=0 exp=59000 gpt0=${low} conn_cur=0`,
      `0x3: key=bobby|fd7a::9:4713|| use=1 exp=59000 gpt0=${low + 1} conn_cur=1`,
    ].join('\n'),
    began + 5000,
  )
  const sessions = [
    '0x55aa: proto=tcpv4 src=100.64.0.9:4711 fe=tailnet be=inference srv=engine ts=00 epoch=0 age=1h2m3s calls=4',
    '0x55bb: proto=tcpv6 src=fd7a::9:4713 fe=tailnet be=inference srv=<none> ts=00 age=5s calls=4',
    '0x55cc: proto=tcpv4 src=100.64.0.9:4712 fe=tailnet be=metadata srv=engine ts=00 age=5s calls=4',
    '0x55dd: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0 age=0s calls=1',
  ].join('\n')
  expect(sessionsOf(rows, sessions)).toEqual([
    {
      ...{ session: '0x55aa', who: 'bob', client: '100.64.0.9:4711', whole: 600, started: 1763740800123 },
      ...{ model: 'qwen3:8b', server: 'engine' },
    },
    {
      ...{ session: '0x55bb', who: 'bobby', client: 'fd7a::9:4713', whole: 0, started: 1763740800124 },
      ...{ model: '', server: undefined },
    },
  ])
})

it.each([0, 86_400_000, 20 * 86_400_000, -3_600_000, -20 * 86_400_000])(
  'the start of a stream is known from its last 32 bits when the clock stands %d ms later',
  (passed) => {
    const row = `0x1: key=bob|100.64.0.9:4711|600|m use=1 exp=5 shard=0 gpt0=${low} conn_cur=1`
    expect(streamRows(row, began + passed).get('100.64.0.9:4711')?.started).toBe(began)
  },
)

it('a worker from before an update tells the start in the key', () => {
  const row = `0x1: key=bob|100.64.0.9:4711|600|${began}|m use=1 exp=5 shard=0 conn_cur=1`
  expect(streamRows(row, began + 5000).get('100.64.0.9:4711')).toEqual({
    ...{ who: 'bob', client: '100.64.0.9:4711', whole: 600, started: began, model: 'm' },
  })
})

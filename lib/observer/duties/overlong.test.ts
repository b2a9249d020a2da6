import { expect, it } from 'vitest'
import { memoryWorker, withWorkers } from '../../../test/memory-haproxy.ts'
import { memoryHost } from '../../../test/memory-host.ts'
import { overlong } from './overlong.ts'

const began = Date.now()

/** A gateway with one stream that may take 60 s and began then, and how often it was ended. */
function machine() {
  const host = memoryHost()
  const stream = memoryWorker({
    streams: `0x1: key=bob|100.64.0.9:4711|60|m use=1 exp=5 shard=0 gpt0=${began % 2 ** 32} conn_cur=1\n`,
    sessions: {
      '0x55aa': '0x55aa: proto=tcpv4 src=100.64.0.9:4711 fe=tailnet be=inference srv=engine ts=00 age=1s\n',
    },
  })
  return { host, cut: withWorkers(host, { 12: stream }).told }
}

it.each([0, -3_600_000, -86_400_000])(
  'a request that takes too long is ended though the clock was set back by %d ms',
  async (back) => {
    let passed = 0
    const { host, cut } = machine()
    const duty = overlong(
      () => began + back + passed,
      () => passed,
    )
    for (passed of [0, 59_000]) await duty.run(host)
    expect(cut).toEqual([])
    passed = 60_000
    await duty.run(host)
    expect(cut).toEqual(['12 shutdown session 0x55aa'])
  },
)

it('a request that was too long before the observer came is ended at once', async () => {
  const { host, cut } = machine()
  await overlong(() => began + 61_000).run(host)
  expect(cut).toHaveLength(1)
})

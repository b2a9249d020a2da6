import { describe, expect, it } from 'vitest'
import { sessionsOf, streamsOf, workers } from './streams.ts'

describe('the streams under way', () => {
  it('are found by the table and the sessions of every worker, and no other', () => {
    expect(
      workers(
        '#<PID>  <type>  <relative PID>\n12 master 0\n# workers\n34              worker          1\n# old workers\n56              worker          [was: 1]\n# programs\n',
      ),
    ).toEqual(['34', '56'])
    const table = [
      '# table: streams, type: string, size:20480, used:3',
      '0x1: key=bob|100.64.0.9:4711 use=1 exp=59000 shard=0 conn_cur=1',
      '0x2: key=bob|100.64.0.9:4712 use=0 exp=59000 conn_cur=0',
      '0x3: key=bobby|100.64.0.9:4713|qwen3:8b use=1 exp=59000 conn_cur=1',
    ].join('\n')
    expect(streamsOf('34', table)).toEqual([
      { worker: '34', who: 'bob', source: '100.64.0.9:4711' },
      { worker: '34', who: 'bobby', source: '100.64.0.9:4713', model: 'qwen3:8b' },
    ])
    const sessions =
      '0x55aa: proto=tcpv4 src=100.64.0.9:4711 fe=tailnet be=inference\n0x55bb: proto=tcpv4 src=100.64.0.9:4713 fe=tailnet\n'
    expect(sessionsOf(['100.64.0.9:4711'], sessions)).toEqual(['0x55aa'])
  })
})

import { Chalk } from 'chalk'
import { describe, expect, it } from 'vitest'
import { picture, ratesOf, refusalsOf } from './watch.ts'

const plain = new Chalk({ level: 0 })
const line = (status: number, path: string, more = {}) =>
  JSON.stringify({ time: '21/Nov/2026:15:00:00.000', method: 'POST', path, status, ...more })

describe('what status.ts --watch shows', () => {
  it('names who generates with which model, who asks how often, and why the last ones were refused', () => {
    const shown = picture(
      {
        running: [
          {
            ...{ pid: '1', session: '0x1', who: 'bob', client: '100.64.0.9:4711', model: 'qwen3:8b' },
            ...{ whole: 0, started: Date.now() - 7000, server: 'engine' },
          },
        ],
        waiting: 2,
        rates: ratesOf(
          '0x1: key=bob use=1 exp=1 shard=0 gpc0_rate(60000)=3 conn_cur=1\n0x2: key=eve gpc0_rate(60000)=0',
        ),
        refusals: refusalsOf(
          `${line(200, '/v1/models')}\nno JSON\n${line(429, '/v1/messages', { who: 'bob', denied: 'limits' })}\n${line(401, '/v1/models')}\n`,
        ),
      },
      plain,
    )
    expect(shown).toContain('Running (1), waiting (2)\n  bob                      qwen3:8b                     7 s')
    expect(shown).toContain('in the last minute\n  bob                      3\n')
    expect(shown).toMatch(
      /Last refusals\n.* 401 no key that counts {2}POST \/v1\/models\n.* 429 over a limit \(limits\) {2}POST \/v1\/messages {2}\(bob\)$/,
    )
  })

  it('says none where there is nothing', () => {
    expect(picture({ running: [], waiting: 0, rates: [], refusals: [] }, plain).match(/none/g)).toHaveLength(3)
  })
})

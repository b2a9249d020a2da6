import { describe, expect, test } from 'vitest'
import { parseEnded } from './ended.ts'

const line = (changes: Record<string, unknown> = {}): string =>
  JSON.stringify({
    ...{
      time: '21/Nov/2026:15:48:05.123',
      id: 'req_1',
      address: '100.64.0.7',
      who: 'bob',
      login: '-',
      device: '-',
      agent: '-',
    },
    ...{ group: 'openai', method: 'POST', path: '/v1/chat/completions', model: '-', status: 200, bytes: 12 },
    ...{ queueMs: 0, firstByteMs: 3, totalMs: 4, end: '----', denied: '-' },
    ...changes,
  })

describe('a line of the access log', () => {
  test('is read with its time in UTC, and without the dashes of what is unknown', () => {
    const at = new Date(2026, 10, 21, 15, 48, 5, 123).toISOString()
    expect(parseEnded(line())).toEqual({
      ...{
        time: at,
        id: 'req_1',
        address: '100.64.0.7',
        who: 'bob',
        login: '',
        device: '',
        agent: '',
        group: 'openai',
      },
      ...{ method: 'POST', path: '/v1/chat/completions', model: '', status: 200, bytes: 12 },
      ...{ queueMs: 0, firstByteMs: 3, totalMs: 4, end: 'done', denied: '' },
    })
  })

  test.each([
    ['----', 200, 'done', ''],
    ['----', 500, 'done', ''],
    ['LR--', 200, 'done', ''],
    ['CD--', 200, 'client left in the stream', ''],
    ['cD--', 200, 'client left in the stream', ''],
    ['CH--', -1, 'client left waiting', ''],
    ['CQ--', 503, 'client left waiting', ''],
    ['CR--', 400, 'client left waiting', ''],
    ['cR--', 408, 'denied', 'bodies'],
    ['SC--', 503, 'engine broke', ''],
    ['SH--', 502, 'engine broke', ''],
    ['SD--', 200, 'engine broke', ''],
    ['PH--', 502, 'engine broke', ''],
    ['sH--', 504, 'engine silent', ''],
    ['sQ--', 429, 'denied', 'queue'],
    ['PR--', 400, 'denied', 'shape'],
    ['KD--', 200, 'cut', ''],
    ['RC--', 503, 'gateway broke', ''],
  ])('%s with %i ended in words: %s', (end, status, words, denied) => {
    expect(parseEnded(line({ end, status }))).toMatchObject({ end: words, denied })
  })

  test('tells by which policy it was denied, and believes nobody else', () => {
    expect(parseEnded(line({ end: 'PR--', status: 429, denied: 'limits' }))?.denied).toBe('limits')
    expect(parseEnded(line({ end: '----', status: 500, denied: 'limits' }))?.denied).toBe('')
  })

  test('has no time below zero, whatever a clock does', () => {
    const times = { queueMs: -86_400_000, firstByteMs: -5, totalMs: -3_600_000 }
    expect(parseEnded(line(times))).toMatchObject({ queueMs: -1, firstByteMs: -1, totalMs: -1 })
  })

  test.each(['', 'nonsense', '{}', '[]', 'null', line().slice(0, 60), line({ status: '200' })])(
    '%j is none',
    (text) => {
      expect(parseEnded(text)).toBeUndefined()
    },
  )
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RawAnswer } from '../../host/host.ts'
import { jsonLines, serverEvents } from './sse.ts'

const answer = (texts: string[]): RawAnswer => ({
  end: 'complete',
  status: 200,
  headers: {},
  body: texts.join(''),
  pieces: texts.map((text, at) => ({ ms: 10 * (at + 1), text })),
  ms: 0,
})

describe('server-sent events', () => {
  it('are the same however the body was cut', () => {
    const body = 'event: one\ndata: {"a":"é🙂"}\n\n: a comment\n\ndata: two\r\ndata: three\r\n\r\ndata:[DONE]\n\n'
    const whole = serverEvents(answer([body])).map(({ name, data }) => [name, data])
    expect(whole).toEqual([
      ['one', '{"a":"é🙂"}'],
      ['', 'two\nthree'],
      ['', '[DONE]'],
    ])
    fc.assert(
      fc.property(fc.array(fc.nat(body.length)), (cuts) => {
        const at = [0, ...cuts.sort((one, other) => one - other), body.length]
        const texts = at.slice(1).map((end, index) => body.slice(at[index], end))
        expect(serverEvents(answer(texts)).map(({ name, data }) => [name, data])).toEqual(whole)
      }),
    )
  })

  it('carry the time at which they were complete', () => {
    const events = serverEvents(answer(['data: one\n\ndata: t', 'wo\n', '\n']))
    expect(events.map(({ data, ms }) => [data, ms])).toEqual([
      ['one', 10],
      ['two', 30],
    ])
  })

  it('that never ended are none', () => {
    expect(serverEvents(answer(['data: half']))).toEqual([])
    expect(serverEvents(answer(['data: half\n']))).toEqual([])
  })
})

describe('lines of JSON', () => {
  it('are parsed one by one, a broken one as undefined', () => {
    expect(jsonLines(answer(['{"a":1}\n{"b', '":2}\n\n{broken\n']))).toEqual([{ a: 1 }, { b: 2 }, undefined])
  })
})

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { body } from '../../lib/checks/hostile/form.ts'
import { hostile } from '../../lib/checks/hostile/table.ts'
import { type RunningGateway, startGateway } from '../gateway.ts'
import { attack, illegal, unexpected } from '../judge.ts'
import { exchange } from '../raw.ts'
import { type Recorder, startRecorder } from '../recorder.ts'

let engine: Recorder
let gateway: RunningGateway

beforeAll(async () => {
  engine = await startRecorder()
  gateway = await startGateway({ enginePort: engine.port, settings: 'log: requests' })
})
afterAll(async () => {
  await gateway?.stop()
  await engine?.stop()
})

describe('hostile requests', () => {
  test.each(hostile)('$name: $expect', async (request) => {
    expect(unexpected(request, await attack(gateway, engine, request), gateway)).toBeUndefined()
  })

  test('each has a name of its own, and every advisory its request', () => {
    expect(new Set(hostile.map(({ name }) => name)).size).toBe(hostile.length)
    expect(hostile.filter(({ id }) => id).length).toBeGreaterThanOrEqual(30)
  })

  test('none of 600 requests with random bytes in wrong places reaches the engine but as a row of ours', async () => {
    const good = (method: string, more: string) =>
      `${method} HTTP/1.1\r\nHost: ${gateway.host}\r\nUser-Agent: fuzz\r\n${more}`
    const bases = [
      good('POST /v1/messages?beta=true', `Content-Length: ${body.length}\r\n\r\n${body}`),
      good('POST /v1/responses', `Transfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n0\r\n\r\n`),
      good('GET /v1/models/hf.co%2Fu/m:q4', 'Accept: */*\r\n\r\n'),
    ]
    const parts = [
      '',
      '\r',
      '\n',
      '\r\n',
      ' ',
      '\t',
      '\0',
      ':',
      '/',
      '..',
      '%2e',
      '%00',
      '#',
      '?',
      '@',
      ',',
      ';',
      '\\',
      '0',
      '-1',
      'x',
      '\xff',
    ]
    const more = [
      'Content-Length: 5\r\n',
      'Transfer-Encoding: chunked\r\n',
      'Host: a\r\n',
      'Connection: content-length\r\n',
      ' HTTP/1.1\r\n',
      '/api/pull',
      'DELETE ',
    ]
    const change = fc.tuple(fc.nat(220), fc.nat(3), fc.constantFrom(...parts, ...more))
    const cases = fc.sample(fc.tuple(fc.constantFrom(...bases), fc.array(change, { minLength: 1, maxLength: 4 })), {
      numRuns: 600,
      seed: 11_434,
    })
    const send = async ([base, changes]: (typeof cases)[number]) => {
      const text = changes.reduce((so, [at, drop, put]) => so.slice(0, at) + put + so.slice(at + drop), base)
      const before = engine.received.length
      await exchange(gateway, Buffer.from(`${text}\r\n\r\n`, 'latin1'), 1, 150)
      const bad = engine.received
        .slice(before)
        .map((request) => illegal(gateway, request))
        .find(Boolean)
      expect(bad, JSON.stringify(text)).toBeUndefined()
    }
    for (let index = 0; index < cases.length; index += 20) await Promise.all(cases.slice(index, index + 20).map(send))
  })

  test('after all of them every line of the log is a JSON object', () => {
    const lines = gateway.log()
    expect(lines.length).toBeGreaterThan(hostile.length - 20)
    for (const line of lines) expect(Object.keys(JSON.parse(line))).toContain('status')
  })
})

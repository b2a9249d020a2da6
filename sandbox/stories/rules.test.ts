import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Hostile, hostile } from '../../lib/checks/hostile/table.ts'
import { startGateway, withoutLine } from '../lab/gateway.ts'
import { attack, unexpected } from '../lab/judge.ts'
import { bytes, type Recorder, startRecorder } from '../lab/recorder.ts'

let engine: Recorder

beforeAll(async () => {
  engine = await startRecorder()
})
afterAll(() => engine?.stop())

function named(name: string): Hostile {
  const found = hostile.find((request) => request.name === name)
  if (!found) throw new Error(`no hostile request is called ${name}`)
  return found
}

/** A rule, and the hostile request that is to notice when it is gone. */
const rules: [string, RegExp, string][] = [
  ['HTTP/1.1 only', /req\.ver 1\.1/, 'HTTP/2.0 text'],
  ['origin-form targets only', /url -m beg/, 'absolute-form same'],
  ['targets are bounded', /url_len gt/, 'URI 8000'],
  ['methods are bounded', /txn\.letters\) -m int/, 'method of 25 letters'],
  ['no WebSocket', /deny status 426/, 'websocket upgrade'],
  ['no compressed bodies', /deny status 415/, 'Content-Encoding zstd'],
  ['own names only', /deny status 421/, 'Host foreign'],
  ['no foreign web page', /req\.fhdr\(origin\) -m found/, 'Origin of a web page'],
  ['nothing but rows', /!row$/, 'vllm#42064: a route that the guard forgot'],
  ['bodies are bounded', /over \d+ KB/, 'Content-Length one over the limit'],
  ['bodies without a length are waited for', /wait-for-body/, 'chunked GET over 100 KB'],
  ['bodies without a length are bounded', /without Content-Length/, 'chunked POST over 100 KB'],
  ['headers come from a list', /del-header/, 'X-Forwarded-*, Tailscale-User-*'],
  ['Host is rewritten', /set-header host/, 'ok models'],
]

describe('taking a rule away is noticed', () => {
  test.each(rules)('%s', async (_title, pattern, name) => {
    const request = named(name)
    const gateway = await startGateway({ enginePort: engine.port, alter: withoutLine(pattern) })
    try {
      expect(unexpected(request, await attack(gateway, engine, request), gateway)).toBeDefined()
    } finally {
      await gateway.stop()
    }
  })

  test('also when a model’s name may hold two dots, and when a length may wrap around', async () => {
    const alter = (text: string) =>
      text
        .replaceAll('([.]|%2[Ee])?', '([.]|%2[Ee])*')
        .replaceAll('{ req.fhdr(content-length),length gt 11 }', '{ always_false }')
    const gateway = await startGateway({ enginePort: engine.port, alter })
    try {
      for (const request of ['model a..b', 'Content-Length 18446744073709551615'].map(named)) {
        expect(unexpected(request, await attack(gateway, engine, request), gateway), request.name).toBeDefined()
      }
    } finally {
      await gateway.stop()
    }
  })

  test('and the texts of errors that come later', async () => {
    const gateway = await startGateway({ enginePort: engine.port, alter: withoutLine(/http-error status 502/) })
    engine.answer = bytes('nonsense\r\n\r\n')
    try {
      const outcome = await attack(gateway, engine, { ...named('ok chat'), expect: '502 →' })
      expect(unexpected({ ...named('ok chat'), expect: '502 →' }, outcome, gateway)).toContain('text/html')
    } finally {
      await gateway.stop()
    }
  })
})

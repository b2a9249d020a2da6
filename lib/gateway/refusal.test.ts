import { describe, expect, test } from 'vitest'
import { spoken } from '../../test/spoken.ts'
import { errorFile, refusalFiles, refuse, unionBody } from './refusal.ts'

const statuses = [400, 403, 405, 408, 413, 414, 415, 421, 422, 426, 429, 431, 500, 501, 502, 503, 504]

describe('bodies', () => {
  test.each(statuses)('%i has a type that clients know, the same in both places', (status) => {
    const body = JSON.parse(unionBody(status, 'no.', 'req_1'))
    expect(body).toEqual({
      type: 'error',
      error: { type: expect.any(String), message: 'Gateway: no.', param: null, code: body.error.type },
      request_id: 'req_1',
    })
    const words = [
      'invalid_request_error',
      'permission_error',
      'request_too_large',
      'rate_limit_error',
      'overloaded_error',
      'api_error',
    ]
    expect(words).toContain(body.error.type)
    expect(body.error.type === 'api_error').toBe(status >= 500 && status !== 503)
  })
})

describe('a refusal', () => {
  const rule = refuse({ status: 413, message: 'too large.', when: ['{ a }', '{ b }'], headers: { 'retry-after': '5' } })

  test('is one rule under every one of its conditions, with its headers', () => {
    expect(rule).toMatch(/^http-request deny status 413 content-type application\/json hdr retry-after 5 lf-string '/)
    expect(rule).toMatch(/' if { a } or { b }$/)
    expect(refuse({ status: 403, message: 'no.' })).toMatch(/"}'$/)
  })

  test.each([
    ['/api/', { error: 'Gateway: too large.', request_id: 'req_1' }],
    ['/', JSON.parse(unionBody(413, 'too large.', 'req_1'))],
  ])('below %s speaks as its clients expect', (path, expected) => {
    expect(JSON.parse(spoken(rule, refusalFiles(), path))).toEqual(expected)
  })
})

test.each(statuses)('the whole answer for %i has the length that it says, one line of JSON, and closes', (status) => {
  const [head = '', body = ''] = errorFile(status, 'Reason', 'no.').split('\r\n\r\n')
  expect(head.split('\r\n')[0]).toBe(`HTTP/1.1 ${status} Reason`)
  expect(head).toContain(`Content-Length: ${Buffer.byteLength(body)}`)
  expect(head).toContain('Connection: close')
  expect(body.trimEnd()).not.toContain('\n')
  expect(JSON.parse(body).error.message).toBe('Gateway: no.')
})

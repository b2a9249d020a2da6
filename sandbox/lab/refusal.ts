import { expect } from 'vitest'
import type { Exchange } from './raw.ts'

/** The one line of a refusal, after its family's shape was checked. */
export function refusal(answer: Exchange, family: 'v1' | 'api'): string {
  expect(answer.headers['content-type']).toBe('application/json')
  expect(answer.body.trimEnd()).not.toContain('\n')
  const parsed = JSON.parse(answer.body)
  if (family === 'api') {
    expect(Object.keys(parsed)).toEqual(['error', 'request_id'])
    return parsed.error
  }
  expect(parsed).toMatchObject({
    type: 'error',
    error: { type: expect.any(String), param: null, message: expect.any(String) },
  })
  expect(parsed.error.code).toBe(parsed.error.type)
  expect(parsed.request_id).toMatch(/^req_/)
  return parsed.error.message
}

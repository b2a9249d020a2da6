import { describe, expect, test } from 'vitest'
import { gateway, templates } from '../../test/gateway.ts'
import { type Group, groups, openable } from '../site/endpoints.ts'
import { render } from './config.ts'

const everything = (Object.keys(groups) as Group[]).filter(openable)

describe('what HAProxy reads', () => {
  /** HAProxy's words: between blanks that are neither escaped nor in quotes. */
  const wordsOf = (line: string): string[] => line.trim().match(/(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\s\\'"])+/g) ?? []
  const limits = '{ per_minute: 1, burst: 1, concurrent: 1, waiting: 1 }'
  const shared = '{ per_minute: 1, burst: 1, concurrent: 1 }'
  const full = [
    `groups: [${everything.filter((name) => name !== 'metrics').join()}]`,
    `keyless: [${everything.filter((name) => name !== 'metrics').join()}]`,
    `limits: { per_minute: 1, burst: 1, concurrent: 1, waiting: 1, per_day: 1h, per_second: 1MB, all: ${shared}, groups: { openai: ${shared}, native: ${shared} } }`,
    `hosts: [${Array.from({ length: 200 }, (_, at) => `h${at}.example.net`).join()}]`,
    `origins: [${Array.from({ length: 200 }, (_, at) => `'https://h${at}.example.net'`).join()}]`,
    `people: { ${Array.from({ length: 200 }, (_, at) => `a${at}@example.net: ${limits}`).join()} }`,
    'timeouts: { first_byte: 5m, silence: 5m, whole: 30m }',
  ].join('\n')
  const variants = ['tailnet', 'keys', 'either'].flatMap((access) =>
    ['on', 'off'].flatMap((observer) =>
      ['', full].flatMap((more) =>
        ['off', 'errors', 'requests'].map(
          (level) => `access: ${access}\nobserver: ${observer}\nlog: ${level}\n${more}`,
        ),
      ),
    ),
  )

  test.each([true, false])(
    'has no line of over 64 words, and no line of a map of over 16,383 bytes (lists: %s)',
    (listed) => {
      const speeds = Array.from({ length: 16 }, (_, at) => at + 1)
      for (const yaml of variants) {
        const { text, files } = render({ ...gateway(yaml), listed, speeds }, templates)
        for (const line of text.split('\n')) expect(wordsOf(line).length, line).toBeLessThanOrEqual(64)
        for (const line of Object.values(files).join('\n').split('\n'))
          expect(Buffer.byteLength(`${line}\n`), line.slice(0, 200)).toBeLessThanOrEqual(16_383)
      }
    },
  )

  test('is counted in words as HAProxy does', () => {
    expect(wordsOf("acl a path /b\\ c 'd e' \"f \\\" g\" h'i j'k")).toEqual([
      ...['acl', 'a', 'path', '/b\\ c', "'d e'", '"f \\" g"', "h'i j'k"],
    ])
  })
})

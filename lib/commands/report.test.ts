import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { places } from '../platform/mac/places.ts'
import { csv, firstDay, table, type Usage, usageSince } from './report.ts'

const usage = (who: string, model: string, seconds: number, more: Partial<Usage> = {}): Usage => ({
  ...{ who, model, requests: 2, refused: 1, seconds, bytes: 1_500_000 },
  ...more,
})

/** One day as the observer keeps it. */
const day = (...rows: Usage[]): string =>
  JSON.stringify({ who: Object.fromEntries(rows.map(({ who, model, ...share }) => [who, { [model]: share }])) })

describe('the report of who used how much', () => {
  const folder = places('/Users/ada').usage
  const host = memoryHost({
    files: new Map([
      [`${folder}/2026-11-13.json`, day(usage('bob', 'qwen3:8b', 9))],
      [`${folder}/2026-11-20.json`, day(usage('bob', 'qwen3:8b', 10), usage('carol', 'tiny', 3725))],
      [`${folder}/2026-11-21.json`, day(usage('bob', 'qwen3:8b', 20))],
      [`${folder}/2026-11-22.json`, '{"who":'],
      [`${folder}/notes.txt`, 'no day'],
    ]),
  })

  it('adds the days up by person and model, leaves out older ones and what cannot be read', async () => {
    expect(await usageSince(host, '2026-11-14')).toEqual([
      usage('carol', 'tiny', 3725),
      usage('bob', 'qwen3:8b', 30, { requests: 4, refused: 2, bytes: 3_000_000 }),
    ])
  })

  it('is a table for people', async () => {
    const text = table(await usageSince(host, '2026-11-14'), '2026-11-14')
    expect(text.split('\n')[2]).toMatch(/^carol {2}tiny {6} +2 +1 +1 h 02 min +1\.5 MB$/)
    expect(table([], '2026-11-14')).toContain('Nothing was asked since 2026-11-14')
  })

  it('is CSV that no name can break or turn into a formula', () => {
    expect(csv([usage('=1+1', 'a"b', 1.26)])).toBe(
      'who,model,requests,refused,seconds,bytes\r\n"\'=1+1","a""b",2,1,1.3,1500000\r\n',
    )
  })

  it('begins on the day that is asked for', () => {
    const now = new Date(2026, 10, 21, 0, 30)
    expect([firstDay('1d', now), firstDay('7d', now), firstDay('1w', now), firstDay('2026-01-05', now)]).toEqual([
      '2026-11-21',
      '2026-11-15',
      '2026-11-15',
      '2026-01-05',
    ])
    expect(() => firstDay('0d', now)).toThrow('--since "0d" is no time')
    expect(() => firstDay('yesterday', now)).toThrow('--since "yesterday" is no time; write 7d, 4w or 2026-11-01.')
  })
})

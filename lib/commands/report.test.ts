import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { places } from '../platform/mac/places.ts'
import { csv, firstDay, sums, text, type Usage, usageSince } from './report.ts'

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
    expect(sums([...(await usageSince(host, '2026-11-14')).values()].flat())).toEqual([
      usage('carol', 'tiny', 3725),
      usage('bob', 'qwen3:8b', 30, { requests: 4, refused: 2, bytes: 3_000_000 }),
    ])
  })

  const since = async (first: string, width = 80) =>
    text(await usageSince(host, first), first, width, new Date(2026, 10, 22, 9))

  it('is bars by day and model, and a table, for people', async () => {
    expect((await since('2026-11-19')).split('\n')).toEqual([
      'Since 2026-11-19:',
      '  2026-11-19                                                          -',
      `  2026-11-20  ${'█'.repeat(54)}  1 h 02 min`,
      '  2026-11-21  ▒                                                       20.0 s',
      '  2026-11-22                                                          -',
      '  █ tiny  ▒ qwen3:8b',
      '',
      'who    model     requests  refused  generating    sent',
      'carol  tiny             2        1  1 h 02 min  1.5 MB',
      'bob    qwen3:8b         4        2      30.0 s  3.0 MB',
    ])
    expect(await since('2026-11-23')).toContain('Nothing was asked since 2026-11-23')
  })

  it.each([60, 80])('stays within %i columns, whoever asked for whatever, for how long', async (width) => {
    const many = ['a', 'b', 'c', 'd', 'e', 'f'].map((model, at) => usage('bob', model, 3600 * (at + 1)))
    const said = text(new Map([['2026-11-21', many]]), '2026-01-01', width, new Date(2026, 10, 22, 9)).split('\n')
    expect(said.filter((line) => line.length > width)).toEqual([])
    expect(said.filter((line) => /^ {2}2026-/.test(line))).toHaveLength(31)
    expect(said).toContain('  █ f  ▒ e  ░ d  · other models')
    const bar = said.find((line) => line.includes('2026-11-21')) ?? ''
    const letters = ['█', '▒', '░', '·'].map((letter) => bar.split(letter).length - 1)
    expect(letters.map((count) => Math.round((21 * count) / letters.reduce((sum, one) => sum + one)))).toEqual([
      6, 5, 4, 6,
    ])
  })

  it('has no bars where nothing was generated', () => {
    expect(text(new Map([['2026-11-21', [usage('bob', '', 0)]]]), '2026-11-20', 80).split('\n')).toHaveLength(3)
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

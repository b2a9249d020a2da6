import { expect, test } from 'vitest'
import { parseSettings } from '../../site/settings.ts'
import { blended } from './timeouts.ts'

const told = (yaml: string, keys = {}) => blended(parseSettings(yaml, 'settings.yaml'), { keys })

test('where both times are limited otherwise, an older HAProxy holds to the larger, and where silence alone is, to none', () => {
  expect(told('')).toEqual([])
  expect(told('timeouts: { first_byte: 60s, silence: 60s }')).toEqual([])
  expect(told('timeouts: { first_byte: 5m, silence: 60s }')).toEqual(['300 s for timeouts in settings.yaml'])
  expect(told('timeouts: { first_byte: 10s }')).toEqual(['10 s for timeouts in settings.yaml'])
  expect(told('timeouts: { silence: 60s, groups: { anthropic: { first_byte: 60s } } }')).toEqual([
    '2100 s for timeouts in settings.yaml',
  ])
})

test('a key with times of its own is told of by its name, with what its groups add', () => {
  const yaml = 'access: keys\ntimeouts: { silence: 60s, first_byte: 60s }'
  const keys = { plain: {}, hasty: { firstByte: 10 }, both: { firstByte: 20, silence: 20 }, late: { silence: 90 } }
  expect(told(yaml, keys)).toEqual(['60 s for the key hasty', '90 s for the key late'])
})

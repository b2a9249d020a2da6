import { expect, it } from 'vitest'
import { broadcasts } from './wake.ts'

const card = (address: string, netmask: string, more = {}) => ({
  ...{ address, netmask, family: 'IPv4' as const, internal: false },
  ...more,
})

it('a sleeping machine is called on each network of this one, and on none but those', () => {
  const cards = {
    lo0: [card('127.0.0.1', '255.0.0.0', { internal: true })],
    en0: [card('192.168.78.1', '255.255.255.0'), { ...card('fe80::1', 'ffff:ffff::'), family: 'IPv6' as const }],
    en1: [card('10.1.130.7', '255.255.192.0'), card('10.1.130.8', '255.255.192.0')],
    utun4: [card('100.64.0.1', '255.255.255.255')],
  }
  expect(broadcasts(cards)).toEqual(['192.168.78.255', '10.1.191.255'])
  expect(broadcasts({ utun4: cards.utun4 })).toEqual([])
})

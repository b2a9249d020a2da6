import { expect, test } from 'vitest'
import { parseSettings } from './settings.ts'
import { isVip, listensOnVip, ownAddress } from './vip.ts'

const vip = (more: string): string =>
  `vip: { address: '192.168.7.100', interface: eth0, peer: '192.168.7.3', priority: 150, ${more} }`
const parse = (text: string) => parseSettings(text, 'settings.yaml')

test('an address of a pair has a router of its own number unless it is told', () => {
  expect(parse(vip('')).vip).toMatchObject({ router_id: 51, priority: 150, peers_port: 11438, at_once: 'half' })
  expect(parse('').vip).toBeUndefined()
})

test.each([
  ["address: '100.64.0.9'", 'vip.address: an address of a LAN: on a tailnet each machine has its own'],
  ["address: '0.0.0.0'", 'vip.address: an address in quotes'],
  ["address: '127.0.0.1'", 'vip.address: an address of a LAN: 127.0.0.1 is every machine’s own'],
  ["peer: 'fd00::3'", 'vip.peer: IPv4, as the address is'],
  ["peer: '192.168.7.100'", 'vip.peer: the other gateway’s own address'],
  ['interface: "eth0; reboot"', 'vip.interface: a network card such as eth0'],
  ['router_id: 0', 'vip.router_id: a number from 1 to 255'],
  ['peers_port: 11434', 'vip.peers_port: another port than those of listeners'],
  ['peers_port: 0', 'vip.peers_port: a number from 1 to 65535'],
  ['at_once: 2', 'vip.at_once: half (both gateways are asked at the same time) or whole'],
  ['priority: 255', 'vip.priority: a number from 1 to 254'],
])('%s is refused with what is right', (wrong, says) => {
  const [name = ''] = wrong.split(':')
  const text = vip('').replace(new RegExp(`${name}: [^,}]+`), wrong)
  expect(() => parse(text.includes(wrong) ? text : vip(wrong))).toThrow(says)
})

test('the other gateway’s address is no listener’s of this one', () => {
  const inside = "listeners: { inside: { addresses: ['192.168.7.3'], from: [192.168.7.9] } }\n"
  expect(() => parse(inside + vip(''))).toThrow('vip.peer: an address of the other gateway; a listener of this one')
})

test('it is known in any spelling', () => {
  const settings = parse(
    "vip: { address: 'fd00:0:0::1', interface: eth0, peer: 'fd00::2', priority: 1 }\nlisteners: { inside: { addresses: ['FD00::1'], from: ['fd00::9'] } }",
  )
  expect([isVip(settings, 'fd00::1'), isVip(settings, 'fd00::2'), listensOnVip(settings)]).toEqual([true, false, true])
  expect(isVip({}, 'fd00::1')).toBe(false)
  // The system says its addresses so, and is compared with them.
  expect([settings.vip?.address, settings.listeners.inside?.addresses]).toEqual(['fd00::1', ['fd00::1']])
})

test('it is not taken for this machine’s own address, however it is written, and neither is one of the link alone', () => {
  const { vip } = parse(
    "vip: { address: 'FD00:0:0::100', interface: eth0, peer: 'fd00::2', priority: 1 }\nlisteners: { inside: { addresses: ['fd00::100'], from: ['fd00::9'] } }",
  )
  const on = (address: string) => ({ family: 6 as const, address, device: 'eth0', bits: 64 })
  const addresses = ['febf::1', 'fe80::1', 'fd00::100', 'fd00::3'].map(on)
  expect(vip && ownAddress({ addresses }, vip)?.address).toBe('fd00::3')
})

import { describe, expect, test } from 'vitest'
import { gateway, templates } from '../../test/gateway.ts'
import { render } from './config.ts'
import { firewallRules } from './firewall.ts'

const vip = "vip: { address: '192.168.7.100', interface: eth0, peer: '192.168.7.3', priority: 150 }\n"
const vip6 = "vip: { address: 'fd00::100', interface: eth0, peer: 'FD00:0::3', priority: 150, peers_port: 9999 }\n"
const made = (yaml: string, own?: string) => ({ ...gateway(yaml), ...(own && { own }) })
const text = (yaml: string, own?: string) => render(made(yaml, own), templates).text
const section = (whole: string) => /^peers state\n((?: {4}.*\n)*)/m.exec(whole)?.[1]?.trim().split('\n    ')

describe('two gateways that have one address in turn', () => {
  const file = '/Users/ada/.haproxy/certs/two_gateways.pem'
  const mutual = `ssl crt ${file} ca-file ${file} verify required ssl-min-ver TLSv1.3`

  test('tell each other what they count, each at its own address, and let in nobody without their certificate', () => {
    const whole = text(vip, '192.168.7.2')
    expect(section(whole)).toEqual([
      `bind 192.168.7.2:11438 ${mutual} no-tls-tickets transparent`,
      `default-server ${mutual}`,
      'server gateway-192.168.7.2',
      'server gateway-192.168.7.3 192.168.7.3:11438 source 192.168.7.2',
    ])
    expect(whole).toContain('    localpeer gateway-192.168.7.2\n')
  })

  test('call each other the same, however their addresses are spelled', () => {
    expect(section(text(vip6, 'fd00::2'))).toEqual([
      `bind [fd00::2]:9999 v6only ${mutual} no-tls-tickets transparent`,
      `default-server ${mutual}`,
      'server gateway-fd00::2',
      'server gateway-fd00::3 [fd00::3]:9999 source [fd00::2]',
    ])
  })

  test.each(['access: keys\n', 'access: keys\nlimits: { all: { per_minute: 9 } }\n'])(
    'share rates and bans, and nothing that is of one connection: %j',
    (more) => {
      const shared = (whole: string) =>
        [...whole.matchAll(/^backend ([a-z]+)\n {4}stick-table .*? peers state$/gm)].map(([, name]) => name)
      expect(shared(text(vip + more, '192.168.7.2'))).toEqual(shared(text(more)))
      expect(shared(text(vip + more, '192.168.7.2'))).toContain('strangers')
    },
  )

  test('are hidden from everybody else by the firewall', () => {
    const rule = 'ip daddr 192.168.7.2 tcp dport 11438 ip saddr != { 192.168.7.3 } drop # peers'
    expect(firewallRules(made(vip, '192.168.7.2'))).toContain(`    ${rule}\n`)
    expect(firewallRules(made('', '192.168.7.2'))).not.toContain('# peers')
  })
})

describe('what runs at once', () => {
  const more = 'access: keys\nlimits: { all: { concurrent: 4 } }\n'
  /** Lines that HAProxy of 3.2 and newer reads, and those that older ones do. */
  const read = (whole: string, newer: boolean) => {
    const block = /^\.if version_atleast\(3\.2\)\n([\s\S]*?)(?:^\.else\n([\s\S]*?))?^\.endif\n/gm
    return whole.replace(block, (_all, then: string, otherwise = '') => (newer ? then : otherwise))
  }
  const halves = (whole: string) =>
    [...whole.matchAll(/set-var\((\S+)\) var\(\1\),add\(1\),div\(2\)/g)].map(([, name]) => name)
  const tables = (whole: string) =>
    [...whole.matchAll(/^backend (\S+:\S+)\n.*? (peers state|recv-only peers state)$/gm)].map(
      ([, name, how]) => `${name} ${how}`,
    )

  test('is added up where each can learn what runs at the other, in a table that only that one writes', () => {
    const whole = read(text(vip + more, '192.168.7.2'), true)
    expect(halves(whole)).toEqual([])
    expect(tables(whole)).toEqual(
      ['people-at-once', 'together-at-once', 'alive'].flatMap((name) => [
        `${name}:192.168.7.2 peers state`,
        `${name}:192.168.7.3 recv-only peers state`,
      ]),
    )
    expect(whole).toContain('table_conn_cur(people),add(txn.there),sub(txn.most)')
    expect(whole).toContain('table_conn_cur(together),add(txn.there_all),sub(txn.most_all)')
    expect(tables(read(text(vip6 + more, 'fd00::2'), true))).toContain('alive:fd00::3 recv-only peers state')
  })

  test('is halved where they cannot, but not where clients come by the address that one alone has', () => {
    const whole = read(text(vip + more, '192.168.7.2'), false)
    expect(halves(whole)).toEqual(['txn.most', 'txn.waiting', 'txn.most_all'])
    expect(tables(whole)).toEqual([])
    expect(halves(text(vip.replace('150', '150, at_once: whole') + more, '192.168.7.2'))).toEqual([])
    expect(halves(text(more))).toEqual([])
  })

  test('fills half of the slots of a node at each, rounded up, and all of its own engine’s', () => {
    const nodes = 'nodes: { gpu: { address: 192.168.7.20, slots: 5 } }\n'
    const slots = (yaml: string) =>
      [...text(yaml, '192.168.7.2').matchAll(/id [12] weight 0 maxconn (\d+)/g)].map(([, most]) => most)
    expect([slots(nodes), slots(nodes + vip), slots(nodes + vip.replace('150', '150, at_once: whole'))]).toEqual([
      ['4', '5'],
      ['4', '3'],
      ['4', '5'],
    ])
  })
})

test('one gateway alone speaks to nobody but its own next worker', () => {
  expect(section(text(''))).toEqual(['peer gateway 127.0.0.1:11436'])
  // Where its card has no address yet, it cannot speak to the other.
  expect(section(text(vip))).toEqual(['peer gateway 127.0.0.1:11436'])
})

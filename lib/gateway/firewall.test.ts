import { expect, test } from 'vitest'
import { gateway, tailnet } from '../../test/gateway.ts'
import { parseSettings } from '../site/settings.ts'
import { firewallRules } from './firewall.ts'
import { listenersOf } from './listeners.ts'

const rules = (yaml = '') => {
  const text = firewallRules(gateway(yaml, listenersOf(parseSettings(yaml, 'settings.yaml'), tailnet)))
  return text
    .split('\n')
    .filter((line) => / (drop|accept)( #.*)?$/.test(line))
    .map((line) => line.trim())
}
const tls = 'tls: { ai.example.net: own-ca }'

test('drops who begins a connection from elsewhere than a listener says, and what is for this machine alone', () => {
  expect(rules()).toEqual([
    'iif "lo" accept',
    'ip daddr . tcp dport { 100.64.0.7 . 11434 } ip saddr @banned4 drop',
    'ip6 daddr . tcp dport { fd7a:115c:a1e0::7 . 11434 } ip6 saddr @banned6 drop',
    'tcp flags & (fin | syn | rst | ack) != syn accept',
    'ip daddr 100.64.0.7 tcp dport 11434 ip saddr != { 100.64.0.0/10 } drop # tailnet',
    'ip6 daddr fd7a:115c:a1e0::7 tcp dport 11434 ip6 saddr != { fd7a:115c:a1e0::/48 } drop # tailnet',
    'meta nfproto ipv4 tcp dport 11434 ip daddr != { 100.64.0.7 } drop',
    'meta nfproto ipv6 tcp dport 11434 ip6 daddr != { fd7a:115c:a1e0::7 } drop',
    ...[11436, 9411, 11437].flatMap((port) =>
      ['ipv4', 'ipv6'].map((family) => `meta nfproto ${family} tcp dport ${port} drop`),
    ),
  ])
})

test('a LAN has its networks by family, and the relays that are named', () => {
  const from = 'sources: [10.0.0.0/8], proxy_protocol: { from: [192.168.7.2] }'
  const found = rules(`${tls}\nlisteners: { lan: { addresses: [192.168.7.1, "fd00::1"], port: 12000, ${from} } }`)
  expect(found.filter((rule) => rule.endsWith('# lan'))).toEqual([
    'ip daddr 192.168.7.1 tcp dport 12000 ip saddr != { 10.0.0.0/8, 192.168.7.2 } drop # lan',
    'ip6 daddr fd00::1 tcp dport 12000 drop # lan',
  ])
})

test('everybody may come to what is public, but for who is banned', () => {
  const found = rules('tls: { ai.example.net: acme }\nlisteners: { public: { addresses: [203.0.113.7], port: 443 } }')
  expect(found.filter((rule) => rule.endsWith('# public'))).toEqual([])
  expect(found[1]).toBe(
    'ip daddr . tcp dport { 100.64.0.7 . 11434, 203.0.113.7 . 443, 203.0.113.7 . 80 } ip saddr @banned4 drop',
  )
  expect(found.join()).not.toMatch(/dport (80|443) /)
})

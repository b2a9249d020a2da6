import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { gateway, tailnet } from '../../test/gateway.ts'
import { parseSettings } from '../site/settings.ts'
import { borderRules } from './border.ts'
import { listenersOf } from './listeners.ts'

const rules = (listeners: string, more = 'tls: { ai.example.net: own-ca }') => {
  const yaml = `${more}\nlisteners: ${listeners}`
  return borderRules(gateway(yaml, listenersOf(parseSettings(yaml, 'settings.yaml'), tailnet)))
}
const forwards = (text: string | undefined) => text?.match(/fib .*$/gm)
const open = '{ public: { addresses: ["fd00::7", 10.50.0.100, 10.50.0.101] } }'

test('a border forwards the ports of what is open in public to everybody, and that of a LAN to its networks', () => {
  const lan = 'lan: { addresses: [10.50.0.100], port: 12000, sources: [10.60.0.0/24, "fd00::/64", 10.61.0.7] }'
  const text = rules(`{ ${lan}, public: { addresses: [10.50.0.100] } }`)
  expect(forwards(text)).toEqual([
    'fib daddr type local ip saddr { 10.60.0.0/24, 10.61.0.7 } tcp dport 12000 dnat ip to 10.50.0.100 # lan',
    'fib daddr type local tcp dport 11434 dnat ip to 10.50.0.100 # public',
  ])
  expect(text?.match(/.* masquerade$/gm)).toEqual([
    '    ct status dnat ip saddr 10.50.0.0/24 ip daddr 10.50.0.100 masquerade',
  ])
})

test('each port goes to one address, and port 80 where an authority asks there', () => {
  expect(forwards(rules(open, 'tls: { ai.example.net: acme }'))).toEqual([
    'fib daddr type local tcp dport 11434 dnat ip to 10.50.0.100 # public',
    'fib daddr type local tcp dport 80 dnat ip to 10.50.0.100 # public',
  ])
  expect(forwards(rules(open, 'tls: { ai.example.net: acme }\nacme: { dns: exec }'))).toHaveLength(1)
})

test('nothing is forwarded to the tailnet, to machines inside, to IPv6, or for a LAN that has IPv6 alone', () => {
  expect(rules('{ inside: { addresses: [10.50.0.100], from: [10.50.0.7] } }')).toBeUndefined()
  expect(rules('{ tailnet: { tls_port: 11443 }, public: { addresses: ["fd00::7"] } }')).toBeUndefined()
  expect(rules('{ lan: { addresses: [10.50.0.100], sources: ["fd00::/64"] } }')).toBeUndefined()
})

test('what a relay connects to by the PROXY protocol is not forwarded beside it', () => {
  expect(rules('{ public: { addresses: [10.50.0.100], proxy_protocol: { from: [10.50.0.1] } } }')).toBeUndefined()
})

test('the rules in the documentation are those that are printed', () => {
  const text = rules(
    '{ public: { addresses: [10.50.0.100] }, lan: { addresses: [10.50.0.100], port: 12000, sources: [10.60.0.0/24] } }',
  )
  const page = readFileSync(new URL('../../docs/listeners.md', import.meta.url), 'utf8')
  expect(page).toContain(`\n\`\`\`\n${text}\`\`\`\n`)
})

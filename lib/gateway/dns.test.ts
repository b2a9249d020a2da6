import { expect, test } from 'vitest'
import { gateway, tailnet } from '../../test/gateway.ts'
import { parseSettings } from '../site/settings.ts'
import { dnsNames, type Form, placesOf, recordLines } from './dns.ts'
import { listenersOf } from './listeners.ts'

const lan = 'lan: { addresses: [10.50.0.100, "fd00::7"], sources: [10.50.0.0/24] }'
const open = 'public: { addresses: [10.50.0.101] }'
const made = (yaml: string) => {
  const settings = parseSettings(yaml, 'settings.yaml')
  return { ...gateway(yaml, listenersOf(settings, tailnet)), hosts: settings.hosts }
}
const whole = made(`tls: { ai.example.net: own-ca, '*.example.net': own-ca }
hosts: [Chat.Example.net, 'ai.example.net:8080', 10.1.2.3, studio.tail1234.ts.net, studio]
nodes: { gpu: { address: 10.50.0.20, port: 8000, engine: vllm } }
listeners: { ${lan}, ${open} }`)

test('every name is written down once: the first as itself, the others as its aliases', () => {
  expect(dnsNames(whole)).toEqual([
    { name: 'ai.example.net' },
    { name: 'chat.example.net', alias: 'ai.example.net' },
    { name: 'here-api.example.net', alias: 'ai.example.net' },
    { name: 'gpu-api.example.net', alias: 'ai.example.net' },
  ])
})

test('a name that may be a zone of its own is no alias', () => {
  const names = dnsNames(
    made('tls: { ai.example.net: own-ca, example.org: own-ca }\nlisteners: { tailnet: { tls_port: 11443 } }'),
  )
  expect(names[1]).toEqual({ name: 'example.org' })
})

test('neighbours find the gateway on the LAN, the internet where it is open or where its border is', () => {
  expect(placesOf(whole, [])).toEqual({ inside: ['10.50.0.100', 'fd00::7'], outside: ['10.50.0.101'] })
  expect(placesOf(whole, ['203.0.113.1']).outside).toEqual(['203.0.113.1'])
  expect(placesOf(made('hosts: [ai.example.net]'), [])).toEqual({ inside: tailnet.addresses, outside: [] })
})

test.each<[Form, string[]]>([
  [
    'zone',
    [
      'ai.example.net. 300 IN A 10.50.0.100',
      'ai.example.net. 300 IN AAAA fd00::7',
      'chat.example.net. 300 IN CNAME ai.example.net.',
      'here-api.example.net. 300 IN CNAME ai.example.net.',
      'gpu-api.example.net. 300 IN CNAME ai.example.net.',
    ],
  ],
  [
    'hosts',
    [
      '10.50.0.100 ai.example.net chat.example.net here-api.example.net gpu-api.example.net',
      'fd00::7 ai.example.net chat.example.net here-api.example.net gpu-api.example.net',
    ],
  ],
  [
    'dnsmasq',
    [
      'host-record=ai.example.net,10.50.0.100,fd00::7',
      'cname=chat.example.net,ai.example.net',
      'cname=here-api.example.net,ai.example.net',
      'cname=gpu-api.example.net,ai.example.net',
    ],
  ],
])('as %s they are written in its words', (form, lines) => {
  expect(recordLines(form, dnsNames(whole), placesOf(whole, []).inside)).toEqual(lines)
})

test('where there is no address there is no record', () => {
  expect(recordLines('zone', dnsNames(whole), [])).toEqual([])
})

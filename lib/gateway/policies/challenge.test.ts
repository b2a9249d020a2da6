import { expect, it } from 'vitest'
import { parseSettings } from '../../site/settings.ts'
import type { Gateway } from '../policy.ts'
import { challenge } from './challenge.ts'

const sections = (settings: object) =>
  challenge({ settings: parseSettings(JSON.stringify(settings), 'settings.yaml') } as Gateway).sections?.join('\n') ??
  ''

const open = { listeners: { public: { addresses: ['203.0.113.7', '2001:db8::7'], port: 443 } } }
const tls = { 'ai.example.net': 'acme' }

it('port 80 is listened on only where an authority is to be answered by HTTP, and only on the public addresses', () => {
  const text = sections({ ...open, tls, acme: { port: 12437 } })
  expect(text.match(/^ {4}bind .*$/gm)).toEqual(['    bind 203.0.113.7:80', '    bind [2001:db8::7]:80'])
  expect(text).toContain('server client 127.0.0.1:12437')
  expect(text).toContain('silent-drop unless { method GET } { path_beg /.well-known/acme-challenge/ }')
  // HAProxy 3.3 and newer take no name twice.
  expect(text.match(/^(frontend|backend) .*$/gm)).toEqual(['frontend challenge', 'backend lego'])
  expect(sections({ ...open, tls, acme: { dns: 'route53' } })).toBe('')
  expect(sections({ ...open, tls: { 'ai.example.net': 'own-ca' } })).toBe('')
  expect(sections({ tls })).toBe('')
  expect(text).not.toContain('expect-proxy')
  const relayed = { public: { ...open.listeners.public, proxy_protocol: { from: ['10.0.0.1'] } } }
  expect(sections({ listeners: relayed, tls })).toMatch(
    /^ {4}tcp-request connection expect-proxy layer4 if \{ src -f \{\{files\}\}\/relays-public\.lst \}$/m,
  )
})

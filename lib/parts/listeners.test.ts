import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { machine, setup } from '../../test/sample.ts'
import { parseKind } from '../site/service-kinds.ts'
import { parseSettings } from '../site/settings.ts'
import { listenerChecks } from './listeners.ts'

const known = { page: parseKind(readFileSync('templates/services/page.yaml', 'utf8')) }
const page = (listeners: string[]) => ({
  page: { kind: 'page', name: 'ai.example.net', port: 14443, backend: '127.0.0.1:18080', listeners },
})
const open = {
  listeners: { public: { addresses: ['203.0.113.7'], port: 8443 } },
  tls: { 'ai.example.net': 'own-ca' },
  services: page(['tailnet']),
}

it.each([
  ['the only name is that of a service that is not there', open, /203\.0\.113\.7, port 8443: ai\.example\.net is/],
  ['the service is there, too', { ...open, services: page(['tailnet', 'public']) }, undefined],
  ['the gateway has a name of its own', { ...open, tls: { ...open.tls, 'b.example.net': 'own-ca' } }, undefined],
  ['the name is the gateway’s as well', { ...open, hosts: ['ai.example.net'] }, undefined],
  ['an authority asks there for the proof of the name', { ...open, tls: { 'ai.example.net': 'acme' } }, undefined],
  ['there is no public listener', { ...open, listeners: { tailnet: { tls_port: 11443 } } }, undefined],
])('a public listener at which nobody can be served is said: %s', async (_, settings, words) => {
  const all = { ...setup, kinds: known, settings: parseSettings(JSON.stringify(settings), 'settings.yaml', known) }
  const found = listenerChecks(machine, all).find(({ id }) => id === 'listeners.public-names')
  expect(await found?.check(memoryHost())).toEqual(
    words ? { is: 'advice', saw: expect.stringMatching(words), remedy: expect.any(String) } : undefined,
  )
})

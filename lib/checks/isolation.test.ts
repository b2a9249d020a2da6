import { expect, test } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { setup as full } from '../../test/sample.ts'
import type { RawAnswer } from '../host/host.ts'
import type { Machine } from '../site/machine.ts'
import type { Kind } from '../site/service-kinds.ts'
import { parseSettings } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { isolation } from './isolation.ts'

const tailscale = { ipv4: '100.64.0.1', name: 'studio.tail0lab.ts.net' }
const machine = {
  home: '/Users/ada',
  system: 'mac',
  tailscale,
  addresses: [],
  packager: { prefix: '/opt' },
} as unknown as Machine
const setup = { mode: 'proxy', settings: parseSettings('groups: [openai, probe]', 'settings.yaml') } as Setup

test.each([
  [200, 'ok'],
  [401, 'ok'],
  [403, 'ok'],
  [421, 'missed'],
  [400, 'missed'],
  [0, 'missed'],
])(
  'the MagicDNS name is known to a gateway that answers its row with %d: %s, whether the row is open or not',
  async (status, is) => {
    const check = isolation(machine, setup).find(({ id }) => id === 'haproxy.magic-name')
    const answer: RawAnswer = { end: 'complete', status, headers: {}, body: '', pieces: [], ms: 1 }
    expect(await check?.check({ ...memoryHost(), probe: async () => answer })).toMatchObject({ is })
  },
)

test('a port that a listener and a service have at two addresses is where it should be at both', async () => {
  const settings = parseSettings(
    `
tls: { ai.example.net: own-ca }
listeners: { lan: { addresses: [192.168.78.1], sources: [192.168.78.0/24], port: 14443 } }
services: { page: { kind: page, name: ai.example.net, port: 14443, backend: '127.0.0.1:8080' } }
`,
    'settings.yaml',
  )
  const page = { is: 'page' } as Kind
  const check = isolation(machine, { ...full, settings, kinds: { page } }).find(({ id }) => id === 'haproxy.listens')
  const at = (...places: string[]) => ['p7', 'chaproxy', ...places.map((place) => `f3\nn${place}`)].join('\n')
  const seen = async (...places: string[]) =>
    check?.check(memoryHost({ commands: { lsof: { stdout: `${at('100.64.0.1:11434', ...places)}\n` } } }))
  expect(await seen('192.168.78.1:14443', '100.64.0.1:14443')).toMatchObject({ is: 'ok' })
  expect(await seen('192.168.78.1:14443')).toMatchObject({
    is: 'missed',
    saw: expect.stringContaining('100.64.0.1 port 14443'),
  })
})

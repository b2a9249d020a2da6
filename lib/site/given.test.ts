import { expect, test } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { places } from '../platform/here.ts'
import { settingsText, withUpstream } from './given.ts'
import { parseSettings, readSettings } from './settings.ts'

const settings = '# mine\nrole: gateway\naccess: keys\nnodes: { gpu: { address: 10.0.0.9 } }\n'
const upstream = 'server 192.168.1.101:11434; # GPU Server 1\nserver gpu.internal weight=2;\nserver 10.0.0.7 down;\n'

test('servers of an nginx upstream are nodes beside those of the settings, but for those that are down', () => {
  const text = withUpstream(settings, upstream, 'f')
  expect(text).toContain('# mine')
  const found = Object.entries(parseSettings(text, 'f').nodes).map(([name, { address, speed }]) => [
    name,
    address,
    speed,
  ])
  expect(found).toEqual([
    ['gpu', '10.0.0.9', 1],
    ['node-1', '192.168.1.101', 1],
    ['gpu-1', 'gpu.internal', 2],
  ])
})

test('a line that is no server is refused with its number', () => {
  expect(() => withUpstream(settings, 'server a;\nkeepalive 16;\nservr b;\n', 'f')).toThrow(
    'f has lines that are no server:\n  line 2: keepalive is nothing that a node has\n  line 3: servr',
  )
})

test('settings that are no YAML are left for whoever reads them, and an empty file is a gateway without settings', async () => {
  expect(withUpstream('nodes: [', upstream, 'f')).toBe('nodes: [')
  expect(Object.keys(parseSettings(withUpstream('', 'server a;\n', 'f'), 'f').nodes)).toEqual(['a'])
})

test.each(['hosts: [*.example.net]', 'nodes: x', 'access keys', '- a'])(
  'settings that are not understood (%s) are named by whoever reads them',
  (text) => {
    expect(withUpstream(text, upstream, 'f')).toBe(text)
    expect(() => parseSettings(text, 'f')).toThrow('nothing was changed')
  },
)

test('the file counts only where the owner keeps one', async () => {
  const at = places({ home: '/gateway', system: 'container' })
  const files = new Map([
    [at.settings, settings],
    [at.given?.nodes ?? '', upstream],
  ])
  const here = { ...memoryHost({ files }), home: '/gateway', system: 'container' as const }
  expect(Object.keys((await readSettings(here)).nodes)).toEqual(['gpu', 'node-1', 'gpu-1'])
  expect(await settingsText(here, '/other.yaml')).toBeUndefined()
})

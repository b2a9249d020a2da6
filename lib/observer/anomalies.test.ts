import { expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { places } from '../platform/here.ts'
import { parseSettings } from '../site/settings.ts'
import { alarms } from './anomalies.ts'

const gigabyte = 1024 ** 3

it.each([
  ['role: server', 4, 'advice'],
  ['role: server', 6, 'ok'],
  ['role: gateway\nnodes: { gpu: { address: 100.64.0.9 } }', 4, 'ok'],
  ['role: gateway\nnodes: { gpu: { address: 100.64.0.9 } }', 0.5, 'advice'],
])(
  '%s, %d GB free: %s; the disk of our state is looked at, not the home that the observer may not see',
  async (yaml, free, is) => {
    const host = memoryHost({})
    const { state } = places(host)
    host.free = async (folder) => (folder === host.home ? 0 : folder === state ? free * gigabyte : 1e12)
    const disk = (await alarms(host, parseSettings(yaml, 'settings.yaml'))).find(({ id }) => id === 'anomaly.disk')
    const found = await disk?.check(host)
    expect(found).toMatchObject({ is })
    expect(JSON.stringify(found).includes('ollama rm')).toBe(is === 'advice' && yaml === 'role: server')
  },
)

it.each([
  ['role: gateway', 'it has no node yet'],
  ['role: gateway\nnodes: { gpu: { address: 100.64.0.9 } }', 'the gateway does not answer'],
])('%s: nobody is told of an engine that is down before there is one', async (yaml, saw) => {
  const host = memoryHost({})
  const engine = (await alarms(host, parseSettings(yaml, 'settings.yaml'))).find(({ id }) => id === 'anomaly.engine')
  expect(await engine?.check(host)).toMatchObject({ is: 'skipped', why: saw })
})

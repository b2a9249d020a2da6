import { expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { gatewayChecks } from './haproxy-checks.ts'

it.each([
  ['HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/', 'ok'],
  ['HAProxy version 3.2.5-abc 2025/09/20 - https://haproxy.org/', 'advice'],
  ['HA-Proxy', 'skipped'],
])('%s: %s, whatever the version number', async (stdout, is) => {
  const setup = { mode: 'proxy', programs: { haproxy: '/opt/haproxy' } } as Setup
  const check = gatewayChecks({ packager: { prefix: '/opt' } } as Machine, setup).find(
    ({ id }) => id === 'haproxy.recent',
  )
  expect(await check?.check(memoryHost({ commands: { '/opt/haproxy -v': { stdout } } }))).toMatchObject({ is })
})

import { expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import type { Machine } from '../site/machine.ts'
import { parseSettings } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { gatewayChecks } from './haproxy-checks.ts'

const machine = { system: 'mac', packager: { prefix: '/opt' } } as Machine

it.each([
  ['HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/', 'ok'],
  ['HAProxy version 3.2.5-abc 2025/09/20 - https://haproxy.org/', 'advice'],
  ['HA-Proxy', 'skipped'],
])('%s: %s, whatever the version number', async (stdout, is) => {
  const settings = parseSettings('', 'settings.yaml')
  const setup = { mode: 'proxy', settings, programs: { haproxy: '/opt/haproxy' } } as Setup
  const check = gatewayChecks(machine, setup).find(({ id }) => id === 'haproxy.recent')
  expect(await check?.check(memoryHost({ commands: { '/opt/haproxy -v': { stdout } } }))).toMatchObject({ is })
})

it.each([
  ['2.6.12', '', undefined],
  ['2.6.12', 'timeouts: { first_byte: 5m, silence: 60s }', 'advice'],
  ['3.0.11', 'timeouts: { first_byte: 5m, silence: 60s }', 'ok'],
])('HAProxy %s with %j tells two limits of time from each other: %s', async (version, yaml, is) => {
  const settings = parseSettings(yaml, 'settings.yaml')
  const setup = { mode: 'proxy', settings, programs: { haproxy: '/opt/haproxy' } } as Setup
  const check = gatewayChecks(machine, setup).find(({ id }) => id === 'haproxy.times-apart')
  const commands = { '/opt/haproxy -v': { stdout: `HAProxy version ${version} 2026/10/17` } }
  expect((await check?.check(memoryHost({ commands })))?.is).toBe(is)
})

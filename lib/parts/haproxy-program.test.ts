import { expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { account } from './haproxy-program.ts'

const machine = { home: '/root', system: 'linux', packager: { prefix: '/usr' } } as Machine
const setup = { programs: { haproxy: '/usr/sbin/haproxy' } } as Setup
const absent = { code: 2 }

it.each([
  ['user', { 'getent passwd': absent }],
  ['group', { 'getent passwd': { stdout: 'haproxy' }, 'getent group': absent }],
])(
  'a %s that HAProxy is to become and that is not there is told before anything is changed',
  async (kind, commands) => {
    const [check] = account(machine, setup)
    const host = memoryHost({ files: new Map([['/usr/sbin/haproxy', '']]), commands })
    expect(check?.exit).toBe(3)
    expect(await check?.check(host)).toEqual({
      is: 'missed',
      saw: `there is no ${kind} haproxy, though HAProxy is installed`,
      remedy: 'The package makes it: sudo apt-get install --reinstall haproxy',
    })
  },
)

it('where HAProxy is yet to come its package brings them, and on a Mac nobody gives root up', async () => {
  const host = memoryHost({ commands: { getent: absent } })
  expect(await account(machine, setup)[0]?.check(host)).toMatchObject({ is: 'ok' })
  expect(account({ ...machine, system: 'mac' }, setup)).toEqual([])
})

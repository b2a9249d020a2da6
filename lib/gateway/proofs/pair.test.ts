import { describe, expect, it } from 'vitest'
import { gateway } from '../../../test/gateway.ts'
import { memoryHost } from '../../../test/memory-host.ts'
import { ok } from '../../steps/step.ts'
import type { Listener } from '../policy.ts'
import { askedHere } from './pair.ts'

const vip = '192.168.7.100'
const made = gateway(`vip: { address: '${vip}', interface: eth0, peer: '192.168.7.3', priority: 150 }`)
const listener = (addresses: string[]): Listener => ({
  ...{ name: 'inside', addresses, port: 12000, sources: ['192.168.7.0/24'], access: 'keys' },
})
/** Where a listener's check asks on a machine with these addresses, and what it finds. */
async function asked(addresses: string[], own: string[]) {
  const at: string[] = []
  const shown = [{ ifname: 'eth0', addr_info: own.map((local) => ({ family: 'inet', local, prefixlen: 24 })) }]
  const host = memoryHost({ commands: { 'ip -j address': { stdout: JSON.stringify(shown) } } })
  const [check] = askedHere(made, listener(addresses), (one) => [
    { id: 'a', title: 'a', check: async () => ok(`${at.push(...one.addresses)}`) },
  ])
  const found = await check?.check({ ...host, system: 'linux' })
  return [found?.is, at]
}

describe('what is asked of a listener with the address of a pair', () => {
  it('is asked at an address of its own, whoever has the other one', async () => {
    expect(await asked([vip, '192.168.7.2'], ['192.168.7.2'])).toEqual(['ok', ['192.168.7.2']])
    expect(await asked([vip, '192.168.7.2'], ['192.168.7.2', vip])).toEqual(['ok', ['192.168.7.2']])
  })

  it('is asked there where that is all it has and this gateway has it, and else of nobody', async () => {
    expect(await asked([vip], ['192.168.7.2', vip])).toEqual(['ok', [vip]])
    expect(await asked([vip], ['192.168.7.2'])).toEqual(['skipped', []])
  })
})

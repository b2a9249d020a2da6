import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../../test/memory-host.ts'
import { ipv6Text } from '../../haproxy/ipv6.ts'
import { places } from '../../platform/mac/places.ts'
import { ipv6 } from './ipv6.ts'

const at = places('/Users/ada')
const address = 'fd7a:115c:a1e0::7'

/** A gateway that runs without IPv6, on a Mac whose tunnel has that address, with these words behind it; `takes`: a reload binds it; `draining`: new requests are refused. */
function machine({ words = '', shown = address, takes = true, draining = 'no' } = {}) {
  const told: string[] = []
  const host = memoryHost({
    files: new Map([
      [at.config, `    bind 100.64.0.7:11434\n    bind [${address}]:11434 v6only\n`],
      [at.ipv6, ipv6Text('off')],
    ]),
    commands: { ifconfig: { stdout: `utun4: flags=8051<UP> mtu 1280\n\tinet6 ${shown} prefixlen 48 ${words}\n` } },
  })
  let running = 'off'
  host.ask = async (socket, command) =>
    socket === at.adminSocket && command === 'show env GATEWAY_IPV6' ? `GATEWAY_IPV6=${running}\n` : undefined
  host.asking = async (_socket, talk) =>
    talk(async (command) => (command === 'show map' ? '7 (/x/engine.map) pattern' : `0x1 draining ${draining}`))
  host.tell = async (socket, command) => {
    told.push(`${socket.split('/').at(-1)}: ${command}`)
    if (takes && host.files.get(at.ipv6) === ipv6Text('on')) running = 'on'
    return ''
  }
  return { host, told }
}

describe('an IPv6 address that comes late', () => {
  it('is brought in by one reload', async () => {
    const { host, told } = machine()
    await ipv6.run(host)
    await ipv6.run(host)
    expect(told).toEqual(['master.sock: reload'])
    expect(host.files.get(at.ipv6)).toBe(ipv6Text('on'))
  })

  it.each([
    ['is still tentative', { words: 'tentative' }],
    ['another machine has, too', { words: 'duplicated' }],
    ['is on no interface', { shown: 'fe80::1' }],
    ['would come by a reload that lets new requests in before Ollama is restarted', { draining: 'yes' }],
  ])('is left alone while it %s', async (_what, state) => {
    const { host, told } = machine(state)
    await ipv6.run(host)
    expect(told).toEqual([])
  })

  it('and cannot be bound after all is said, and no later reload fails over it', async () => {
    const { host } = machine({ takes: false })
    await expect(ipv6.run(host)).rejects.toThrow('goes on with IPv4 alone')
    expect(host.files.get(at.ipv6)).toBe(ipv6Text('off'))
  })
})

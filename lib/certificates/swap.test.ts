import { beforeEach, describe, expect, it } from 'vitest'
import { issued } from '../../test/certificates.ts'
import { type Memory, memoryHost } from '../../test/memory-host.ts'
import { unlessOff } from '../haproxy/ipv6.ts'
import type { Host } from '../host/host.ts'
import { places } from '../platform/here.ts'
import { judge } from './judge.ts'
import { sameSerial } from './pair.ts'
import { doors, pemFile, shownFor } from './served.ts'
import { swap } from './swap.ts'

const name = 'a.lan'
const made = () => judge(issued([name]).pem, { name, source: 'a test' })
const [old, pair] = [made(), made()]

/** A worker that has the old one, and a door that shows what it is told. */
let host: Host & Memory
let told: string[]
let worker: string
let door: string | undefined
beforeEach(() => {
  told = []
  worker = old.serial
  door = `${old.leaf}`
  host = memoryHost()
  host.files.set(pemFile(host, name), old.text)
  host.files.set(places(host).config, '    bind 192.0.2.1:443 ssl crt-list /x strict-sni\n')
  const answer = async (command: string, payload?: string[]): Promise<string> => {
    if (command === 'show info') return 'Pid: 1\n'
    if (command.startsWith('show ssl cert')) return worker === '' ? 'unknown' : `Filename: x\nSerial: 0${worker}\n`
    if (command.startsWith('show')) return ''
    told.push(command.split(' ').slice(0, 3).join(' '))
    if (command.startsWith('set')) return `Transaction created ${payload?.length}\n`
    if (command.startsWith('commit')) worker = pair.serial
    return 'Committing Success!\n'
  }
  host.ask = async (_socket, command) => (command === 'show proc' ? '1 worker 0 0d00h00m01s\n' : answer(command))
  host.telling = async (_socket, talk) => talk(answer)
  host.greet = async () => ({ certificate: door })
})

describe('a certificate that is kept is not yet served:', () => {
  it('a door that goes on showing the old one is named with both serials', async () => {
    await expect(swap(host, name, pair)).rejects.toThrow(
      `The new certificate for a.lan (serial ${pair.serial}) is kept, but 192.0.2.1:443 still serves ${old.serial}; a restart of the gateway serves it.`,
    )
    expect(host.files.get(pemFile(host, name))).toBe(pair.text)
  })

  it('so is one that shows none at all', async () => {
    door = undefined
    await expect(swap(host, name, pair)).rejects.toThrow(/but 192\.0\.2\.1:443 shows none \(no certificate\)/)
  })

  it('and it is whole when the door shows the new one', async () => {
    door = `${pair.leaf}`
    await swap(host, name, pair)
    expect(told).toEqual(['abort ssl cert', 'set ssl cert', 'commit ssl cert'])
  })
})

it('a worker that has it is told nothing, and one of a configuration without that name needs nothing', async () => {
  door = `${pair.leaf}`
  for (const has of [pair.serial, '']) {
    worker = has
    await swap(host, name, pair)
  }
  expect(told).toEqual([])
})

it('the doors are those that the gateway has bound, without IPv6 where it runs without, and none while it is down', async () => {
  const lines = ['bind 10.0.0.1:11434', 'bind 10.0.0.1:8443 name lan ssl crt /y', 'bind /run/x.sock']
  const late = unlessOff('bind [fd7a::1]:443 ssl crt-list /x')
  host.files.set(places(host).config, [...late, ...lines].map((line) => `    ${line}\n`).join(''))
  const [ipv4, ipv6] = [
    { address: '10.0.0.1', port: 8443 },
    { address: 'fd7a::1', port: 443 },
  ]
  expect(await doors(host)).toEqual([ipv6, ipv4])
  const { ask } = host
  host.ask = async (socket, command) => (command.startsWith('show env') ? 'GATEWAY_IPV6=off\n' : ask(socket, command))
  expect(await doors(host)).toEqual([ipv4])
  host.ask = async () => undefined
  expect(await doors(host)).toEqual([])
})

it('the door by which the other gateway of a pair comes is none where names are served', async () => {
  const pair = '/etc/x/two_gateways.pem'
  const bind = `10.0.0.1:11438 ssl crt ${pair} ca-file ${pair} verify required transparent`
  host.files.set(places(host).config, `    bind ${bind}\n    bind 10.0.0.1:8443 name lan ssl crt-list /x\n`)
  host.files.set('/x', `/certs/${name}.pem ${name}\n`)
  expect((await shownFor(host, name)).map(({ door: { port } }) => port)).toEqual([8443])
})

it('a door whose list of names has not this one is not asked for it', async () => {
  const binds = [
    '192.0.2.1:8443 name lan ssl crt-list /my\\ maps/all.lst',
    '192.0.2.9:443 ssl crt-list /maps/public.lst',
  ]
  host.files.set(places(host).config, binds.map((bind) => `    bind ${bind} strict-sni ssl-min-ver TLSv1.2\n`).join(''))
  host.files.set('/my maps/all.lst', `/certs/w.pem *.lan\n/certs/${name}.pem ${name}\n`)
  host.files.set('/maps/public.lst', `/certs/w.pem *.lan\n`)
  expect((await shownFor(host, name)).map(({ door: { address } }) => address)).toEqual(['192.0.2.1'])
  expect(await shownFor(host, '*.lan')).toHaveLength(2)
})

describe('of two gateways', () => {
  const lines = [
    'bind 192.168.7.100:443 name lan ssl crt-list /x transparent',
    'bind 192.168.7.2:11438 ssl crt /certs/two_gateways.pem verify required no-tls-tickets transparent',
  ]
  /** What is told of a name where this machine has these addresses. */
  const shown = (own: string[]) => {
    host.files.set(places(host).config, lines.map((line) => `    ${line}\n`).join(''))
    host.files.set('/x', `/certs/${name}.pem ${name}\n`)
    const words = own.map((address) => `\tinet ${address} netmask 0xffffff00\n`).join('')
    host.commands.ifconfig = { stdout: `en0: flags=8863<UP> mtu 1500\n${words}` }
    return shownFor(host, name)
  }
  const at = { address: '192.168.7.100', port: 443 }

  it('nobody asks the door that the other one has now, nor what the two tell each other', async () => {
    expect(await shown(['192.168.7.2'])).toEqual([{ door: at, elsewhere: true }])
    expect(await shown(['192.168.7.2', '192.168.7.100'])).toEqual([
      { door: at, facts: expect.objectContaining({ serial: old.serial }) },
    ])
  })

  it('a certificate is swapped in where the other one has the only door', async () => {
    await shown(['192.168.7.2'])
    await swap(host, name, pair)
    expect(worker).toBe(pair.serial)
  })
})

it('serials are compared as numbers', () => {
  expect(sameSerial('00:0a:B0')).toBe('AB0')
})
